/**
 * The command line: finds the command, runs it, turns errors into one sentence and a status.
 * 0 done · 1 failed, or nothing found · 2 the command line is wrong · 130 interrupted: for start, twice.
 */
import { HearsayError } from '../../index.ts'
import { version } from '../version.ts'
import { inviteCommand, statusCommand } from './cluster.ts'
import { conflictsCommand } from './conflicts.ts'
import { helpText, parseCall, UsageError, type Command } from './command.ts'
import { demoCommand } from './demo/command.ts'
import { explainCommand } from './explain.ts'
import { line, type Io } from './io.ts'
import { delCommand, getCommand, setCommand } from './keys.ts'
import { scrubCommand } from './scrub.ts'
import { startCommand } from './start.ts'
import { treeCommand } from './tree.ts'
import { repairCommand } from './repair.ts'
import { hintsCommand, pauseCommand, resumeCommand } from './tasks.ts'

const commands: readonly Command[] = [
  startCommand,
  inviteCommand,
  statusCommand,
  getCommand,
  setCommand,
  delCommand,
  explainCommand,
  conflictsCommand,
  pauseCommand,
  resumeCommand,
  repairCommand,
  scrubCommand,
  treeCommand,
  hintsCommand,
  demoCommand
]

/** Resolves with the exit status; never rejects for anything but a bug. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(argv, io)
  } catch (cause) {
    if (cause instanceof UsageError) {
      line(io.stderr, `hearsay: ${cause.message}`)
      return 2
    }
    if (!isOfTheWorld(cause)) throw cause
    line(io.stderr, `hearsay: ${cause.message}`)
    return 1
  }
}

/** A typed error, or one of the system (a full disk, a missing right); all else is a bug. */
function isOfTheWorld(cause: unknown): cause is Error {
  return cause instanceof HearsayError || (cause instanceof Error && 'syscall' in cause)
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv
  switch (name) {
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      return help(rest[0], io)
    case '--version':
      line(io.stdout, version())
      return 0
    default: {
      const command = find(name)
      const call = parseCall(command, rest)
      return call.flag('help') ? help(name, io) : command.run(call, io)
    }
  }
}

function find(name: string): Command {
  const command = commands.find(each => each.name === name)
  if (command !== undefined) return command
  const what = name.startsWith('-') ? 'option' : 'command'
  throw new UsageError(`there is no ${what} ${JSON.stringify(name)}; see hearsay help.`)
}

function help(name: string | undefined, io: Io): number {
  line(io.stdout, name === undefined ? overview() : helpText(find(name)))
  return 0
}

function overview(): string {
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(9)} ${summary}`)
  return [
    'Usage: hearsay COMMAND [ARGUMENTS] [OPTIONS]',
    '',
    'A leaderless, replicated key-value store that heals itself.',
    '',
    ...rows,
    '  help     Explain a command: hearsay help start',
    '',
    '  --version  Print the version'
  ].join('\n')
}
