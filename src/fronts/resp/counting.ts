/** INCR and its like. Increments on any node add up; see README for what a concurrent SET replaces. */
import type { RespCommand, Run } from './commands.ts'
import { error, integer, nil } from './reply.ts'
import { NOT_AN_INTEGER, readInteger } from './words.ts'

const INTEGER_MIN = -(2n ** 63n)

export const countingCommands: readonly (readonly [string, RespCommand])[] = [
  ['incr', { arguments: [1, 1], run: adding(() => 1n) }],
  ['decr', { arguments: [1, 1], run: adding(() => -1n) }],
  ['incrby', { arguments: [2, 2], run: adding(readInteger) }],
  ['decrby', { arguments: [2, 2], run: decrease }]
]

function adding(amount: (argument: Uint8Array) => bigint | undefined): Run {
  return async ([key, argument], { version }, { node }) => {
    const by = amount(argument as Uint8Array)
    if (by === undefined) return NOT_AN_INTEGER
    const { value } = await node.increment(key as Uint8Array, by)
    return value === undefined ? nil(version) : integer(value)
  }
}

function decrease(args: readonly Uint8Array[], ...rest: [Parameters<Run>[1], Parameters<Run>[2]]) {
  const by = readInteger(args[1] as Uint8Array)
  if (by === INTEGER_MIN) return error('ERR decrement would overflow')
  return adding(() => by && -by)(args, ...rest)
}
