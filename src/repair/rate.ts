/** How fast one owner is sent what it missed: as fast as it takes it, and no faster than a rate. */

export interface Rates {
  readonly rowsPerSecondMax: number
  readonly bytesPerSecondMax: number
}

export interface Sent {
  readonly rows: number
  readonly bytes: number
}

/** How long to pause after a batch, so that with the time it took the rates are kept. */
export function pauseAfter({ rows, bytes }: Sent, tookMs: number, rates: Rates): number {
  const dueMs = 1_000 * Math.max(rows / rates.rowsPerSecondMax, bytes / rates.bytesPerSecondMax)
  return Math.max(0, dueMs - tookMs)
}
