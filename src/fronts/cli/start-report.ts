/** What start tells: events for programs, lines for people. */
import type { NodeOptions } from '../../index.ts'
import type { Call } from './command.ts'
import { line, type Io } from './io.ts'
import type { Running } from './running.ts'

type Log = NonNullable<NodeOptions['log']>

/** How often it is said that starting goes on. */
const progressMs = 2_000

export class StartReport {
  readonly #io: Io
  readonly #json: boolean
  readonly #verbose: boolean
  readonly #joins: boolean
  #received = 0
  #news = ''

  constructor(call: Call, io: Io) {
    this.#io = io
    this.#json = call.flag('json')
    this.#verbose = call.flag('verbose')
    this.#joins = call.text('join') !== undefined
  }

  /** The log of the node: shown with `--verbose`, and the source of the progress. */
  readonly log: Log = (level, event, fields) => {
    if (this.#verbose) {
      line(this.#io.stderr, `${level} ${event} ${JSON.stringify(fields, plainNumbers)}`)
    }
    const { address, rows } = fields as { address?: string; rows?: number }
    if (event === 'not-reached') this.#news = `, ${address} does not answer yet`
    if (event === 'filled-from') {
      this.#received += rows ?? 0
      this.#news = `, ${this.#received} rows received`
    }
  }

  /** Says every few seconds that it is still at it: joining may have to wait for other machines. */
  async progress<T>(work: () => Promise<T>): Promise<T> {
    if (this.#json) return work()
    const started = Date.now()
    const timer = setInterval(() => {
      const seconds = Math.round((Date.now() - started) / 1_000)
      const doing = this.#joins ? 'joining' : 'starting'
      line(this.#io.stdout, `${doing}, ${seconds} s so far${this.#news}`)
    }, progressMs)
    try {
      return await work()
    } finally {
      clearInterval(timer)
    }
  }

  ready(running: Running, path: string, isNew: boolean): void {
    const { node, redis, http } = running
    if (!this.#json) return this.#welcome(running, path, isNew)
    const listen = node.addresses()
    const { notes } = node.status()
    this.#event({ event: 'ready', peerId: node.id, listen, redis, http, notes })
  }

  stopping(): void {
    if (!this.#json) line(this.#io.stdout, 'stopping')
  }

  stopped(): void {
    if (this.#json) this.#event({ event: 'stopped' })
    else line(this.#io.stdout, 'stopped')
  }

  /** People get the sentence on standard error, from whoever catches it. */
  failed(cause: unknown): void {
    const { code = 'ERR_INTERNAL', message } = cause as { code?: string; message: string }
    if (this.#json) this.#event({ event: 'error', code, message })
  }

  #event(event: object): void {
    line(this.#io.stdout, JSON.stringify(event))
  }

  #welcome({ node, redis, http }: Running, path: string, isNew: boolean): void {
    const out = this.#io.stdout
    line(out, `Hearsay node ${node.id}`)
    for (const address of node.addresses()) line(out, `  nodes   ${address}`)
    if (redis !== null) line(out, `  redis   redis-cli -p ${redis}`)
    if (http !== null) line(out, `  http    curl http://localhost:${http}/health`)
    for (const note of node.status().notes) line(out, `  note    ${note}`)
    line(out, `  try     hearsay set greeting hello --data ${path}`)
    if (isNew) {
      line(out, '\nA new cluster. On another machine, with this invite (keep it secret):')
      line(out, `\n  hearsay start --data DIR --join ${node.invite()}\n`)
    }
    line(out, 'Ctrl-C stops it.')
  }
}

function plainNumbers(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
