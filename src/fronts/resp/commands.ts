/**
 * The commands, each a few lines over the public API, with the arities and error texts of Redis.
 *
 * Promised: an error of the store becomes a line whose first word is its code without `ERR_`
 * (`-UNAVAILABLE The write at level ...`), or has Redis's words before it. Not promised: anything atomic. There is no consensus
 * below, so DEL counts with a read before its delete, and two clients may both count one key.
 */
import { HearsayError, QuorumFailedError, type HearsayNode } from '../../index.ts'
import { collectionCommands } from './collections.ts'
import { countingCommands } from './counting.ts'
import { expiringCommands, readSetOptions } from './expiring.ts'
import { hello } from './hello.ts'
import { info } from './info.ts'
import { bulk, error, integer, nil, simple, type RespVersion } from './reply.ts'
import { isThere, latin1, wordsFor, wrongArguments } from './words.ts'

/** What one connection has said about itself. */
export interface RespSession {
  readonly id: number
  version: RespVersion
  /** A command is running or its reply is on the way out. */
  busy: boolean
  /** Set by a command after whose reply the connection ends. */
  closing: boolean
}

/** What all connections of one server share. */
export interface RespContext {
  readonly node: HearsayNode
  readonly startedMs: number
  port: number
  clients: number
  connections: number
  commands: number
}

type Reply = Uint8Array | Promise<Uint8Array>
export type Run = (args: readonly Uint8Array[], session: RespSession, context: RespContext) => Reply

export interface RespCommand {
  /** How many arguments may follow the name. */
  readonly arguments: readonly [least: number, most: number]
  readonly run: Run
}

const commands = new Map<string, RespCommand>([
  ['ping', { arguments: [0, 1], run: ([text]) => (text ? bulk(text) : simple('PONG')) }],
  ['echo', { arguments: [1, 1], run: ([text]) => bulk(text as Uint8Array) }],
  ['quit', { arguments: [0, Infinity], run: quit }],
  ['hello', { arguments: [0, Infinity], run: hello }],
  ['info', { arguments: [0, Infinity], run: info }],
  ['get', { arguments: [1, 1], run: get }],
  ['set', { arguments: [2, Infinity], run: set }],
  ['del', { arguments: [1, Infinity], run: del }],
  ['exists', { arguments: [1, Infinity], run: exists }],
  ['type', { arguments: [1, 1], run: type }],
  ...countingCommands,
  ...expiringCommands,
  ...collectionCommands
])

/** What a browser sends when a page is made to talk to this port. Redis closes on them, so do we. */
const foreign = new Set(['post', 'host:'])

/**
 * Runs one command. Resolves with the reply, or with `undefined` when the connection must end
 * without one. Never rejects for what a client or the cluster did.
 */
export async function runCommand(
  command: readonly Uint8Array[],
  session: RespSession,
  context: RespContext
): Promise<Uint8Array | undefined> {
  const [name, ...args] = command
  const lower = latin1(name as Uint8Array).toLowerCase()
  if (foreign.has(lower)) return undefined
  context.commands++
  const found = commands.get(lower)
  if (found === undefined) return unknownCommand(command)
  const [least, most] = found.arguments
  if (args.length < least || args.length > most) {
    return wrongArguments(lower)
  }
  try {
    return await found.run(args, session, context)
  } catch (cause) {
    return errorReply(cause)
  }
}

function quit(_args: readonly Uint8Array[], session: RespSession): Uint8Array {
  session.closing = true
  return simple('OK')
}

async function get(
  [key]: readonly Uint8Array[],
  session: RespSession,
  { node }: RespContext
): Promise<Uint8Array> {
  const value = await node.get(key as Uint8Array)
  return value === undefined ? nil(session.version) : bulk(value)
}

async function set(
  [key, value, ...given]: readonly Uint8Array[],
  _session: RespSession,
  { node }: RespContext
): Promise<Uint8Array> {
  const options = readSetOptions(given)
  if (options instanceof Uint8Array) return options
  await node.put(key as Uint8Array, value as Uint8Array, options)
  return simple('OK')
}

/** A key that is not there is left alone: a tombstone for it would cost disk and say nothing. */
async function del(
  keys: readonly Uint8Array[],
  _session: RespSession,
  { node }: RespContext
): Promise<Uint8Array> {
  let deleted = 0
  for (const key of keys) {
    if (!(await isThere(node, key).catch(isLost))) continue
    await node.delete(key)
    deleted++
  }
  return integer(deleted)
}

/** A key of which no owner has a whole copy any more is there, to be deleted. Throws any other error. */
function isLost(cause: unknown): true {
  const causes = cause instanceof QuorumFailedError ? [...cause.failures.values()] : [cause]
  const isOf = (each: unknown) => each instanceof HearsayError && each.code === 'ERR_CORRUPT'
  if (causes.every(isOf)) return true
  throw cause
}

/** As in Redis, a key named twice counts twice. */
async function exists(
  keys: readonly Uint8Array[],
  _session: RespSession,
  { node }: RespContext
): Promise<Uint8Array> {
  let found = 0
  for (const key of keys) if (await isThere(node, key)) found++
  return integer(found)
}

const types = { register: 'string', counter: 'string', set: 'set', map: 'hash' } as const

async function type(
  [key]: readonly Uint8Array[],
  _session: RespSession,
  { node }: RespContext
): Promise<Uint8Array> {
  const { kind } = await node.read(key as Uint8Array, { siblings: true })
  return simple(kind === undefined ? 'none' : types[kind])
}

/** Redis's own text, with at most 128 bytes of the name and about as many of the arguments. */
function unknownCommand([name, ...args]: readonly Uint8Array[]): Uint8Array {
  let shown = ''
  for (const arg of args) {
    if (shown.length >= 128) break
    shown += `'${latin1(arg.subarray(0, 128 - shown.length))}' `
  }
  const command = latin1((name as Uint8Array).subarray(0, 128))
  const text = `ERR unknown command '${command}', with args beginning with: ${shown}`
  return error(text, 'latin1')
}

function errorReply(cause: unknown): Uint8Array {
  const message = cause instanceof Error ? cause.message : String(cause)
  const code = cause instanceof HearsayError ? cause.code : 'ERR_INTERNAL'
  const words = cause instanceof HearsayError ? wordsFor(cause) : undefined
  if (words !== undefined) return error(`${words}. ${message}`)
  return error(`${code.replace(/^ERR_/, '')} ${message}`)
}
