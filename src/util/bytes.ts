/** Small helpers over `Uint8Array`. Nothing here keeps what it is given. */

const encoder = new TextEncoder()
// Without ignoreBOM it would take the three bytes of a byte order mark away.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Bytes that are not UTF-8 come out as replacement characters: for people, not for programs. */
export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

export function hex(bytes: Uint8Array): string {
  let out = ''
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0')
  return out
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Lexicographic by unsigned bytes, a prefix before what it begins. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compare(a, b) === 0
}

/** One character a byte: a key for a `Map`. */
export function nameOf(bytes: Uint8Array): string {
  if (bytes.length <= CALL_BYTES_MAX) return nameOfPiece(bytes)
  let name = ''
  for (let at = 0; at < bytes.length; at += CALL_BYTES_MAX) {
    name += nameOfPiece(bytes.subarray(at, at + CALL_BYTES_MAX))
  }
  return name
}

/** Each byte is an argument of one call, and the stack takes some 120,000 of them. */
const CALL_BYTES_MAX = 8_192

function nameOfPiece(bytes: Uint8Array): string {
  // Spreading them takes twice as long.
  return String.fromCharCode.apply(null, bytes as unknown as number[])
}

/** The bytes that have this name. */
export function bytesNamed(name: string): Uint8Array {
  return Uint8Array.from(name, character => character.charCodeAt(0))
}
