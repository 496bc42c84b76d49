/** The clock, the timers and the chance of the machine itself, behind the ports. */
import { randomBytes } from 'node:crypto'
import type { Clock, Random, Timers } from './ports.ts'

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now()
}

export const systemTimers: Timers = {
  after: (ms, fn) => {
    // A timer takes a millisecond at least; what only gives way to others is not to wait.
    if (ms <= 0) {
      const immediate = setImmediate(fn)
      return () => clearImmediate(immediate)
    }
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  }
}

export const systemRandom: Random = {
  bytes: length => new Uint8Array(randomBytes(length)),
  u32: () => randomBytes(4).readUInt32LE()
}
