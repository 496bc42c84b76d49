/**
 * The envelope of a write on its way to an owner, and what comes back in it. Every write that is
 * passed on has an id, so that the same one is done once however often it arrives, and what came of
 * it can be asked for. Malformed bytes decode to `undefined`.
 */
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'

/** Of the id of a write, and of a life. */
export const ID_BYTES = 16
const MS_MAX = Number.MAX_SAFE_INTEGER

export interface Passing {
  readonly id: Uint8Array
  /** `undefined` where it was never sent before. */
  readonly again: Again | undefined
  /** The write, encoded; `undefined` only asks what came of it. */
  readonly write: Uint8Array | undefined
}

/** Do it only in this life of the owner, and only if all since then is remembered. */
export interface Again {
  readonly life: Uint8Array
  /** When it was first sent, or earlier, by the clock of the owner in that life. */
  readonly sentMs: number
}

export type Passed =
  /** What came of it, encoded. */
  | { readonly outcome: Uint8Array }
  /** The owner knows nothing of it, in this life and at this moment of its clock. */
  | { readonly life: Uint8Array; readonly nowMs: number }

export function encodePassing({ id, again, write }: Passing): Uint8Array {
  return pack([id, again === undefined ? null : [again.life, again.sentMs], write ?? null])
}

export function decodePassing(bytes: Uint8Array): Passing | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 3)) return undefined
  const [id, foreign, write] = fields
  const again = foreign === null ? undefined : readMoment(foreign)
  if (!isId(id) || (foreign !== null && again === undefined)) return undefined
  if (write !== null && !isBytes(write)) return undefined
  const sent = again && { life: again.life, sentMs: again.ms }
  return { id, again: sent, write: write ?? undefined }
}

export function encodePassed(passed: Passed): Uint8Array {
  return pack('outcome' in passed ? [passed.outcome] : [passed.life, passed.nowMs])
}

export function decodePassed(bytes: Uint8Array): Passed | undefined {
  const fields = unpack(bytes)
  if (isTuple(fields, 1)) return isBytes(fields[0]) ? { outcome: fields[0] } : undefined
  const moment = readMoment(fields)
  return moment && { life: moment.life, nowMs: moment.ms }
}

function readMoment(fields: unknown): { life: Uint8Array; ms: number } | undefined {
  if (!isTuple(fields, 2)) return undefined
  const [life, ms] = fields
  return isId(life) && isCount(ms, MS_MAX) ? { life, ms } : undefined
}

function isId(value: unknown): value is Uint8Array {
  return isBytes(value) && value.length === ID_BYTES
}
