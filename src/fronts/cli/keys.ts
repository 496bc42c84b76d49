/** get, set and del: one key through the running node. */
import { HearsayError, type ReadResult, type WriteResult } from '../../index.ts'
import { requestOptions, withAdmin } from './admin.ts'
import { dataOption, jsonOption, levelOption, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'

const options = [dataOption, levelOption, jsonOption]
const inputBytesMax = 1024 * 1024

export const getCommand: Command = {
  name: 'get',
  arguments: ['KEY'],
  summary: 'Print the value of a key as it is; exit status 1 when there is none',
  options,
  run: get
}

export const setCommand: Command = {
  name: 'set',
  arguments: ['KEY', 'VALUE'],
  summary: 'Store a value under a key',
  notes: ['VALUE - reads the value from standard input. Write -- before what begins with a dash.'],
  options,
  run: set
}

export const delCommand: Command = {
  name: 'del',
  arguments: ['KEY'],
  summary: 'Delete a key',
  options,
  run: del
}

async function get(call: Call, io: Io): Promise<number> {
  const [key] = call.arguments
  const read = requestOptions(call)
  const result = await withAdmin(call, admin => admin.read(key as string, read))
  if (call.flag('json')) line(io.stdout, JSON.stringify(readJson(result)))
  else if (result.value === undefined) line(io.stderr, '(not found)')
  else writeRaw(io, result.value)
  return result.value === undefined ? 1 : 0
}

/** For a person the prompt must not stand behind the value; for a program every byte counts. */
function writeRaw({ stdout }: Io, value: Uint8Array): void {
  stdout.write(value)
  if (stdout.isTTY === true) stdout.write('\n')
}

/** A value that is not text goes as `base64`. */
function readJson({ value, version, siblings, answers, repaired }: ReadResult): object {
  if (value === undefined) return { found: false, ...(version === undefined ? {} : { version }) }
  const shown = asText(value)
  const field =
    shown === undefined ? { base64: Buffer.from(value).toString('base64') } : { value: shown }
  return { found: true, ...field, version, siblings, answers, repaired }
}

function asText(value: Uint8Array): string | undefined {
  const shown = Buffer.from(value).toString()
  return Buffer.from(shown).equals(value) ? shown : undefined
}

async function set(call: Call, io: Io): Promise<number> {
  const [key, value] = call.arguments
  const write = requestOptions(call)
  const bytes = value === '-' ? await readAll(io, key as string) : (value as string)
  const result = await withAdmin(call, admin => admin.put(key as string, bytes, write))
  report('stored', result, call, io)
  return 0
}

/** No more than could be stored: the input may have no end. */
async function readAll(io: Io, key: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of io.stdin) {
    length += part.length
    if (length > inputBytesMax) throw tooLong(key)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function tooLong(key: string): HearsayError {
  const name = JSON.stringify(key)
  const text = `The value for ${name} on standard input is too long; a value may have 1 MiB.`
  return new HearsayError('ERR_ROW_SIZE', text)
}

async function del(call: Call, io: Io): Promise<number> {
  const [key] = call.arguments
  const write = requestOptions(call)
  const result = await withAdmin(call, admin => admin.delete(key as string, write))
  report('deleted', result, call, io)
  return 0
}

function report(verb: string, result: WriteResult, call: Call, io: Io): void {
  if (call.flag('json')) return line(io.stdout, JSON.stringify(result))
  const { acknowledged, hinted, version } = result
  const hints = hinted.length === 0 ? '' : `, hints kept for ${hinted.length}`
  const replicas = acknowledged.length === 1 ? 'replica' : 'replicas'
  line(io.stdout, `${verb} on ${acknowledged.length} ${replicas}${hints}, version ${version}`)
}
