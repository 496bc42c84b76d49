/** Waiting as a promise, on timers that are given. */

export interface SleepTimers {
  after(ms: number, fn: () => void): () => void
}

/** Rejects with the signal's reason when aborted. */
export function sleep(timers: SleepTimers, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error)
    const onAbort = () => {
      cancel()
      reject(signal?.reason as Error)
    }
    const cancel = timers.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
