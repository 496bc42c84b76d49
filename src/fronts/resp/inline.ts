/**
 * Splits an inline command (`SET "a key" value`) the way Redis does: words between blanks, double
 * quotes with escapes, single quotes with `\'` only. Pure; the bytes returned are fresh.
 */

const blanks = new Set([0x20, 0x09, 0x0a, 0x0d, 0x0b, 0x0c, 0x00])
const DOUBLE = 0x22
const SINGLE = 0x27
const BACKSLASH = 0x5c
const escapes = new Map([
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x62, 0x08],
  [0x61, 0x07]
])

/** `undefined` when a quote is not closed, or is closed in the middle of a word. */
export function splitInline(line: Uint8Array): Uint8Array[] | undefined {
  const words: Uint8Array[] = []
  let at = 0
  for (;;) {
    while (at < line.length && blanks.has(line[at] as number)) at++
    if (at >= line.length) return words
    const word = readWord(line, at)
    if (word === undefined) return undefined
    words.push(word.bytes)
    at = word.end
  }
}

interface Part {
  readonly bytes: Uint8Array
  readonly end: number
}

function readWord(line: Uint8Array, start: number): Part | undefined {
  const out: number[] = []
  let at = start
  while (at < line.length) {
    const byte = line[at] as number
    if (blanks.has(byte)) break
    if (byte !== DOUBLE && byte !== SINGLE) {
      out.push(byte)
      at++
      continue
    }
    const quoted = byte === DOUBLE ? readDouble(line, at + 1) : readSingle(line, at + 1)
    if (quoted === undefined) return undefined
    for (const each of quoted.bytes) out.push(each)
    at = quoted.end
    if (at < line.length && !blanks.has(line[at] as number)) return undefined
  }
  return { bytes: Uint8Array.from(out), end: at }
}

function readDouble(line: Uint8Array, start: number): Part | undefined {
  const out: number[] = []
  for (let at = start; at < line.length; at++) {
    const byte = line[at] as number
    if (byte === DOUBLE) return { bytes: Uint8Array.from(out), end: at + 1 }
    if (byte !== BACKSLASH || at + 1 >= line.length) {
      out.push(byte)
      continue
    }
    const hex = hexEscape(line, at + 1)
    if (hex !== undefined) {
      out.push(hex)
      at += 3
    } else {
      const next = line[++at] as number
      out.push(escapes.get(next) ?? next)
    }
  }
  return undefined
}

function readSingle(line: Uint8Array, start: number): Part | undefined {
  const out: number[] = []
  for (let at = start; at < line.length; at++) {
    const byte = line[at] as number
    if (byte === SINGLE) return { bytes: Uint8Array.from(out), end: at + 1 }
    if (byte === BACKSLASH && line[at + 1] === SINGLE) at++
    out.push(line[at] as number)
  }
  return undefined
}

/** The byte of `xHH` at `at`, if that is what stands there. */
function hexEscape(line: Uint8Array, at: number): number | undefined {
  if (line[at] !== 0x78) return undefined
  const high = hexDigit(line[at + 1])
  const low = hexDigit(line[at + 2])
  return high === undefined || low === undefined ? undefined : high * 16 + low
}

function hexDigit(byte: number | undefined): number | undefined {
  if (byte === undefined) return undefined
  const digit = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(digit) ? undefined : digit
}
