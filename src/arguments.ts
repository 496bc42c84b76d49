/** Options as callers give them: names that are not known are refused, for a misspelt one is lost. */
import { HearsayError } from './errors.ts'
import type { NodeOptions, ReadRepairMode } from './options.ts'
import type { Durability } from './ports.ts'
import { parseLevel } from './quorum/level.ts'
import { shown } from './util/shown.ts'

const nodeOptions = [
  'path',
  'listen',
  'join',
  'n',
  'readLevel',
  'writeLevel',
  'durability',
  'readRepair',
  'signal',
  'log'
] as const satisfies (keyof NodeOptions)[]

/** Throws `ERR_ARGUMENT`, and `ERR_LEVEL` for what is no level. */
export function checkNodeOptions(options: unknown): asserts options is NodeOptions {
  checkNames('createNode', options, nodeOptions)
  const { path, listen, join, signal, log } = options as Record<string, unknown>
  if (typeof path !== 'string' || path === '') throw wrong('path', 'the name of a directory')
  if (listen !== undefined && !isTexts(listen)) throw wrong('listen', 'a list of multiaddrs')
  if (join !== undefined && typeof join !== 'string') throw wrong('join', 'an invite')
  if (log !== undefined && typeof log !== 'function') throw wrong('log', 'a function')
  checkSignal(signal)
  const { readLevel, writeLevel, durability, readRepair } = options as NodeOptions
  if (readLevel !== undefined) parseLevel(readLevel)
  if (writeLevel !== undefined) parseLevel(writeLevel)
  if (durability !== undefined) checkDurability(durability)
  if (readRepair !== undefined) checkReadRepair(readRepair)
}

export function checkDurability(durability: unknown): asserts durability is Durability {
  if (durability === 'commit' || durability === 'flush') return
  throw wrong('durability', `'commit' or 'flush', not ${shown(durability)}`)
}

export function checkReadRepair(mode: unknown): asserts mode is ReadRepairMode {
  if (mode === 'blocking' || mode === 'async' || mode === 'off') return
  throw wrong('readRepair', `'blocking', 'async' or 'off', not ${shown(mode)}`)
}

export function checkNames(call: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw wrong('The argument', 'an object')
  const unknown = Object.keys(options).find(name => !names.includes(name))
  if (unknown === undefined) return
  throw new HearsayError(
    'ERR_ARGUMENT',
    `${call} has no option ${JSON.stringify(unknown)}; use ${names.join(', ')}.`
  )
}

export function checkFlag(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false')
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrong(name, 'a function')
}

export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw wrong('signal', 'an AbortSignal (of a controller, its .signal)')
}

/** Options of a task that is asked for by hand: those in `names`, and those checked here are of their type. */
export function checkWork(call: string, options: unknown, names: readonly string[]): void {
  checkNames(call, options, names)
  const { signal, now, onProgress } = options as Record<string, unknown>
  checkSignal(signal)
  if (now !== undefined) checkFlag('now', now)
  if (onProgress !== undefined) checkFunction('onProgress', onProgress)
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && Array.from<unknown>(value).every(item => typeof item === 'string')
}

function wrong(name: string, what: string): HearsayError {
  return new HearsayError('ERR_ARGUMENT', `${name} has to be ${what}.`)
}
