/** What was too far ahead of the clock when it arrived is tried again, once its time has come. */
import { decodeChange, newestShown } from '../lattice/change.ts'
import { parseRowKey, slotIn } from '../ring/row-key.ts'
import type { Identity } from './identity.ts'
import type { Quarantine } from './quarantine.ts'

/** Told of the slots of what is joined, and waited for, before and after. */
export type Around = (slots: ReadonlySet<number>) => Promise<void>

export interface Retried {
  readonly quarantine: Quarantine
  readonly identity: Identity
  apply(key: Uint8Array, kind: 'row' | 'delta', bytes: Uint8Array): Promise<unknown>
}

/** Rejects with why something could not be joined; that, and what was to come after it, waits on. */
export async function retryAhead(replica: Retried, around: Around = async () => {}): Promise<void> {
  const ready = [...readyIn(replica)]
  if (ready.length === 0) return
  const slots = new Set(ready.map(({ slot }) => slot))
  await around(slots)
  try {
    for (const { key, kind, bytes } of ready) await replica.apply(key, kind, bytes)
  } finally {
    await around(slots)
  }
}

function* readyIn({ quarantine, identity }: Retried) {
  for (const [id, { reason, delta, bytes }] of quarantine.entries()) {
    const change = reason === 'ahead' ? decodeChange(delta, bytes) : undefined
    const key = parseRowKey(id)?.key
    if (change === undefined || key === undefined) continue
    if (!identity.observe(newestShown(change))) continue
    yield { slot: slotIn(id), key, kind: delta ? ('delta' as const) : ('row' as const), bytes }
  }
}
