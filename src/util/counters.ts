/** Counts by name, kept from the start of the process. */
export class Counters {
  readonly #totals = new Map<string, number>()

  /** By 0 it is there from then on, so that who watches it sees where it begins. */
  count(name: string, by = 1): void {
    this.#totals.set(name, (this.#totals.get(name) ?? 0) + by)
  }

  /** By name, in the order of names. A copy. */
  totals(): Record<string, number> {
    return Object.fromEntries([...this.#totals].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}
