/** Waits for an outcome, until the time is up or the caller gives up. */
import type { Timers } from '../ports.ts'

/**
 * How much longer than the caller each single request may wait: silence is then told as a timeout of
 * the whole, and never as a refusal by a replica.
 */
export const GRACE_MS = 500

export interface WaitOptions<T> {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** What there is to say when the time is up; an error is thrown. */
  readonly onTimeout: () => T
}

/** Rejects with the signal's reason when aborted. The work itself goes on. */
export function within<T>(timers: Timers, work: Promise<T>, options: WaitOptions<T>): Promise<T> {
  const { timeoutMs, signal } = options
  const onTimeout = async () => options.onTimeout()
  return new Promise((resolve, reject) => {
    const cancel = timers.after(timeoutMs, () => settle(() => resolve(onTimeout())))
    const onAbort = () => settle(() => reject(signal?.reason as Error))
    const settle = (act: () => void) => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    work.then(
      value => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error as Error))
    )
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort)
  })
}
