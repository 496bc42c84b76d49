/** repair: has the running node exchange rows with its peers now, and tells what was moved. */
import type { ExchangeReport, NodeId, RepairProgress } from '../../index.ts'
import { withAdmin } from './admin.ts'
import { dataOption, jsonOption, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'
import { timeText, withProgress } from './progress.ts'

export const repairCommand: Command = {
  name: 'repair',
  arguments: [],
  summary: 'Compare with each peer now and exchange the rows that differ, even while paused',
  notes: [
    'It ends with status 1 while roots differ, or while a peer is not alive and so was not reached.',
    'What differs is looked at once more after a moment, since it may be a write that is on its way.',
    'With --now it is moved at once. Ctrl-C ends it with status 130; what was moved stays moved.'
  ],
  options: [
    dataOption,
    { name: 'peer', value: 'ID', text: 'only this peer, not every one' },
    { name: 'now', text: 'do not wait for writes that are on their way' },
    jsonOption
  ],
  run: repair
}

async function repair(call: Call, io: Io): Promise<number> {
  const stop = new AbortController()
  const forget = io.onStop(() => stop.abort())
  let last: RepairProgress | undefined
  const onProgress = (progress: RepairProgress) => void (last = progress)
  const text = (seconds: number) => (last ? progressText(last) : `repairing, ${seconds} s`)
  const peer = call.text('peer')
  const only = peer === undefined ? {} : { peer: peer as NodeId }
  const options = { ...only, now: call.flag('now'), signal: stop.signal, onProgress }
  try {
    const reports = await withProgress(io, text, () =>
      withAdmin(call, admin => admin.repair(options))
    )
    print(call, io, reports)
    return reports.every(report => report.equal) ? 0 : 1
  } catch (cause) {
    if (!stop.signal.aborted) throw cause
    if (last !== undefined) printPart(call, io, last)
    return 130
  } finally {
    forget()
  }
}

function print(call: Call, io: Io, reports: readonly ExchangeReport[]): void {
  if (call.flag('json')) return line(io.stdout, JSON.stringify(reports.map(reportJson)))
  for (const report of reports) line(io.stdout, reportText(report))
  if (reports.length === 0) line(io.stdout, 'there is no peer to compare with')
}

/** What was done until it was ended, as it was last heard. */
function printPart(call: Call, io: Io, progress: RepairProgress): void {
  const text = call.flag('json')
    ? JSON.stringify({ ...progress, complete: false })
    : `interrupted: ${doneText(progress)}`
  line(io.stdout, text)
}

function progressText(progress: RepairProgress): string {
  const { rows, elapsedMs, leftMs } = progress
  const rate = Math.round((1_000 * rows) / Math.max(1, elapsedMs))
  const left = leftMs === undefined ? '' : `, ${timeText(leftMs / 1_000)} left`
  return `repairing: ${doneText(progress)}, ${rate} rows/s${left}`
}

function doneText(progress: RepairProgress): string {
  const { peer, peersDone, peersTotal, slots, slotsTotal, rows, bytes } = progress
  const at = `peer ${peersDone + 1} of ${peersTotal} (${peer}), slot ${slots} of ${slotsTotal}`
  return `${at}, ${rows} rows and ${(bytes / 1e6).toFixed(1)} MB moved`
}

function reportJson(report: ExchangeReport): object {
  return { ...report, keys: report.keys.map(key => Buffer.from(key).toString('base64')) }
}

/** One line: what moved, and how it ended. */
function reportText(report: ExchangeReport): string {
  if (!report.reached) return `not reached: ${report.peer}`
  const { peer, equal, rowsSent, rowsReceived, bytesSent, bytesReceived, roundTrips } = report
  const end = equal ? 'roots are equal' : 'roots still differ: run it again'
  const moved = `${rowsSent} rows sent, ${rowsReceived} received, ${bytesSent + bytesReceived} bytes`
  return `${peer}: ${moved} in ${roundTrips} round ${roundTrips === 1 ? 'trip' : 'trips'}; ${end}`
}
