/**
 * Calls under way that their client named, so that it can end one and still hear its answer: the last
 * progress, and that it was ended. Leaving ends a call as well, but hears nothing any more.
 *
 * Not promised: that names are unique. They are drawn by clients; of two that are the same the later
 * is ended.
 */
export class Calls {
  /** Each only as long as its connection. */
  readonly #ends = new Map<string, () => void>()

  /** Runs the work of a call; one without a name cannot be ended. */
  async run<T>(name: unknown, end: () => void, work: () => Promise<T>): Promise<T> {
    if (typeof name !== 'string') return work()
    this.#ends.set(name, end)
    try {
      return await work()
    } finally {
      this.#ends.delete(name)
    }
  }

  /** False when no call of that name is under way: it is over, or has not arrived. */
  end(name: unknown): boolean {
    const end = typeof name === 'string' ? this.#ends.get(name) : undefined
    end?.()
    return end !== undefined
  }
}
