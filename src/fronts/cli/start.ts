/**
 * start: runs a node with its fronts until it is told to stop.
 *
 * With `--json` standard output carries one `ready` event when everything serves, then only
 * `stopped` or `error`. A first signal closes in order (exit status 0), a second ends at once (130).
 */
import { readdir } from 'node:fs/promises'
import type { HearsayNode } from '../../index.ts'
import { dataOption, UsageError, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'
import { openRunning, type Running, type RunningInit } from './running.ts'

export const startCommand: Command = {
  name: 'start',
  arguments: [],
  summary: 'Run a node; the first start on an empty directory creates a cluster or joins one',
  options: [
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
    { name: 'n', value: 'N', text: 'replication factor of a new cluster', default: '3' },
    { name: 'json', text: 'print events as JSON, one a line' },
    { name: 'verbose', text: 'print what happens inside to standard error' }
  ],
  run: start
}

/** How often progress is looked at while starting and joining. */
const progressMs = 2_000

async function start(call: Call, io: Io): Promise<number> {
  const stop = new AbortController()
  const init = readInit(call, io, () => stop.abort())
  const isNew = await isFirstStart(init)
  const forget = io.onStop(() => (stop.signal.aborted ? io.exit(130) : stop.abort()))
  try {
    const running = await starting(call, io, () =>
      openRunning(options => io.createNode(options), init)
    )
    announce(running, init, isNew, call, io)
    const joining = call.flag('json') ? undefined : watchJoining(running.node, io)
    await aborted(stop.signal)
    clearInterval(joining)
    await stopping(running, call, io)
    return 0
  } catch (cause) {
    if (call.flag('json')) line(io.stdout, errorEvent(cause))
    throw cause
  } finally {
    forget()
  }
}

function readInit(call: Call, io: Io, onStop: () => void): RunningInit {
  const join = call.text('join')
  const listen = call.list('listen')
  const log = (level: string, event: string, fields: object): void =>
    line(io.stderr, `${level} ${event} ${JSON.stringify(fields, plainNumbers)}`)
  return {
    node: {
      path: call.text('data') as string,
      n: readNumber('n', call.text('n') as string, 1, 64),
      ...(join === undefined ? {} : { join }),
      ...(listen.length === 0 ? {} : { listen }),
      ...(call.flag('verbose') ? { log } : {})
    },
    redis: readPort('redis', call),
    http: readPort('http', call),
    onStop
  }
}

function plainNumbers(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
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

/** Whether the invite is worth showing: this start makes a new cluster. */
async function isFirstStart({ node }: RunningInit): Promise<boolean> {
  if (node.join !== undefined) return false
  // Unreadable or not a directory: createNode says so better than we could.
  const names = await readdir(node.path).catch(() => [])
  return names.length === 0
}

/** Says every few seconds that it is still at it: joining may have to wait for other machines. */
async function starting<T>(call: Call, io: Io, work: () => Promise<T>): Promise<T> {
  if (call.flag('json')) return work()
  const started = Date.now()
  const doing = call.text('join') === undefined ? 'starting' : 'joining'
  const timer = setInterval(() => {
    line(io.stdout, `${doing}, ${Math.round((Date.now() - started) / 1_000)} s so far`)
  }, progressMs)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}

function announce(running: Running, init: RunningInit, isNew: boolean, call: Call, io: Io): void {
  const { node, redis, http } = running
  const listen = node.addresses()
  if (call.flag('json')) {
    line(io.stdout, JSON.stringify({ event: 'ready', peerId: node.id, listen, redis, http }))
    return
  }
  const { path } = init.node
  line(io.stdout, `Hearsay node ${node.id}`)
  for (const address of listen) line(io.stdout, `  nodes   ${address}`)
  if (redis !== null) line(io.stdout, `  redis   redis-cli -p ${redis}`)
  if (http !== null) line(io.stdout, `  http    curl http://localhost:${http}/health`)
  line(io.stdout, `  try     hearsay set greeting hello --data ${path}`)
  if (isNew) {
    line(io.stdout, '\nA new cluster. On another machine, with this invite (keep it secret):')
    line(io.stdout, `\n  hearsay start --data DIR --join ${node.invite()}\n`)
  }
  line(io.stdout, 'Ctrl-C stops it.')
}

/** Reports until the node counts as an owner; `undefined` when it already does. */
function watchJoining(node: HearsayNode, io: Io): NodeJS.Timeout | undefined {
  if (node.status().state !== 'joining') return undefined
  const timer = setInterval(() => {
    const { state, fillingSlots, rows } = node.status()
    if (state === 'joining') {
      line(io.stdout, `joining: ${rows} rows here, ${fillingSlots} slots still to be filled`)
    } else {
      clearInterval(timer)
      line(io.stdout, `joined: this node holds ${rows} rows`)
    }
  }, progressMs)
  return timer
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function stopping(running: Running, call: Call, io: Io): Promise<void> {
  const json = call.flag('json')
  if (!json) line(io.stdout, 'stopping')
  await running.close()
  line(io.stdout, json ? JSON.stringify({ event: 'stopped' }) : 'stopped')
}

function errorEvent(cause: unknown): string {
  const { code = 'ERR_INTERNAL', message } = cause as { code?: string; message: string }
  return JSON.stringify({ event: 'error', code, message })
}
