/** Bytes as text of letters, digits, `-` and `_`, and back. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

export function toBase64Url(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3)
    const bits = (a << 16) | (b << 8) | c
    const characters = Math.min(3, bytes.length - i) + 1
    for (let at = 0; at < characters; at++) text += ALPHABET[(bits >>> (18 - 6 * at)) & 63]
  }
  return text
}

/** `undefined` for what `toBase64Url` gives for no bytes: each bytes have one text only. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let [bits, held, at] = [0, 0, 0]
  for (const character of text) {
    const value = ALPHABET.indexOf(character)
    if (value < 0) return undefined
    bits = ((bits << 6) | value) & 0xffff
    held += 6
    if (held < 8) continue
    held -= 8
    bytes[at++] = (bits >>> held) & 255
  }
  return toBase64Url(bytes) === text ? bytes : undefined
}
