/** The machine, in one line: a time without it says nothing. */
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform } from 'node:os'

export function machine() {
  const { node, v8 } = process.versions
  const cores = availableParallelism()
  return `${cpus()[0]?.model.trim()}${extensions()}, ${cores} cores, ${platform()} ${arch()}, Node.js ${node} (V8 ${v8})`
}

/** What decides how fast native code hashes, as far as the system tells. */
function extensions() {
  const wanted = ['avx2', 'avx512f', 'sha_ni']
  const flags = cpuFlags()
  const found = wanted.filter(flag => flags.includes(flag))
  return found.length === 0 ? '' : ` (${found.join(', ')})`
}

/** @returns {string[]} */
function cpuFlags() {
  if (platform() !== 'linux') return []
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))
  return line?.[1]?.split(' ') ?? []
}
