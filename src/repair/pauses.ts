/** Which background tasks an operator has paused. Kept in the store: a restart does not undo it. */
import type { BackgroundTask } from '../options.ts'
import type { Store } from '../ports.ts'
import { text, utf8 } from '../util/bytes.ts'

const KEY = utf8('paused')
const tasks = ['hints', 'anti-entropy', 'scrub'] as const satisfies BackgroundTask[]

export class Pauses {
  readonly #store: Store
  readonly #paused: Set<BackgroundTask>

  constructor(store: Store) {
    this.#store = store
    const saved = text(store.get('meta', KEY) ?? new Uint8Array()).split(',')
    this.#paused = new Set(tasks.filter(task => saved.includes(task)))
  }

  get list(): readonly BackgroundTask[] {
    return [...this.#paused]
  }

  has(task: BackgroundTask): boolean {
    return this.#paused.has(task)
  }

  /** Resolves when the choice is durable. */
  async set(task: BackgroundTask, paused: boolean): Promise<void> {
    if (paused) this.#paused.add(task)
    else this.#paused.delete(task)
    const value = utf8(this.list.join(','))
    await this.#store.commit([{ space: 'meta', key: KEY, value }], 'flush')
  }
}

export function isBackgroundTask(name: string): name is BackgroundTask {
  return (tasks as readonly string[]).includes(name)
}
