/** The errors for what a row does not take. Each names the key and the rule. */
import { HearsayError, NumberError } from '../errors.ts'
import type { Kind, Refusal } from '../lattice/kinds.ts'
import { SIBLINGS_MAX } from '../lattice/siblings.ts'
import { equal, hex, text, utf8 } from '../util/bytes.ts'
import type { Reason } from './quarantine.ts'

export const ROW_BYTES_MAX = 1024 * 1024

const NAME_CHARACTERS_MAX = 64

const nouns: Readonly<Record<Kind, string>> = {
  register: 'a value',
  counter: 'a counter',
  set: 'a set',
  map: 'a map'
}

export function refusalError(key: Uint8Array, refusal: Refusal): HearsayError {
  const name = printKey(key)
  switch (refusal.refused) {
    case 'kind':
      return new HearsayError(
        'ERR_KIND',
        `${name} holds ${nouns[refusal.holds]} and was asked as ${nouns[refusal.asked]}; use the ` +
          'calls of its kind, or delete it first.'
      )
    case 'number':
      return new NumberError(refusal.why, numberMessage(name, refusal.why))
    case 'siblings':
      return new HearsayError(
        'ERR_SIBLINGS',
        `${name} would have ${refusal.siblings} concurrent values and a row has at most ` +
          `${SIBLINGS_MAX}; read them with siblings and write back with the context of that read.`
      )
  }
}

export function rowSizeError(bytes: number, key?: Uint8Array): HearsayError {
  const name = key === undefined ? '' : ` of ${printKey(key)}`
  return new HearsayError(
    'ERR_ROW_SIZE',
    `The row${name} would take ${bytes} bytes and a row has at most ${ROW_BYTES_MAX}; split the ` +
      'value over several keys.'
  )
}

/**
 * A key for people, shortened: in quotes, what does not print as escapes; in hex, without quotes, when
 * it is no UTF-8, for replacement characters would make such keys look alike.
 */
export function printKey(key: Uint8Array): string {
  const read = text(key)
  if (!equal(utf8(read), key)) return `0x${shortened(hex(key))}`
  const whole = JSON.stringify(read).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\u202a-\u202e\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
  return `"${shortened(whole.slice(1, -1))}"`
}

function shortened(name: string): string {
  const characters = [...name]
  const isShort = characters.length <= NAME_CHARACTERS_MAX
  return isShort ? name : `${characters.slice(0, NAME_CHARACTERS_MAX).join('')}…`
}

function numberMessage(name: string, why: 'text' | 'overflow'): string {
  return why === 'text'
    ? `${name} holds a text that is no decimal 64-bit integer and cannot be counted on; put an ` +
        'integer first, or use another key.'
    : `The counter ${name} would leave the range of signed 64-bit integers; nothing was added. ` +
        'Put it back to a smaller value first.'
}

/** Why a row or delta that came in could not be joined. */
export function refusalOf(reason: Reason, key: Uint8Array, isKept = true): HearsayError {
  const name = printKey(key)
  if (reason === 'ahead' && !isKept) {
    return new HearsayError(
      'ERR_OVERLOADED',
      `The version of ${name} is too far ahead of the clock of this replica, and there is no room to keep ` +
        'it aside. Set the clocks of all nodes by NTP.'
    )
  }
  return reason === 'ahead'
    ? new HearsayError(
        'ERR_CLOCK_SKEW',
        `The version of ${name} is too far ahead of the clock of this replica; it is kept aside and ` +
          'tried again. Set the clocks of all nodes by NTP.'
      )
    : new HearsayError(
        'ERR_CORRUPT',
        `The row of ${name} cannot be decoded; it was ${isKept ? '' : 'not '}put in quarantine.`
      )
}

export function onlyCopyError(key: Uint8Array): HearsayError {
  return new HearsayError(
    'ERR_CORRUPT',
    `No owner has a whole copy of ${printKey(key)}; what there was is damaged and in quarantine. Restore ` +
      'it from a backup, or put or delete it to go on without it.'
  )
}

export function lostError(key: Uint8Array): HearsayError {
  return new HearsayError(
    'ERR_CORRUPT',
    `This node does not hold the whole row of ${printKey(key)} at the moment and is comparing it with ` +
      'the other owners; try again in a moment.'
  )
}
