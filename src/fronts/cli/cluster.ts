/** invite and status: the cluster as the running node sees it. */
import type { ClusterSync, InSync, ScrubStatus, Status } from '../../index.ts'
import { withAdmin } from './admin.ts'
import { ago } from './ago.ts'
import { dataOption, jsonOption, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'

export const inviteCommand: Command = {
  name: 'invite',
  arguments: [],
  summary: 'Print the invite with which another machine joins; it holds the cluster key',
  options: [dataOption, jsonOption],
  run: invite
}

export const statusCommand: Command = {
  name: 'status',
  arguments: [],
  summary: 'Show members, rows, hints and how long ago each peer was equal',
  options: [dataOption, jsonOption],
  run: status
}

async function invite(call: Call, io: Io): Promise<number> {
  const text = await withAdmin(call, admin => admin.invite())
  line(io.stdout, call.flag('json') ? JSON.stringify({ invite: text }) : text)
  return 0
}

async function status(call: Call, io: Io): Promise<number> {
  const [status, cluster] = await withAdmin(call, admin =>
    Promise.all([admin.status(), admin.sync()])
  )
  const shown = call.flag('json')
    ? JSON.stringify({ ...status, clusterSync: cluster })
    : statusText(status, cluster)
  line(io.stdout, shown)
  return 0
}

/** For people; programs use `--json`. */
export function statusText(status: Status, clusterSync?: ClusterSync): string {
  const { id, cluster, state, n, root, fillingSlots, paused } = status
  const { readLevel, writeLevel, durability, readRepair } = status.defaults
  const facts = [
    ['node', `${id} (${state})`],
    ['cluster', `${cluster}, replication factor ${n}`],
    ['rows', rowsText(status)],
    ['root', root],
    ['in sync', syncText(status.sync)],
    ...(clusterSync === undefined ? [] : [['', clusterText(clusterSync)]]),
    ['filling', fillingSlots > 0 ? `${fillingSlots} slots still to come` : 'no'],
    [
      'levels',
      `read ${readLevel}, write ${writeLevel}, durability ${durability}, read repair ${readRepair}`
    ],
    ['scrub', scrubText(status.scrub)],
    ['paused', paused.length > 0 ? paused.join(', ') : 'nothing']
  ]
  const lines = facts.map(([name, value]) => `${(name as string).padEnd(9)}${value}`)
  const notes = status.notes.map(note => `note     ${note}`)
  return [...lines, ...notes, ...members(status), ...hints(status), ...exchanges(status)].join('\n')
}

function scrubText({ slot, lastPassMs, running }: ScrubStatus): string {
  const last = lastPassMs === undefined ? 'no pass yet' : `last pass ended ${ago(lastPassMs)}`
  return `${last}, at slot ${slot}${running ? ', one is under way' : ''}`
}

function rowsText({ rows, tombstones, quarantined, conflicts }: Status): string {
  const parts = [
    `${rows}`,
    ...(tombstones > 0 ? [`${tombstones} of them deleted`] : []),
    ...(quarantined > 0 ? [`${quarantined} in quarantine`] : []),
    ...(conflicts > 0 ? [`${conflicts} lost to concurrent writes (see hearsay conflicts)`] : [])
  ]
  return parts.join(', ')
}

/** "100 % verified, worst slot 4 s ago"; "99.9 % verified, worst slot never". */
function syncText({ slots, verified, worstMs }: InSync): string {
  if (slots === 0) return 'it owns nothing yet'
  const share = Math.floor((1_000 * verified) / slots) / 10
  return `${share} % verified, worst slot ${worstMs === undefined ? 'never' : ago(worstMs)}`
}

function clusterText(sync: ClusterSync): string {
  const { silent } = sync
  const unknown = silent.length === 0 ? '' : `; nothing is known of ${silent.join(' ')}`
  return `cluster: ${syncText(sync)}${unknown}`
}

function members({ members }: Status): string[] {
  const rows = members.map(member => {
    const self = member.self ? ' (this node)' : ''
    const where = member.addresses.join(' ')
    return `  ${member.id}  ${member.state.padEnd(8)}${member.liveness.padEnd(8)}${where}${self}`
  })
  return ['', 'members', ...rows, ...waiting(members)]
}

/** Why a newcomer is not up yet. */
function waiting(members: Status['members']): string[] {
  if (!members.some(({ state }) => state === 'filled')) return []
  const away = members.filter(({ state, liveness }) => state !== 'joining' && liveness === 'down')
  const whom = away.length === 0 ? '' : `, also ${away.map(({ id }) => id).join(' ')}`
  return [`  who is filled is up once every member has noted it${whom}`]
}

function hints({ hints }: Status): string[] {
  if (hints.length === 0) return []
  const rows = hints.map(
    ({ owner, count, bytes, oldestMs }) =>
      `  for ${owner}: ${count} rows, ${bytes} bytes, the oldest ${ago(oldestMs)}`
  )
  return ['', 'hints', ...rows]
}

function exchanges({ exchanges }: Status): string[] {
  if (exchanges.length === 0) return []
  const rows = exchanges.map(
    ({ peer, sharedSlots, equalMs }) =>
      `  ${peer}: ${sharedSlots} slots shared, ` +
      (equalMs === undefined ? 'not yet seen equal' : `seen equal ${ago(equalMs)}`)
  )
  return ['', 'peers', ...rows]
}
