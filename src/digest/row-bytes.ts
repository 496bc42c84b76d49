/** What the digest of a row is of: the length of the key in two bytes, the key, the row. */

/** Of the length of a key. */
export const HEAD_BYTES = 2

/** Writes it to `to` from byte `at` on. */
export function writeRow(to: Uint8Array, at: number, key: Uint8Array, bytes: Uint8Array): void {
  to[at] = key.length >>> 8
  to[at + 1] = key.length
  to.set(key, at + HEAD_BYTES)
  to.set(bytes, at + HEAD_BYTES + key.length)
}

export function rowOf(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const row = new Uint8Array(HEAD_BYTES + key.length + bytes.length)
  writeRow(row, 0, key, bytes)
  return row
}
