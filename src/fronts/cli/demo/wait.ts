/** Waiting for the cluster to become what a step says it becomes. */
import { setTimeout as sleep } from 'node:timers/promises'

const everyMs = 100

/** A step did not hold. The message says what was expected and what was there. */
export class StepFailed extends Error {}

export function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new StepFailed(otherwise)
}

/** Looks again and again until `probe` gives something; rejects with `StepFailed` at the deadline. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  signal: AbortSignal,
  deadlineMs = 30_000
): Promise<T> {
  const end = Date.now() + deadlineMs
  for (;;) {
    signal.throwIfAborted()
    const found = await probe()
    if (found !== undefined) return found
    expect(Date.now() < end, `${what}: not within ${deadlineMs / 1_000} s`)
    await sleep(everyMs, undefined, { signal })
  }
}
