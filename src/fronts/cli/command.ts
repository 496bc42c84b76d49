/**
 * What a command is: a name, its arguments and options as data, and a function. Parsing and help
 * are both made from the data, so an option that exists is an option that is explained.
 */
import { parseArgs } from 'node:util'
import type { Io } from './io.ts'

export interface Option {
  readonly name: string
  /** What stands for the value in the help; a flag has none. */
  readonly value?: string
  readonly multiple?: boolean
  readonly text: string
  readonly default?: string
}

export interface Command {
  readonly name: string
  /** Required arguments, then those in brackets: `KEY`, `[ACTION]`. */
  readonly arguments: readonly string[]
  readonly summary: string
  readonly notes?: readonly string[]
  readonly options: readonly Option[]
  /** Resolves with the exit status. */
  run(call: Call, io: Io): Promise<number>
}

/** The command line is wrong: one sentence, exit status 2. */
export class UsageError extends Error {}

/** One command line, read. */
export class Call {
  readonly arguments: readonly string[]
  readonly #values: Readonly<Record<string, unknown>>

  constructor(positionals: readonly string[], values: Readonly<Record<string, unknown>>) {
    this.arguments = positionals
    this.#values = values
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? (value as string[]) : []
  }
}

export const dataOption: Option = {
  name: 'data',
  value: 'DIR',
  text: 'data directory of the node',
  default: './hearsay-data'
}

export const levelOption: Option = {
  name: 'level',
  value: 'LEVEL',
  text: 'replicas that must answer: one, two, three, quorum, all, any or a number; else as the node was started'
}

export const jsonOption: Option = { name: 'json', text: 'print JSON, for programs' }

const helpOption: Option = { name: 'help', text: 'print this and exit' }

/** Throws `UsageError`. Defaults are filled in. */
export function parseCall(command: Command, argv: readonly string[]): Call {
  const { positionals, values } = parseStrictly(command, argv)
  const call = new Call(positionals, values)
  if (!call.flag('help')) checkCount(command, positionals.length)
  // Most likely a variable that was not set; it would be taken for the working directory.
  if (call.text('data') === '') throw new UsageError('--data is empty; name a directory.')
  return call
}

function parseStrictly(
  command: Command,
  argv: readonly string[]
): { positionals: string[]; values: Record<string, unknown> } {
  const options = [...command.options, helpOption].map(option => [option.name, config(option)])
  try {
    return parseArgs({
      args: [...argv],
      options: Object.fromEntries(options) as Record<string, ReturnType<typeof config>>,
      allowPositionals: true,
      strict: true
    })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw cause
    const sentence = message.split(/[.\n]/)[0] ?? message
    throw new UsageError(`${sentence}; see hearsay ${command.name} --help.`, { cause })
  }
}

function config(option: Option): {
  type: 'string' | 'boolean'
  multiple: boolean
  short?: string
  default?: string
} {
  return {
    type: option.value === undefined ? 'boolean' : 'string',
    multiple: option.multiple === true,
    ...(option.name === 'help' ? { short: 'h' } : {}),
    ...(option.default === undefined || option.multiple ? {} : { default: option.default })
  }
}

function checkCount(command: Command, count: number): void {
  const least = command.arguments.filter(name => !name.startsWith('[')).length
  if (count >= least && count <= command.arguments.length) return
  const missing = command.arguments[count]
  const what = count < least ? `${missing} is missing` : 'there is an argument too many'
  throw new UsageError(`${what}; the usage is ${usage(command)}.`)
}

export function usage({ name, arguments: names, options }: Command): string {
  const parts = ['hearsay', name, ...names]
  if (options.length > 0) parts.push('[OPTIONS]')
  return parts.join(' ')
}

export function helpText(command: Command): string {
  const options = [...command.options, helpOption]
  const labels = options.map(o => `--${o.name}${o.value === undefined ? '' : ` ${o.value}`}`)
  const width = Math.max(...labels.map(label => label.length))
  const rows = options.map((option, i) => {
    const suffix = option.default === undefined ? '' : ` (default ${option.default})`
    const repeat = option.multiple ? ', may be repeated' : ''
    return `  ${(labels[i] as string).padEnd(width)}  ${option.text}${repeat}${suffix}`
  })
  const notes = command.notes === undefined ? [] : ['', ...command.notes]
  return [`Usage: ${usage(command)}`, '', `${command.summary}.`, ...notes, '', ...rows].join('\n')
}
