/** Counts by name, kept from the start of the process. */
export class Counters {
  readonly #totals = new Map<string, number>()

  count(name: string, by = 1): void {
    if (by !== 0) this.#totals.set(name, (this.#totals.get(name) ?? 0) + by)
  }

  /** By name, in the order of names. A copy. */
  totals(): Record<string, number> {
    return Object.fromEntries([...this.#totals].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}
