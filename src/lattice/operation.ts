/**
 * What a client's write asks of a row. Values and members are bytes; times are milliseconds since the
 * epoch. mutate.ts turns one into a delta.
 */
import type { Context } from './context.ts'
import type { Actor } from './dot.ts'
import type { Row } from './row.ts'
import { MARK_ZERO, type Mark } from './totals.ts'

/** Members or fields that one operation may name. Each takes a dot. */
export const OPERATION_ITEMS_MAX = 16_384

/** What a reader has seen of a row, and so what its write replaces: no more and no less. */
export interface Seen {
  readonly context: Context
  /** How far the running total of each actor had been seen, by actor. */
  readonly marks: readonly (Mark & { readonly actor: Actor })[]
}

export type Operation =
  | {
      readonly do: 'put'
      readonly value: Uint8Array
      readonly expiresAt?: number | undefined
      /** Without it the write replaces all that the coordinator holds. */
      readonly seen?: Seen | undefined
    }
  | { readonly do: 'delete'; readonly seen?: Seen | undefined }
  | { readonly do: 'increment'; readonly by: bigint }
  | { readonly do: 'set-add' | 'set-remove' | 'map-delete'; readonly fields: readonly Uint8Array[] }
  | { readonly do: 'map-set'; readonly pairs: readonly Pair[] }
  | { readonly do: 'expire'; readonly expiresAt?: number | undefined }

export type Pair = readonly [field: Uint8Array, value: Uint8Array]

/** What a reader of a row has seen. */
export function seenOf({ context, totals }: Row): Seen {
  const marks = totals
    .filter(({ total }) => total.time > MARK_ZERO.time)
    .map(({ actor, total }) => ({ actor, ...total }))
  return { context, marks }
}
