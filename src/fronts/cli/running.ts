/**
 * A node with its fronts, as one thing: opened together, closed together in the reverse order. When
 * one of them cannot be opened, those that were are closed before the error goes on.
 */
import type { HearsayNode, NodeOptions } from '../../index.ts'
import { serveAdmin } from '../admin/server.ts'
import { serveHttp } from '../http/server.ts'
import { assertFree, httpPurpose, redisPurpose } from '../listen.ts'
import { serveResp } from '../resp/server.ts'

export interface RunningInit {
  readonly node: NodeOptions
  /** Ports, 0 for a free one, `null` for none. */
  readonly redis: number | null
  readonly http: number | null
  /** Called when somebody asks for the end through the admin socket. */
  readonly onStop: () => void
}

export interface Running {
  readonly node: HearsayNode
  readonly redis: number | null
  readonly http: number | null
  close(): Promise<void>
}

/** Rejects with what `createNode` and the fronts reject with. */
export async function openRunning(
  createNode: (options: NodeOptions) => Promise<HearsayNode>,
  init: RunningInit
): Promise<Running> {
  const opened: { close(): Promise<void> }[] = []
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.unshift(part)
    return part
  }
  try {
    if (init.redis !== null) await assertFree(init.redis, redisPurpose)
    if (init.http !== null) await assertFree(init.http, httpPurpose)
    const node = keep(await createNode(init.node))
    keep(await serveAdmin(node, { directory: init.node.path, onStop: init.onStop }))
    const redis = init.redis === null ? null : keep(await serveResp(node, { port: init.redis }))
    const http = init.http === null ? null : keep(await serveHttp(node, { port: init.http }))
    return {
      node,
      redis: redis?.port ?? null,
      http: http?.port ?? null,
      close: () => closeAll(opened)
    }
  } catch (cause) {
    await closeAll(opened)
    throw cause
  }
}

/** Every part gets its close; the first failure is reported once all had it. */
async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of parts) await part.close().catch((cause: unknown) => failures.push(cause))
  if (failures.length > 0) throw failures[0]
}
