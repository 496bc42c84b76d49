/**
 * Sets and hashes. Counts are those of the owner that carried the write out: two clients that add the
 * same member at once may both be told that it was new.
 */
import type { RespCommand, RespContext, Run } from './commands.ts'
import { bulk, integer, map, nil, set } from './reply.ts'
import { isThere, wrongArguments } from './words.ts'

type Node = RespContext['node']
type Change = (
  node: Node,
  key: Uint8Array,
  items: readonly Uint8Array[]
) => ReturnType<Node['setAdd']>

function changing(change: Change): Run {
  return async ([key, ...items], _session, { node }) => {
    const { changed } = await change(node, key as Uint8Array, items)
    // At level `any` nobody may know: what was asked for is then what is told.
    return integer(changed ?? items.length)
  }
}

/** A key that is not there is left alone: a tombstone for it would cost disk and say nothing. */
function removing(change: Change): Run {
  const run = changing(change)
  return async (args, session, context) =>
    (await isThere(context.node, args[0] as Uint8Array)) ? run(args, session, context) : integer(0)
}

const members: Run = async ([key], { version }, { node }) =>
  set(((await node.setMembers(key as Uint8Array)) ?? []).map(bulk), version)

const isMember: Run = async ([key, member], _session, { node }) =>
  integer((await node.setHas(key as Uint8Array, member as Uint8Array)) ? 1 : 0)

const cardinality: Run = async ([key], _session, { node }) =>
  integer((await node.setMembers(key as Uint8Array))?.length ?? 0)

function setFields(...[args, , { node }]: Parameters<Run>): ReturnType<Run> {
  const [key, ...items] = args
  if (items.length % 2 !== 0) return wrongArguments('hset')
  const pairs = items.flatMap((field, i) =>
    i % 2 === 0 ? [[field, items[i + 1] as Uint8Array] as const] : []
  )
  const made = node.mapSet(key as Uint8Array, pairs)
  return made.then(({ changed }) => integer(changed ?? pairs.length))
}

const getField: Run = async ([key, field], { version }, { node }) => {
  const value = await node.mapGet(key as Uint8Array, field as Uint8Array)
  return value === undefined ? nil(version) : bulk(value)
}

const getFields: Run = async ([key], { version }, { node }) => {
  const entries = (await node.mapEntries(key as Uint8Array)) ?? []
  return map(
    entries.map(([field, value]) => [field, bulk(value)] as const),
    version
  )
}

const countFields: Run = async ([key], _session, { node }) =>
  integer((await node.mapEntries(key as Uint8Array))?.length ?? 0)

export const collectionCommands: readonly (readonly [string, RespCommand])[] = [
  ['sadd', { arguments: [2, Infinity], run: changing((node, ...args) => node.setAdd(...args)) }],
  ['srem', { arguments: [2, Infinity], run: removing((node, ...args) => node.setRemove(...args)) }],
  ['smembers', { arguments: [1, 1], run: members }],
  ['sismember', { arguments: [2, 2], run: isMember }],
  ['scard', { arguments: [1, 1], run: cardinality }],
  ['hset', { arguments: [3, Infinity], run: setFields }],
  ['hdel', { arguments: [2, Infinity], run: removing((node, ...args) => node.mapDelete(...args)) }],
  ['hget', { arguments: [2, 2], run: getField }],
  ['hgetall', { arguments: [1, 1], run: getFields }],
  ['hlen', { arguments: [1, 1], run: countFields }]
]
