/**
 * One node of the demo: a child process running `hearsay start --json`, and the admin client of its
 * data directory. Its own process group keeps the terminal's Ctrl-C for the demo; its IPC channel
 * makes it stop by itself should the demo be killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { NodeId } from '../../../index.ts'
import { AdminClient } from '../../admin/client.ts'
import { StepFailed } from './wait.ts'

export interface Ready {
  readonly peerId: NodeId
  readonly listen: readonly string[]
  readonly redis: number
  readonly http: number
}

/** From source, with the loader that runs it, in tests; compiled otherwise. */
const fromSource = import.meta.url.endsWith('.ts')
const main = fileURLToPath(new URL(`../main.${fromSource ? 'ts' : 'js'}`, import.meta.url))
const nodeArguments = [...(fromSource ? process.execArgv : []), main]
const stderrCharactersMax = 4_000
const startMs = 30_000
const stopMs = 10_000

export class DemoNode {
  readonly name: string
  readonly directory: string
  readonly admin: AdminClient
  #child: ChildProcess | undefined
  #ready: Ready | undefined
  #stderr = ''

  constructor(name: string, directory: string) {
    this.name = name
    this.directory = directory
    this.admin = new AdminClient(directory)
  }

  /** What it said when it was last ready. */
  get ready(): Ready {
    if (this.#ready === undefined) throw new StepFailed(`${this.name} has not started`)
    return this.#ready
  }

  get id(): NodeId {
    return this.ready.peerId
  }

  get running(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    )
  }

  /** The second time on the same port, as a machine in a rack would. */
  async start(invite?: string): Promise<void> {
    const listen = this.#ready?.listen[0]?.split('/p2p/')[0] ?? '/ip4/127.0.0.1/tcp/0'
    const args = ['start', '--json', '--data', this.directory, '--listen', listen]
    args.push('--redis', String(this.#ready?.redis ?? 0), '--http', String(this.#ready?.http ?? 0))
    if (invite !== undefined) args.push('--join', invite)
    const child = spawn(process.execPath, [...nodeArguments, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true
    })
    this.#child = child
    this.#stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrCharactersMax)
    })
    this.#ready = await this.#firstEvent(child)
  }

  /** Asks it to end through its admin socket, and insists if it does not. */
  async stop(): Promise<void> {
    if (!this.running) return
    const child = this.#takeChild()
    const ended = once(child, 'exit')
    await this.admin.stop().catch(() => child.kill('SIGTERM'))
    const insist = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await ended
    clearTimeout(insist)
    await this.admin.close()
  }

  /** `kill -9`: no warning, no clean-up. */
  async kill(): Promise<void> {
    if (!this.running) return
    const child = this.#takeChild()
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    await this.admin.close()
  }

  /** Throws when the process ended though nobody asked it to. */
  check(): void {
    if (this.#child !== undefined && !this.running) throw this.#died(this.#child)
  }

  /** From here on its end is expected. */
  #takeChild(): ChildProcess {
    const child = this.#child as ChildProcess
    this.#child = undefined
    return child
  }

  #firstEvent(child: ChildProcess): Promise<Ready> {
    return new Promise((resolve, reject) => {
      let text = ''
      const late = setTimeout(() => {
        child.kill('SIGKILL')
        reject(new StepFailed(`${this.name} was not ready within ${startMs / 1_000} s`))
      }, startMs)
      const settle = (act: () => void): void => {
        clearTimeout(late)
        act()
      }
      child.once('error', cause => settle(() => reject(cause)))
      child.once('close', () => settle(() => reject(this.#died(child))))
      child.stdout?.setEncoding('utf8').on('data', (part: string) => {
        text += part
        const end = text.indexOf('\n')
        if (end < 0 || !text.includes('"ready"')) return
        settle(() => resolve(JSON.parse(text.slice(0, end)) as Ready))
      })
    })
  }

  #died({ exitCode, signalCode }: ChildProcess): StepFailed {
    const how = exitCode === null ? `by ${signalCode}` : `with status ${exitCode}`
    const said = this.#stderr.trim()
    return new StepFailed(`${this.name} ended ${how}${said === '' ? '' : `: ${said}`}`)
  }
}
