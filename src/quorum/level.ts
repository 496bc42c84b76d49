/**
 * A level says how many replicas must answer before a request does. It is a word or a whole number;
 * `needed` turns it into the count for a key with so many owners.
 *
 * `any` asks for as little as there is: of a read one answer, of a write one acknowledgement or, when
 * no owner can be reached, a hint that is durable.
 */
import { HearsayError } from '../errors.ts'
import { shown } from '../util/shown.ts'

const words = ['one', 'two', 'three', 'quorum', 'all', 'any'] as const

export type Level = (typeof words)[number] | number

/** `undefined` for what is no level. */
export function readLevel(text: string | number): Level | undefined {
  if (typeof text === 'number') return isNumberOfReplicas(text) ? text : undefined
  const word = words.find(each => each === text.toLowerCase())
  return word ?? (/^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : undefined)
}

/** Reads a level as a person or a program wrote it. Throws `ERR_LEVEL`. */
export function parseLevel(text: string | number): Level {
  const level = typeof text === 'string' || typeof text === 'number' ? readLevel(text) : undefined
  if (level !== undefined) return level
  throw new HearsayError(
    'ERR_LEVEL',
    `There is no level ${shown(text)}; use ${words.join(', ')} or a whole number from 1 to 9999.`
  )
}

/** As many as four digits can say. */
function isNumberOfReplicas(number: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= 9_999
}

/** How many of `owners` replicas the level asks for. May be more than there are: see coordinator. */
export function needed(level: Level, owners: number): number {
  switch (level) {
    case 'one':
    case 'any':
      return 1
    case 'two':
      return 2
    case 'three':
      return 3
    case 'quorum':
      return Math.floor(owners / 2) + 1
    case 'all':
      return owners
    default:
      return level
  }
}

/**
 * Whether each read at the one level meets each write at the other in at least one owner: `r + w > n`.
 * A write at level `any` may be with no owner at all.
 */
export function overlaps(read: Level, write: Level, owners: number): boolean {
  const written = write === 'any' ? 0 : needed(write, owners)
  return needed(read, owners) + written > owners
}
