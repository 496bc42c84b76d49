/** The machine, in one line: a time without it says nothing. */
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform } from 'node:os'

export function machine() {
  const { node, v8 } = process.versions
  const cores = availableParallelism()
  return `${processor()}, ${cores} cores, ${platform()} ${arch()}, Node.js ${node} (V8 ${v8})`
}

/** Virtual machines like to say little more than who made it: the numbers tell what it is. */
function processor() {
  const [family, model] = [cpuInfo('cpu family'), cpuInfo('model')]
  const numbers = family === '' ? [] : [`family ${family} model ${model}`]
  const flags = cpuInfo('flags|Features').split(' ')
  const details = [...numbers, ...EXTENSIONS.filter(flag => flags.includes(flag))]
  const name = cpus()[0]?.model.trim() ?? 'a processor without a name'
  return details.length === 0 ? name : `${name} (${details.join(', ')})`
}

/** What decides how fast native code hashes, as far as the system tells. */
const EXTENSIONS = ['avx2', 'avx512f', 'sha_ni']

/**
 * A line of /proc/cpuinfo, or ''.
 *
 * @param {string} name a part of a pattern
 */
function cpuInfo(name) {
  if (platform() !== 'linux') return ''
  const line = new RegExp(`^(?:${name})\\s*:(.*)$`, 'm').exec(readFileSync('/proc/cpuinfo', 'utf8'))
  return line?.[1]?.trim() ?? ''
}
