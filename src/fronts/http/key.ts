/** Keys in a URL: bytes, percent-encoded; whatever is not encoded stands for itself. Pure. */

/** `undefined` when a percent sign is not followed by two hex digits. */
export function decodeKey(encoded: string): Uint8Array | undefined {
  const out: number[] = []
  for (let at = 0; at < encoded.length; at++) {
    if (encoded[at] !== '%') {
      out.push(encoded.charCodeAt(at) & 0xff)
      continue
    }
    const digits = encoded.slice(at + 1, at + 3)
    if (!/^[0-9a-f]{2}$/i.test(digits)) return undefined
    out.push(Number.parseInt(digits, 16))
    at += 2
  }
  return Uint8Array.from(out)
}
