/** What the steps of the story share: the scene they play in, and how they read and write in it. */
import type { ReadResult } from '../../../index.ts'
import type { Io } from '../io.ts'
import type { Cluster } from './cluster.ts'

export interface Scene {
  readonly cluster: Cluster
  readonly io: Pick<Io, 'stderr'>
  /** Ends the story early. */
  readonly signal: AbortSignal
  /** Versions that later steps compare with. */
  readonly versions: { ugly: string; cute: string }
}

export interface Step {
  /** A heading, where a new chapter begins. */
  readonly chapter?: string
  readonly title: string
  run(scene: Scene): Promise<readonly string[]>
}

const inFlight = 64

/** `act` for 0 to `count - 1`, many at a time; rejects with the first failure. */
export async function inParallel(
  count: number,
  act: (i: number) => Promise<void>,
  signal: AbortSignal
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      signal.throwIfAborted()
      await act(next++)
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane))
}

/** The value, for people. */
export function text({ value }: ReadResult): string {
  return value === undefined ? '(nothing)' : Buffer.from(value).toString()
}

/** The versions that were answered, lowest first. */
export function distinct({ answers }: ReadResult): string[] {
  const versions = answers.map(({ version }) => version ?? '(none)')
  return [...new Set(versions)].sort()
}
