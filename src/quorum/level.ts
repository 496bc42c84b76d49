/**
 * A level says how many replicas must answer before a request does. It is a word or a whole number;
 * `needed` turns it into the count for a key with so many owners.
 */
import { HearsayError } from '../errors.ts'

const words = ['one', 'two', 'three', 'quorum', 'all'] as const

export type Level = (typeof words)[number] | number

/** `undefined` for what is no level. */
export function readLevel(text: string | number): Level | undefined {
  if (typeof text === 'number') return isNumberOfReplicas(text) ? text : undefined
  const word = words.find(each => each === text.toLowerCase())
  return word ?? (/^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : undefined)
}

/** Reads a level as a person or a program wrote it. Throws `ERR_LEVEL`. */
export function parseLevel(text: string | number): Level {
  const level = readLevel(text)
  if (level !== undefined) return level
  throw new HearsayError(
    'ERR_LEVEL',
    `There is no level ${JSON.stringify(text)}; use ${words.join(', ')} or a whole number from 1 to 9999.`
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
