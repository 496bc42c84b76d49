/** Running a command against the node of `--data`. */
import { AdminClient } from '../admin/client.ts'
import { parseLevel, type RequestOptions } from '../../index.ts'
import type { Call } from './command.ts'

/** Lets the connections go whatever happens. */
export async function withAdmin<T>(
  call: Call,
  work: (admin: AdminClient) => Promise<T>
): Promise<T> {
  const admin = new AdminClient(call.text('data') as string)
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}

/** Throws `ERR_LEVEL`. */
export function requestOptions(call: Call): RequestOptions {
  const level = call.text('level')
  return level === undefined ? {} : { level: parseLevel(level) }
}
