/** What every store holds its callers to. A broken rule is a bug of the caller, not a fault of the disk. */
import { HearsayError } from '../errors.ts'
import type { Space, StoreWrite } from '../ports.ts'

export const spaces: readonly Space[] = [
  'rows',
  'hints',
  'quarantine',
  'meta',
  'forest',
  'conflicts'
]

/** LMDB's own limit with pages of 4 KiB. A row key has at most 1,034 bytes. */
export const STORE_KEY_BYTES_MAX = 1_978

/** Before anything of a batch is stored, so that a bad write cannot leave half a batch behind. */
export function checkWrites(writes: readonly StoreWrite[]): void {
  for (const { space, key } of writes) {
    if (!spaces.includes(space)) throw new RangeError(`There is no space ${String(space)}.`)
    if (!isKey(key)) {
      throw new RangeError(`A key in a store has 1 to ${STORE_KEY_BYTES_MAX} bytes.`)
    }
  }
}

/** No other key is ever in a store. */
export function isKey(key: Uint8Array): boolean {
  return key.length >= 1 && key.length <= STORE_KEY_BYTES_MAX
}

export function closedError(): HearsayError {
  return new HearsayError('ERR_CLOSED', 'The store is closed; open it again to use it.')
}
