/** explain: where one key lives, what each owner holds of it, and who wins and why. */
import type { ExplainedCopy, ExplainedEntry, Explanation } from '../../index.ts'
import { withAdmin } from './admin.ts'
import { dataOption, jsonOption, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'
import { ago } from './ago.ts'
import { printBytes } from './print-bytes.ts'

const digestCharacters = 16

export const explainCommand: Command = {
  name: 'explain',
  arguments: ['KEY'],
  summary: 'Show who owns a key, what each owner holds of it, and which version wins and why',
  notes: ['It asks every owner, and other members for hints, and repairs nothing.'],
  options: [dataOption, jsonOption],
  run: explain
}

async function explain(call: Call, io: Io): Promise<number> {
  const [key] = call.arguments
  const explained = await withAdmin(call, admin => admin.explain(key as string))
  line(io.stdout, call.flag('json') ? json(explained) : explanationText(explained, Date.now()))
  return 0
}

/** Bytes as base64: a key or a value need not be text. */
function json(explained: Explanation): string {
  return JSON.stringify(explained, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
  )
}

/** For people; programs use `--json`. */
export function explanationText(explained: Explanation, nowMs: number): string {
  const { key, slot, token, owners, nextOwners, version, kind, why, copies } = explained
  const facts = [
    ['key', printBytes(key)],
    ['slot', `${slot}, token ${token}`],
    ['owners', owners.join(' ')],
    ...(owners.join() === nextOwners.join() ? [] : [['next', nextOwners.join(' ')]]),
    ['shows', kind ?? 'nothing'],
    ['version', version ?? 'none'],
    ['why', why]
  ]
  const lines = facts.map(([name, value]) => `${(name as string).padEnd(9)}${value}`)
  return [...lines, ...copies.flatMap(copy => ['', ...copyText(copy, nowMs)])].join('\n')
}

function copyText(copy: ExplainedCopy, nowMs: number): string[] {
  const { node, owner, self, liveness, answer, error, behind, digest } = copy
  const { hintedFor = [], aside, matched = [] } = copy
  const standing = behind === undefined ? '' : behind ? ', behind' : ', up to date'
  const names = [...(self ? ['this node'] : []), ...(owner ? [] : ['no owner'])]
  const name = names.length === 0 ? node : `${node} (${names.join(', ')})`
  const head = `${name}  ${liveness}, ${answer}${standing}`
  const equal = matched.map(({ peer, agoMs }) => `    equal with ${peer} ${ago(agoMs)}`)
  return [
    head,
    ...(error === undefined ? [] : [`    ${error}`]),
    ...(digest === undefined ? [] : [`    digest ${digest.slice(0, digestCharacters)}`]),
    ...(copy.entries ?? []).map(entry => `    ${entryText(entry, nowMs)}`),
    ...(copy.totals ?? []).map(({ actor, adds }) => `    actor ${actor} adds ${adds}`),
    ...contextText(copy),
    ...(aside === undefined ? [] : [`    keeps a version aside: ${asides[aside]}`]),
    ...hintedFor.map(owner => `    keeps a hint for ${owner}`),
    ...equal
  ]
}

const asides = {
  damaged: 'what lay on its disk is damaged',
  malformed: 'it could not be read',
  ahead: 'it is more than a minute ahead of the clock of this node'
} as const

function entryText({ version, field, value, expiresAt, wins }: ExplainedEntry, nowMs: number) {
  const parts = [
    field === undefined ? undefined : printBytes(field),
    value === undefined ? undefined : `${printBytes(value)}, ${value.length} bytes`,
    expiresAt === undefined ? undefined : expiry(expiresAt, nowMs),
    wins ? 'wins' : undefined
  ]
  return [version, ...parts.filter(part => part !== undefined)].join('  ')
}

function contextText({ context }: ExplainedCopy): string[] {
  if (context === undefined) return []
  const vector = context.vector.map(dot => `    has seen all up to ${dot}`)
  return [...vector, ...context.loose.map(dot => `    has seen ${dot} alone`)]
}

function expiry(expiresAt: number, nowMs: number): string {
  const at = new Date(expiresAt).toISOString()
  return expiresAt <= nowMs ? `expired at ${at}` : `expires at ${at}`
}
