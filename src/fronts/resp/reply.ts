/**
 * The answer side of RESP: values in, bytes out, in version 2 or 3. Pure. Errors and simple strings
 * are one line each whatever they are made of, so a reply can never be cut into two.
 */

export type RespVersion = 2 | 3

export function simple(text: string): Uint8Array {
  return Buffer.from(`+${oneLine(text)}\r\n`)
}

/** The first word is what programs look at. Bytes beyond ASCII go out as given (`latin1`). */
export function error(text: string, encoding: 'utf8' | 'latin1' = 'utf8'): Uint8Array {
  return Buffer.from(`-${oneLine(text)}\r\n`, encoding)
}

export function integer(value: number | bigint): Uint8Array {
  return Buffer.from(`:${value}\r\n`)
}

export function bulk(bytes: Uint8Array | string): Uint8Array {
  const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return Buffer.concat([Buffer.from(`$${body.length}\r\n`), body, Buffer.from('\r\n')])
}

/** Nothing there. */
export function nil(version: RespVersion): Uint8Array {
  return Buffer.from(version === 3 ? '_\r\n' : '$-1\r\n')
}

/** Text for people. */
export function verbatim(text: string, version: RespVersion): Uint8Array {
  if (version === 2) return bulk(text)
  const body = Buffer.from(`txt:${text}`)
  return Buffer.concat([Buffer.from(`=${body.length}\r\n`), body, Buffer.from('\r\n')])
}

export function array(items: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Buffer.from(`*${items.length}\r\n`), ...items])
}

/** Version 2 has no sets: there it is an array. */
export function set(items: readonly Uint8Array[], version: RespVersion): Uint8Array {
  if (version === 2) return array(items)
  return Buffer.concat([Buffer.from(`~${items.length}\r\n`), ...items])
}

/** Version 2 has no maps: there it is an array of names and values in turn. */
export function map(
  entries: readonly (readonly [name: string | Uint8Array, value: Uint8Array])[],
  version: RespVersion
): Uint8Array {
  const items = entries.flatMap(([name, value]) => [bulk(name), value])
  if (version === 2) return array(items)
  return Buffer.concat([Buffer.from(`%${entries.length}\r\n`), ...items])
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ')
}
