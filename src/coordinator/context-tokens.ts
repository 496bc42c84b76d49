/**
 * What a reader has seen of a key, as a text that only nodes of this cluster can make: the caller
 * keeps it and gives it back with a write, which then replaces what was seen and nothing else.
 *
 *   token = base64url( tag (16 bytes) | what was seen )    tag = keyed BLAKE3 of key and seen
 *
 * The hasher's key also makes row digests and the tokens of keys. So what is hashed here begins with
 * more bytes than a key can have, none of which can begin a row.
 *
 * Not promised: secrecy. A token tells which actors have written the key and when.
 */
import type { Hasher } from '../digest/forest.ts'
import { HearsayError } from '../errors.ts'
import { contextOf } from '../lattice/context.ts'
import { seenOf, type Seen } from '../lattice/operation.ts'
import type { Row } from '../lattice/row.ts'
import { printKey } from '../replica/refusals.ts'
import { KEY_BYTES_MAX } from '../ring/row-key.ts'
import { fromBase64Url, toBase64Url } from '../util/base64url.ts'
import { concat, equal } from '../util/bytes.ts'
import { pack, unpack } from '../util/msgpack.ts'
import { readSeen, seenFields } from '../wire/operation.ts'

export const TOKEN_CHARACTERS_MAX = 4_096

const TAG_BYTES = 16
const SEEN_BYTES_MAX = Math.floor((TOKEN_CHARACTERS_MAX * 3) / 4) - TAG_BYTES
/** A row digest begins with the length of its key, whose first byte is never 255. */
const DOMAIN = new Uint8Array(KEY_BYTES_MAX + 1).fill(255)

export class ContextTokens {
  readonly #hasher: Pick<Hasher, 'digest'>

  constructor(hasher: Pick<Hasher, 'digest'>) {
    this.#hasher = hasher
  }

  /** `undefined` where more than a token can hold would have to be named. */
  seal(key: Uint8Array, row: Row): string | undefined {
    const seen = [seenOf(row), seenAlive(row)].map(each => pack(seenFields(each)))
    const fits = seen.find(bytes => bytes.length <= SEEN_BYTES_MAX)
    if (fits === undefined) return undefined
    return toBase64Url(concat([this.#tag(key, fits), fits]))
  }

  /** Throws `ERR_CONTEXT` for what was not sealed for this key. */
  open(key: Uint8Array, token: unknown): Seen {
    const isText = typeof token === 'string' && token.length <= TOKEN_CHARACTERS_MAX
    const bytes = (isText && fromBase64Url(token)) || new Uint8Array()
    const seen = bytes.subarray(TAG_BYTES)
    const isOurs = equal(bytes.subarray(0, TAG_BYTES), this.#tag(key, seen))
    const read = isOurs ? readSeen(unpack(seen)) : undefined
    if (read === undefined) throw foreign(key)
    return read
  }

  #tag(key: Uint8Array, seen: Uint8Array): Uint8Array {
    const head = new Uint8Array([key.length >>> 8, key.length])
    return this.#hasher.digest(concat([DOMAIN, head, key, seen])).slice(0, TAG_BYTES)
  }
}

/** Less than all that was seen, and enough: what is dead already need not be replaced. */
function seenAlive(row: Row): Seen {
  const totals = row.totals.filter(({ total, floor }) => total.time > floor.time)
  const { marks } = seenOf({ ...row, totals })
  return { context: contextOf(row.entries.map(({ dot }) => dot)), marks }
}

function foreign(key: Uint8Array): HearsayError {
  return new HearsayError(
    'ERR_CONTEXT',
    `The context is not one that a read of ${printKey(key)} gave, or it was altered; read the key ` +
      'with siblings and use the context of that read as it is.'
  )
}
