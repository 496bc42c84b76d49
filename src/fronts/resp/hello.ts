/** HELLO: agrees on the version of RESP and says who answers. */
import type { RespSession } from './commands.ts'
import { redisVersion } from './info.ts'
import { array, bulk, error, integer, map } from './reply.ts'

/** `HELLO [2|3 [SETNAME name]]`. There are no passwords yet, so AUTH is refused and not ignored. */
export function hello(args: readonly Uint8Array[], session: RespSession): Uint8Array {
  const [wanted, ...options] = args.map(arg => Buffer.from(arg).toString('latin1'))
  if (wanted !== undefined) {
    if (!/^-?[0-9]{1,18}$/.test(wanted)) {
      return error('ERR Protocol version is not an integer or out of range')
    }
    if (wanted !== '2' && wanted !== '3') return error('NOPROTO unsupported protocol version')
    const refusal = refuse(options)
    if (refusal !== undefined) return error(refusal)
    session.version = wanted === '3' ? 3 : 2
  }
  return greeting(session)
}

function refuse(options: readonly string[]): string | undefined {
  for (let at = 0; at < options.length; at += 2) {
    const option = options[at] as string
    if (option.toUpperCase() === 'AUTH') {
      return 'ERR HELLO with AUTH is not supported yet; this port is open to this machine only'
    }
    if (option.toUpperCase() !== 'SETNAME' || options[at + 1] === undefined) {
      return `ERR Syntax error in HELLO option '${option}'`
    }
  }
  return undefined
}

function greeting({ version, id }: RespSession): Uint8Array {
  return map(
    [
      ['server', bulk('redis')],
      ['version', bulk(redisVersion)],
      ['proto', integer(version)],
      ['id', integer(id)],
      ['mode', bulk('standalone')],
      ['role', bulk('master')],
      ['modules', array([])]
    ],
    version
  )
}
