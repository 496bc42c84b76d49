/** Prometheus text of what the node counts. Pure: a status in, text out. */
import type { Status } from '../../index.ts'

/** Every counter `area.what` becomes `hearsay_area_what_total`. */
export function metricsText(status: Status): string {
  const all = [...gauges(status), ...amplifications(status.counters)]
  const lines = all.flatMap(([name, help, value]) => [
    `# HELP hearsay_${name} ${help}`,
    `# TYPE hearsay_${name} gauge`,
    `hearsay_${name} ${value === Infinity ? '+Inf' : value}`
  ])
  for (const [name, value] of Object.entries(status.counters)) {
    const metric = `hearsay_${name.replace(/[^A-Za-z0-9]/g, '_')}_total`
    lines.push(`# TYPE ${metric} counter`, `${metric} ${value}`)
  }
  return `${lines.join('\n')}\n`
}

type Gauge = readonly [name: string, help: string, value: number]

function gauges(status: Status): Gauge[] {
  const alive = status.members.filter(member => member.liveness === 'alive').length
  const total = (pick: (hint: Status['hints'][number]) => number): number =>
    status.hints.reduce((sum, hint) => sum + pick(hint), 0)
  return [
    ['up', 'Whether this node counts as an owner.', status.state === 'up' ? 1 : 0],
    ['members', 'Members in the table of this node.', status.members.length],
    ['members_alive', 'Members that this node believes alive.', alive],
    ['rows', 'Rows held by this node, deleted ones included.', status.rows],
    ['tombstones', 'Rows that were deleted and stay.', status.tombstones],
    ['quarantined_rows', 'Rows set aside because they could not be applied.', status.quarantined],
    ['filling_slots', 'Slots this node owns and is still being sent.', status.fillingSlots],
    ['hints', 'Rows kept for owners that did not acknowledge.', total(hint => hint.count)],
    ['hint_bytes', 'Bytes of those rows.', total(hint => hint.bytes)],
    ['slots_owned', 'Slots this node owns.', status.sync.slots],
    [
      'slots_verified',
      'Of those, the slots proven identical with every other owner.',
      status.sync.verified
    ],
    [
      'verified_age_seconds',
      'Age of the oldest of those proofs; infinite while a slot has none.',
      (status.sync.worstMs ?? Infinity) / 1_000
    ],
    ['scrub_slot', 'Where the slow pass over the disk is, of 16,384.', status.scrub.slot],
    ['scrub_age_seconds', 'Since a pass over the disk last ended.', scrubAge(status)],
    ['out_of_sync_seconds', 'Since the roots last equalled those of the worst peer.', lag(status)]
  ]
}

/** Of all exchanges that this node began since its start. 1 is the least that a repair can cost. */
function amplifications(counters: Status['counters']): Gauge[] {
  const count = (name: string): number => counters[`exchange.${name}`] ?? 0
  const [rows, bytes] = [count('rows-differed'), count('bytes-differed')]
  const moved = count('rows-sent') + count('rows-received')
  const gauge = (what: string, over: string, of: number, differed: number): Gauge[] => {
    const help = `Amplification: ${over} that differed, in exchanges; absent while none has.`
    return differed === 0 ? [] : [[`exchange_${what}_amplification`, help, of / differed]]
  }
  return [
    ...gauge('rows_moved', 'rows moved over rows', moved, rows),
    ...gauge('rows_read', 'rows read on both sides over rows', count('rows-read'), rows),
    ...gauge('bytes_moved', 'bytes of keys and rows moved over those', count('row-bytes'), bytes)
  ]
}

/** Before the first pass has ended, infinitely long. */
function scrubAge({ scrub }: Status): number {
  return (scrub.lastPassMs ?? Infinity) / 1_000
}

/** A peer never yet compared with counts as infinitely far away. */
function lag({ exchanges }: Status): number {
  const worst = Math.max(0, ...exchanges.map(({ equalMs }) => equalMs ?? Infinity))
  return worst / 1_000
}
