/**
 * Who is there: the peers that have said a fitting hello and have a connection.
 *
 * Promised: a peer is reported once when the first hello with it succeeded, in either direction,
 * and once when its last connection is gone. A connection on which nobody says hello in time is
 * closed. A peer that was started again is rid of the connections of its last life, which may not
 * know that they are dead.
 */
import type { Connection } from '@libp2p/interface'
import type { Cancel, Log, Meter, Timers } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { Epochs } from './epochs.ts'
import { disagreement } from './hello.ts'
import type { Hello } from './hello.ts'
import type { Host } from './host.ts'
import { HELLO_MS_MAX } from './limits.ts'

export interface PresenceComponents {
  readonly host: Host
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
}

export interface PresenceInit {
  readonly hello: Hello
  readonly onPeer: (peer: NodeId, connected: boolean) => void
}

export class Presence {
  readonly #components: PresenceComponents
  readonly #init: PresenceInit
  readonly #present = new Set<NodeId>()
  readonly #epochs = new Epochs()
  /** What was said on each connection that is still known to the host. */
  readonly #greeted = new WeakMap<Connection, string>()
  readonly #probation = new Map<Connection, Cancel>()

  constructor(components: PresenceComponents, init: PresenceInit) {
    this.#components = components
    this.#init = init
    const { host } = components
    host.addEventListener('connection:open', ({ detail }) => this.#onConnection(detail))
    host.addEventListener('connection:close', ({ detail }) => this.#endProbation(detail))
    host.addEventListener('peer:disconnect', ({ detail }) => {
      const peer = detail.toString() as NodeId
      if (this.#present.delete(peer)) init.onPeer(peer, false)
    })
  }

  list(): readonly NodeId[] {
    return [...this.#present]
  }

  has(peer: NodeId): boolean {
    return this.#present.has(peer)
  }

  stop(): void {
    for (const cancel of this.#probation.values()) cancel()
    this.#probation.clear()
  }

  /** Takes the peer in, or says what keeps it out. */
  greet(connection: Connection, theirs: Hello): string | undefined {
    const { meter, log } = this.#components
    const peer = idOf(connection)
    const fault = disagreement(this.#init.hello, theirs)
    if (fault !== undefined) {
      meter.count('network.hellos-refused')
      log.warn('peer-refused', { peer, reason: fault })
      return fault
    }
    this.#endProbation(connection)
    this.#noteEpoch(connection, peer, theirs.epoch)
    if (connection.status === 'open' && !this.#present.has(peer)) {
      this.#present.add(peer)
      this.#init.onPeer(peer, true)
    }
    return undefined
  }

  #noteEpoch(connection: Connection, peer: NodeId, epoch: string): void {
    const { host, log } = this.#components
    this.#greeted.set(connection, epoch)
    if (this.#epochs.note(peer, epoch) === 'returned') log.warn('duplicate-identity', { peer })
    for (const other of host.getConnections(connection.remotePeer)) {
      if ((this.#greeted.get(other) ?? epoch) === epoch) continue
      other.abort(new Error('the other node was started again'))
    }
  }

  #onConnection(connection: Connection): void {
    const late = this.#components.timers.after(2 * HELLO_MS_MAX, () => {
      this.#probation.delete(connection)
      if (this.#present.has(idOf(connection))) return
      this.#components.meter.count('network.hellos-missing')
      connection.abort(new Error('no hello came in time'))
    })
    this.#probation.set(connection, late)
  }

  #endProbation(connection: Connection): void {
    this.#probation.get(connection)?.()
    this.#probation.delete(connection)
  }
}

export function idOf(connection: Connection): NodeId {
  return connection.remotePeer.toString() as NodeId
}
