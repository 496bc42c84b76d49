/** Anything that a caller gave, for people: in quotes when it is text. Never throws. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  const isPlain = value === null || (typeof value !== 'object' && typeof value !== 'function')
  return isPlain ? String(value) : `a value of type ${typeof value}`
}
