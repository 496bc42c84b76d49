/**
 * Who is there: the peers that have said a fitting hello and have a connection.
 *
 * Promised: a peer is reported once when the first hello with it succeeded, in either direction,
 * and once when its last connection is gone. A connection on which nobody says hello in time is
 * closed. A peer that was started again is rid of the connections of its last life, which may not
 * know that they are dead: each is asked for a hello once more, and ended if none comes.
 *
 * If one does come, two processes share one identity (a data directory was copied), and the one that
 * was started later is not let in and is told why. So a start that finds its identity in use is
 * refused by whichever peer it meets first.
 */
import type { Connection } from '@libp2p/interface'
import { HearsayError } from '../errors.ts'
import type { Cancel, Log, Meter, Timers } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { Epochs } from './epochs.ts'
import { disagreement, givesWay } from './hello.ts'
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
  /** Asks for a hello over this very connection; resolves with `undefined` when none comes. */
  readonly challenge: (connection: Connection) => Promise<Hello | undefined>
  /** Another process has the identity of this node, and this one is to give way. */
  readonly onDuplicate: (error: HearsayError) => void
}

/** What a hello led to. */
export interface Greeting {
  /** What keeps the peer out, or `undefined`. */
  readonly fault: HearsayError | undefined
  /** To be told to the peer: see `Hello.rival`. */
  readonly rival?: string
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

  /**
   * Takes the peer in, or says what keeps it out. At once, unless connections of another start of
   * the peer have to be challenged first. Never rejects.
   */
  greet(connection: Connection, theirs: Hello): Greeting | Promise<Greeting> {
    const fault = this.#fault(connection, theirs)
    if (fault !== undefined) return { fault: this.#refuse(connection, fault) }
    const others = this.#others(connection, theirs.epoch)
    if (others.length > 0) return this.#challenge(connection, theirs, others)
    this.#admit(connection, theirs.epoch)
    return { fault: undefined }
  }

  async #challenge(
    connection: Connection,
    theirs: Hello,
    others: readonly Connection[]
  ): Promise<Greeting> {
    const answers = await Promise.all(others.map(other => this.#ask(other, theirs.epoch)))
    const rival = answers.find(answer => answer !== undefined)
    if (rival !== undefined) {
      this.#components.log.warn('duplicate-identity', { peer: idOf(connection) })
    }
    if (rival !== undefined && givesWay(theirs.epoch, rival)) {
      return { fault: this.#refuse(connection, copied(idOf(connection))), rival }
    }
    this.#admit(connection, theirs.epoch)
    return { fault: undefined }
  }

  #fault(connection: Connection, theirs: Hello): HearsayError | undefined {
    const { hello, onDuplicate } = this.#init
    const why = disagreement(hello, theirs)
    if (why !== undefined) {
      const where = connection.remoteAddr.toString()
      return new HearsayError('ERR_CLUSTER_MISMATCH', `The node at ${where} ${why}.`)
    }
    if (theirs.rival === undefined) return undefined
    this.#components.log.warn('duplicate-identity', { peer: idOf(connection) })
    if (!givesWay(hello.epoch, theirs.rival)) return undefined
    const error = duplicateError()
    onDuplicate(error)
    return error
  }

  #refuse(connection: Connection, fault: HearsayError): HearsayError {
    const { meter, log } = this.#components
    const peer = idOf(connection)
    meter.count('network.hellos-refused')
    log.warn('peer-refused', { peer, reason: fault.message })
    return fault
  }

  #admit(connection: Connection, epoch: string): void {
    const peer = idOf(connection)
    this.#greeted.set(connection, epoch)
    if (this.#epochs.note(peer, epoch) === 'returned') {
      this.#components.log.warn('duplicate-identity', { peer })
    }
    if (connection.status !== 'open' || this.#present.has(peer)) return
    this.#present.add(peer)
    this.#init.onPeer(peer, true)
  }

  #others({ remotePeer }: Connection, epoch: string): readonly Connection[] {
    const isOther = (other: Connection) => (this.#greeted.get(other) ?? epoch) !== epoch
    return this.#components.host.getConnections(remotePeer).filter(isOther)
  }

  /**
   * The epoch of the process at the other end, if it is another one and alive now. Ends a connection
   * on which no answer comes, and one to a process that gives way.
   */
  async #ask(other: Connection, epoch: string): Promise<string | undefined> {
    const answer = (await this.#init.challenge(other))?.epoch
    const rival = answer === epoch ? undefined : answer
    if (rival === undefined || givesWay(rival, epoch)) {
      other.abort(new Error('the other node was started again'))
    }
    return rival
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

function copied(peer: NodeId): HearsayError {
  return new HearsayError(
    'ERR_DUPLICATE_IDENTITY',
    `Two processes run with the identity ${peer}; the one that was started later is not let in.`
  )
}

export function duplicateError(): HearsayError {
  return new HearsayError(
    'ERR_DUPLICATE_IDENTITY',
    'Another process that was started before this one runs with the identity of this node: its data ' +
      'directory is a copy. Stop the other process if this one is to take its place, or start this ' +
      'one with a new data directory and an invite.'
  )
}
