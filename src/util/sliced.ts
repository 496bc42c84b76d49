/**
 * Long work in slices: a generator that yields wherever its caller may do something else for a while.
 * What it holds across a `yield` may have changed meanwhile; that is for its author to know.
 */
export type Sliced<T> = Generator<void, T, void>

/** Takes all slices at once. */
export function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
