/** The two functions used of a module that ships no types. */
declare module 'fs-native-extensions' {
  /** False when another open file holds the lock. The kernel frees it when the holder dies. */
  export function tryLock(fd: number): boolean
  export function unlock(fd: number): void
}
