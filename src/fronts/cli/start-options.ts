/** The options of start: what they are, and what they mean. */
import { parseLevel, type Durability, type NodeOptions, type ReadRepairMode } from '../../index.ts'
import { dataOption, UsageError, type Call, type Option } from './command.ts'
import type { RunningInit } from './running.ts'

export const startOptions: readonly Option[] = [
  dataOption,
  { name: 'join', value: 'INVITE', text: 'join the cluster of this invite, at the first start' },
  {
    name: 'listen',
    value: 'MULTIADDR',
    multiple: true,
    text: 'where to listen for other nodes',
    default: '/ip4/0.0.0.0/tcp/7373'
  },
  {
    name: 'redis',
    value: 'PORT|off',
    text: 'port for Redis clients, 0 for any',
    default: '6379'
  },
  { name: 'http', value: 'PORT|off', text: 'port for HTTP, 0 for any', default: '7374' },
  { name: 'n', value: 'N', text: 'replication factor of a new cluster, 3 if not given' },
  {
    name: 'read-level',
    value: 'LEVEL',
    text: 'level of reads that name none, quorum if not given'
  },
  {
    name: 'write-level',
    value: 'LEVEL',
    text: 'level of writes that name none, quorum if not given'
  },
  {
    name: 'durability',
    value: 'commit|flush',
    text: 'what an acknowledged write survives: the process, or the loss of power too',
    default: 'commit'
  },
  {
    name: 'read-repair',
    value: 'MODE',
    text: 'what reads do about replicas that are behind: blocking, async or off',
    default: 'blocking'
  },
  { name: 'json', text: 'print events as JSON, one a line' },
  { name: 'verbose', text: 'print what happens inside to standard error' }
]

/** Throws `UsageError`. */
export function readStart(
  call: Call,
  log: NonNullable<NodeOptions['log']>,
  onStop: () => void
): RunningInit {
  const join = call.text('join')
  // Only what was asked for: a cluster that has another n must still start without the option.
  const n = call.text('n')
  const listen = call.list('listen')
  return {
    node: {
      path: call.text('data') as string,
      ...(n === undefined ? {} : { n: readNumber('n', n, 1, 16) }),
      ...(join === undefined ? {} : { join }),
      ...(listen.length === 0 ? {} : { listen }),
      ...readLevel('readLevel', call.text('read-level')),
      ...readLevel('writeLevel', call.text('write-level')),
      durability: readDurability(call.text('durability') as string),
      readRepair: readRepairMode(call.text('read-repair') as string),
      log
    },
    redis: readPort('redis', call),
    http: readPort('http', call),
    onStop
  }
}

function readLevel(name: 'readLevel' | 'writeLevel', text: string | undefined): object {
  return text === undefined ? {} : { [name]: parseLevel(text) }
}

function readDurability(text: string): Durability {
  if (text === 'commit' || text === 'flush') return text
  throw new UsageError(`--durability ${text} is neither commit nor flush.`)
}

function readRepairMode(text: string): ReadRepairMode {
  if (text === 'blocking' || text === 'async' || text === 'off') return text
  throw new UsageError(`--read-repair ${text} is neither blocking, async nor off.`)
}

function readPort(name: string, call: Call): number | null {
  const text = call.text(name) as string
  return text === 'off' ? null : readNumber(name, text, 0, 65_535, ' or off')
}

function readNumber(name: string, text: string, least: number, most: number, or = ''): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : NaN
  if (value >= least && value <= most) return value
  throw new UsageError(`--${name} ${text} is not a number from ${least} to ${most}${or}.`)
}
