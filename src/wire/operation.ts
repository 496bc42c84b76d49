/** The bytes of an operation on its way to the owner that carries it out. Malformed: `undefined`. */
import { isActor, type Actor } from '../lattice/dot.ts'
import { contextFields, readContext } from '../lattice/encode.ts'
import { markFields, readMark } from '../lattice/encode-totals.ts'
import { INTEGER_MAX, INTEGER_MIN } from '../lattice/kinds.ts'
import { OPERATION_ITEMS_MAX, type Operation, type Pair, type Seen } from '../lattice/operation.ts'
import { isBytes, isTuple, readList } from '../util/msgpack.ts'

/** Actors that a client's context may name. */
const MARKS_MAX = 4_096

/** The elements that stand for an operation inside a message: its name and what it takes. */
export function operationFields(operation: Operation): unknown[] {
  switch (operation.do) {
    case 'put': {
      const { value, expiresAt, seen } = operation
      return ['put', value, expiresAt ?? null, seen ? seenFields(seen) : null]
    }
    case 'delete':
      return ['delete', operation.seen ? seenFields(operation.seen) : null]
    case 'increment':
      return ['increment', operation.by]
    case 'map-set':
      return ['map-set', operation.pairs.map(([field, value]) => [field, value])]
    case 'expire':
      return ['expire', operation.expiresAt ?? null]
    default:
      return [operation.do, operation.fields]
  }
}

export function readOperation(fields: unknown): Operation | undefined {
  if (!Array.isArray(fields)) return undefined
  const [name, ...given] = fields as unknown[]
  if (typeof name !== 'string' || !Object.hasOwn(readers, name)) return undefined
  return readers[name as Operation['do']](given)
}

export function seenFields({ context, marks }: Seen): unknown[] {
  return [...contextFields(context), marks.map(mark => [mark.actor, ...markFields(mark)])]
}

export function readSeen(fields: unknown): Seen | undefined {
  if (!isTuple(fields, 3)) return undefined
  const context = readContext(fields[0], fields[1])
  const marks = readList(fields[2], MARKS_MAX, readSeenMark)
  if (context === undefined || marks === undefined) return undefined
  const isSorted = marks.every(
    (each, i) => i === 0 || (marks[i - 1] as { actor: Actor }).actor < each.actor
  )
  return isSorted ? { context, marks } : undefined
}

type Reader = (given: unknown[]) => Operation | undefined

const readers: Readonly<Record<Operation['do'], Reader>> = {
  put: readPut,
  delete: readDelete,
  increment: ([by, ...rest]) => {
    if (typeof by !== 'bigint' || by > INTEGER_MAX || by < INTEGER_MIN || rest.length > 0) return
    return { do: 'increment', by }
  },
  'set-add': given => readFields('set-add', given),
  'set-remove': given => readFields('set-remove', given),
  'map-delete': given => readFields('map-delete', given),
  'map-set': given => {
    const pairs = given.length === 1 ? readList(given[0], OPERATION_ITEMS_MAX, readPair) : undefined
    return pairs && { do: 'map-set', pairs }
  },
  expire: given => {
    const expiresAt = given.length === 1 ? readExpiry(given[0]) : undefined
    return expiresAt && { do: 'expire', ...expiresAt }
  }
}

function readPut(given: unknown[]): Operation | undefined {
  if (!isTuple(given, 3) || !isBytes(given[0])) return undefined
  const expiry = readExpiry(given[1])
  const seen = given[2] === null ? null : readSeen(given[2])
  if (expiry === undefined || seen === undefined) return undefined
  return { do: 'put', value: given[0], ...expiry, ...(seen !== null && { seen }) }
}

function readDelete(given: unknown[]): Operation | undefined {
  if (!isTuple(given, 1)) return undefined
  const seen = given[0] === null ? null : readSeen(given[0])
  return seen === undefined ? undefined : { do: 'delete', ...(seen !== null && { seen }) }
}

function readFields(
  name: 'set-add' | 'set-remove' | 'map-delete',
  given: unknown[]
): Operation | undefined {
  const fields = given.length === 1 ? readList(given[0], OPERATION_ITEMS_MAX, readBytes) : undefined
  return fields && { do: name, fields }
}

function readPair(fields: unknown): Pair | undefined {
  if (!isTuple(fields, 2) || !isBytes(fields[0]) || !isBytes(fields[1])) return undefined
  return [fields[0], fields[1]]
}

function readBytes(value: unknown): Uint8Array | undefined {
  return isBytes(value) ? value : undefined
}

function readExpiry(value: unknown): { expiresAt?: number } | undefined {
  if (value === null) return {}
  return Number.isSafeInteger(value) ? { expiresAt: value as number } : undefined
}

function readSeenMark(fields: unknown): Seen['marks'][number] | undefined {
  if (!isTuple(fields, 3) || !isActor(fields[0])) return undefined
  const mark = readMark(fields[1], fields[2])
  return mark && { actor: fields[0] as Actor, ...mark }
}
