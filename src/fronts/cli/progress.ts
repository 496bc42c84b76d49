/**
 * Progress for what takes longer than a second. On a terminal one line that overwrites itself, on
 * standard error, so that output stays clean; elsewhere nothing.
 */
import type { Io } from './io.ts'

const firstMs = 1_000
const everyMs = 250

/** Runs `work`; `text` is asked for what to show, and given the seconds since the start. */
export async function withProgress<T>(
  io: Pick<Io, 'stderr'>,
  text: (seconds: number) => string,
  work: () => Promise<T>
): Promise<T> {
  if (io.stderr.isTTY !== true) return work()
  const started = Date.now()
  const timer = setInterval(() => {
    const elapsed = Date.now() - started
    if (elapsed >= firstMs) io.stderr.write(`\r\x1b[2K${text(Math.floor(elapsed / 1_000))}`)
  }, everyMs)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (Date.now() - started >= firstMs) io.stderr.write('\r\x1b[2K')
  }
}

/** How far a pass over the slots is: what it has done, how fast, and how long it will take. */
export interface PassProgress {
  readonly slots: number
  readonly slotsTotal: number
  readonly rows: number
  readonly rowsTotal: number
  readonly bytes: number
}

export function passText(doing: string, progress: PassProgress, seconds: number): string {
  const { slots, slotsTotal, rows, rowsTotal, bytes } = progress
  const rate = Math.round(rows / Math.max(1, seconds))
  const left = slots === 0 ? '' : `, ${timeText((seconds * (slotsTotal - slots)) / slots)} left`
  const megabytes = `${(bytes / 1e6).toFixed(1)} MB`
  return `${doing}: slot ${slots} of ${slotsTotal}, ${rows} of ${rowsTotal} rows, ${megabytes}, ${rate} rows/s${left}`
}

export function timeText(seconds: number): string {
  return seconds < 120 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`
}
