/** INFO: figures for people and for clients that look for `loading` and `redis_version`. */
import { version } from '../version.ts'
import type { RespContext, RespSession } from './commands.ts'
import { clientsMax } from './limits.ts'
import { verbatim } from './reply.ts'

/** The Redis whose verbs and error texts are followed; clients choose features by it. */
export const redisVersion = '7.2.0'

type Fields = Readonly<Record<string, string | number>>

const sections: Readonly<Record<string, (context: RespContext) => Fields>> = {
  Server: ({ port, startedMs }) => ({
    redis_version: redisVersion,
    redis_mode: 'standalone',
    hearsay_version: version(),
    process_id: process.pid,
    tcp_port: port,
    uptime_in_seconds: Math.floor((Date.now() - startedMs) / 1_000)
  }),
  Clients: ({ clients }) => ({ connected_clients: clients, maxclients: clientsMax }),
  Persistence: () => ({ loading: 0 }),
  Stats: ({ connections, commands }) => ({
    total_connections_received: connections,
    total_commands_processed: commands
  }),
  Replication: () => ({ role: 'master', connected_slaves: 0 }),
  Hearsay: clusterFields
}

/** `INFO [section ...]`. A section that does not exist is left out, as Redis does. */
export function info(
  args: readonly Uint8Array[],
  session: RespSession,
  context: RespContext
): Uint8Array {
  const wanted = new Set(args.map(arg => Buffer.from(arg).toString('latin1').toLowerCase()))
  const all = ['all', 'default', 'everything'].some(word => wanted.has(word)) || wanted.size === 0
  const parts = Object.entries(sections)
    .filter(([name]) => all || wanted.has(name.toLowerCase()))
    .map(([name, fields]) => section(name, fields(context)))
  return verbatim(parts.join('\r\n'), session.version)
}

function section(name: string, fields: Fields): string {
  const lines = Object.entries(fields).map(([field, value]) => `${field}:${value}\r\n`)
  return `# ${name}\r\n${lines.join('')}`
}

function clusterFields({ node }: RespContext): Fields {
  const status = node.status()
  return {
    node: status.id,
    cluster: status.cluster,
    state: status.state,
    members: status.members.length,
    members_alive: status.members.filter(member => member.liveness === 'alive').length,
    replication_factor: status.n,
    local_rows: status.rows,
    merkle_root: status.root
  }
}
