/** The admin methods: one function each, JSON in, JSON out, over the public API. */
import {
  HearsayError,
  parseLevel,
  type BackgroundTask,
  type ExplainedEntry,
  type HearsayNode,
  type NodeId,
  type RequestOptions,
  type WriteOptions
} from '../../index.ts'
import { decodeBytes, encodeBytes, encodeConflict, type AdminMethod } from './protocol.ts'

export type AdminInput = Readonly<Record<string, unknown>>
type Run = (
  node: HearsayNode,
  input: AdminInput,
  signal: AbortSignal,
  onProgress: (progress: object) => void
) => unknown

/** `stop` and `end` are not here: they are about the process and its calls, so the server does them. */
export const methods: Readonly<Record<Exclude<AdminMethod, 'stop' | 'end'>, Run>> = {
  status: node => node.status(),
  invite: node => ({ invite: node.invite() }),
  read: readKey,
  explain: explainKey,
  conflicts: (node, { limit }) =>
    node.conflicts(limit === undefined ? {} : { limit: limit as number }).map(encodeConflict),
  put: (node, input, signal) =>
    node.put(bytes(input, 'key'), bytes(input, 'value'), writeOptions(input, signal)),
  delete: (node, input, signal) => node.delete(bytes(input, 'key'), writeOptions(input, signal)),
  pause: async (node, input) => ({ paused: await node.pause(task(input)) }),
  resume: async (node, input) => ({ resumed: await node.resume(task(input)) }),
  repair: repairPeers,
  scrub: (node, _, signal, onProgress) => node.scrub({ signal, onProgress }),
  sync: (node, _, signal) => node.sync({ signal }),
  slots: (node, input, signal) => node.slots({ ...peerOf(input), signal }),
  tree: (node, { slot, ...input }, signal) =>
    node.tree(typeof slot === 'number' ? slot : NaN, { ...peerOf(input), signal }),
  'drop-hints': async node => ({ dropped: await node.dropHints() })
}

async function readKey(
  node: HearsayNode,
  input: AdminInput,
  signal: AbortSignal
): Promise<unknown> {
  const result = await node.read(bytes(input, 'key'), readOptions(input, signal))
  return {
    ...result,
    value: result.value === undefined ? undefined : encodeBytes(result.value)
  }
}

/** Bytes go as base64. */
async function explainKey(
  node: HearsayNode,
  input: AdminInput,
  signal: AbortSignal
): Promise<unknown> {
  const explained = await node.explain(bytes(input, 'key'), readOptions(input, signal))
  const entry = (each: ExplainedEntry) => ({
    ...each,
    field: each.field && encodeBytes(each.field),
    value: each.value && encodeBytes(each.value)
  })
  const copies = explained.copies.map(({ entries, ...copy }) => {
    return { ...copy, ...(entries && { entries: entries.map(entry) }) }
  })
  return { ...explained, key: encodeBytes(explained.key), copies }
}

async function repairPeers(
  node: HearsayNode,
  input: AdminInput,
  signal: AbortSignal,
  onProgress: (progress: object) => void
): Promise<unknown> {
  const now = input.now === true
  const reports = await node.repair({ ...peerOf(input), now, signal, onProgress })
  return reports.map(report => ({ ...report, keys: report.keys.map(encodeBytes) }))
}

function peerOf(input: AdminInput): { peer?: NodeId } {
  return input.peer === undefined ? {} : { peer: text(input, 'peer') as NodeId }
}

function readOptions(input: AdminInput, signal: AbortSignal): RequestOptions {
  const { level, timeoutMs } = input
  return {
    signal,
    ...(level === undefined ? {} : { level: parseLevel(level as string | number) }),
    ...(typeof timeoutMs === 'number' ? { timeoutMs } : {})
  }
}

function writeOptions(input: AdminInput, signal: AbortSignal): WriteOptions {
  const { durability } = input
  const base = readOptions(input, signal)
  if (durability === undefined) return base
  if (durability === 'commit' || durability === 'flush') return { ...base, durability }
  throw new HearsayError('ERR_ARGUMENT', 'The durability is not known; use commit or flush.')
}

function task(input: AdminInput): BackgroundTask {
  const { task } = input
  if (task === 'hints' || task === 'anti-entropy' || task === 'scrub') return task
  throw new HearsayError('ERR_ARGUMENT', 'There is no such task; use hints, anti-entropy or scrub.')
}

function bytes(input: AdminInput, name: string): Uint8Array {
  return decodeBytes(text(input, name))
}

function text(input: AdminInput, name: string): string {
  const value = input[name]
  if (typeof value === 'string') return value
  throw new HearsayError('ERR_ARGUMENT', `The request has no ${name}; send it as a string.`)
}
