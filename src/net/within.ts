/** Waiting for something shared: giving up ends the wait and not what is waited for. */
import { NetworkError } from '../errors.ts'
import type { RequestOptions, Timers } from '../ports.ts'

/** Rejects with `NetworkError` (nothing was sent) when the deadline passes or the signal fires. */
export async function within<T>(
  timers: Timers,
  { deadlineMs, signal }: RequestOptions,
  work: Promise<T>
): Promise<T> {
  let giveUp: (error: Error) => void = () => undefined
  const ended = new Promise<never>((_, reject) => (giveUp = reject))
  const onAbort = () =>
    giveUp(new NetworkError('The request was aborted.', true, { cause: signal?.reason }))
  const cancel = timers.after(deadlineMs, () =>
    giveUp(new NetworkError(`There was no connection within ${deadlineMs} ms.`, true))
  )
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) onAbort()
  try {
    return await Promise.race([work, ended])
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
