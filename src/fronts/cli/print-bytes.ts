/** Bytes for people: as JSON writes them when they are text, else in hex; cut. */
const charactersMax = 40

export function printBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes)
  const text = buffer.toString()
  const isText = Buffer.from(text).equals(buffer)
  const whole = isText ? text : buffer.toString('hex')
  const cut = whole.length > charactersMax ? `${whole.slice(0, charactersMax)}…` : whole
  return isText ? JSON.stringify(cut) : `0x${cut}`
}
