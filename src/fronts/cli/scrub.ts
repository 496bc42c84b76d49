/** scrub: has the running node read and prove all it holds, and tells what came of it. */
import type { ScrubProgress, ScrubReport } from '../../index.ts'
import { withAdmin } from './admin.ts'
import { dataOption, jsonOption, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'
import { passText, withProgress } from './progress.ts'

export const scrubCommand: Command = {
  name: 'scrub',
  arguments: [],
  summary: 'Read and prove every row of this node now, and heal what is damaged',
  notes: [
    'A damaged row is set aside and fetched from the other owners; a Merkle tree that disagrees with',
    'its rows is made anew. The node does the same slowly by itself. Ctrl-C ends it.'
  ],
  options: [dataOption, jsonOption],
  run: scrub
}

async function scrub(call: Call, io: Io): Promise<number> {
  const stop = new AbortController()
  const forget = io.onStop(() => stop.abort())
  let last: ScrubProgress | undefined
  const onProgress = (progress: ScrubProgress) => void (last = progress)
  const text = (seconds: number) => (last ? progressText(last, seconds) : 'scrubbing')
  try {
    const report = await withProgress(io, text, () =>
      withAdmin(call, admin => admin.scrub({ signal: stop.signal, onProgress }))
    )
    print(call, io, report, true)
    return report.missing === 0 ? 0 : 1
  } catch (cause) {
    if (!stop.signal.aborted) throw cause
    if (last !== undefined) print(call, io, last, false)
    return 130
  } finally {
    forget()
  }
}

function progressText(progress: ScrubProgress, seconds: number): string {
  if (!progress.healing) return passText('scrubbing', progress, seconds)
  const { missing } = progress
  return `comparing with the other owners: ${missing} rows have not come back yet`
}

function print(call: Call, io: Io, report: ScrubReport, complete: boolean): void {
  const text = call.flag('json')
    ? JSON.stringify({ ...report, complete })
    : reportText(report, complete)
  line(io.stdout, text)
}

/** For people; programs use `--json`. */
function reportText(report: ScrubReport, complete: boolean): string {
  const { slots, rows, bytes, damagedRows, lostRows, treesRebuilt, healed, missing } = report
  const read = `${complete ? 'read' : 'interrupted after'} ${slots} slots, ${rows} rows, ${bytes} bytes`
  const damaged =
    damagedRows === 0
      ? 'no row is damaged'
      : `${damagedRows} rows were damaged, ${healed} are healed`
  const lost = lostRows === 0 ? '' : `, ${lostRows} were gone from the disk`
  const away = missing === 0 ? '' : `, ${missing} have not come back yet`
  const trees = treesRebuilt === 0 ? '' : `; ${treesRebuilt} trees were wrong and made anew`
  return `${read}: ${damaged}${lost}${away}${trees}`
}
