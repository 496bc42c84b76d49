/** conflicts: what lost to concurrent writes at the running node. */
import type { Conflict } from '../../index.ts'
import { withAdmin } from './admin.ts'
import { dataOption, jsonOption, UsageError, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'
import { printBytes } from './print-bytes.ts'

export const conflictsCommand: Command = {
  name: 'conflicts',
  arguments: [],
  summary: 'List values that lost to concurrent writes, the newest first',
  notes: ['Each node notes what it saw; the oldest of 1,000 records make room for new ones.'],
  options: [
    dataOption,
    { name: 'limit', value: 'N', text: 'no more than so many', default: '50' },
    jsonOption
  ],
  run: conflicts
}

async function conflicts(call: Call, io: Io): Promise<number> {
  const limit = call.text('limit') as string
  if (!/^[1-9]\d{0,3}$/.test(limit)) {
    throw new UsageError(`--limit is a whole number from 1 to 9999, not ${JSON.stringify(limit)}.`)
  }
  const lost = await withAdmin(call, admin => admin.conflicts({ limit: Number(limit) }))
  if (call.flag('json')) line(io.stdout, json(lost))
  else if (lost.length === 0) line(io.stdout, 'nothing has lost to a concurrent write')
  else for (const each of lost) line(io.stdout, conflictText(each))
  return 0
}

/** Bytes as base64: they need not be text. */
function json(lost: readonly Conflict[]): string {
  return JSON.stringify(lost, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
  )
}

export function conflictText(conflict: Conflict): string {
  const { atMs, key, field, reason, winner, loser, value, valueBytes } = conflict
  const where = field === undefined ? printBytes(key) : `${printBytes(key)} ${printBytes(field)}`
  const what = value === undefined ? '' : `  ${printBytes(value)}, ${valueBytes} bytes`
  const at = new Date(atMs).toISOString()
  return `${at}  ${where}  ${loser} lost to ${winner} (${reason})${what}`
}
