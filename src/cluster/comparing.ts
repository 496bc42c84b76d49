/**
 * Compares member tables with peers: when one connects, and with a random one every few seconds. It
 * finds what gossip lost. What is heard and merged is for the membership to judge.
 */
import { HearsayError } from '../errors.ts'
import type { Cancel, Log, Meter, Network, Random, Timers } from '../ports.ts'
import { encodeTable } from '../ring/members.ts'
import type { NodeId } from '../util/node-id.ts'
import { isBytes, isTuple, pack, unpack } from '../util/msgpack.ts'
import { marksFields, readMarks, type Marks } from '../wire/mark.ts'
import type { Remembered } from './remembered.ts'
import type { ViewKeeper } from './view-keeper.ts'

export interface ComparingComponents {
  readonly network: Network
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly meter: Meter
  readonly remembered: Remembered
  readonly keeper: ViewKeeper
  readonly peers: () => readonly NodeId[]
  /** Resolves once what is heard is durable; rejects when the disk refuses. */
  readonly hear: (peer: NodeId, marks: Marks) => Promise<void> | undefined
  /** Throws `ERR_PROTOCOL` for what is no table. */
  readonly merge: (table: Uint8Array | undefined, from: NodeId) => void
  /** Tables were compared, and are the same for now. */
  readonly onCompared: () => Promise<void>
}

export interface ComparingInit {
  readonly compareMs: number
}

const COMPARE_DEADLINE_MS = 2_000

export class Comparing {
  readonly #components: ComparingComponents
  readonly #init: ComparingInit
  #cancel: Cancel = () => {}
  #stopped = true

  constructor(components: ComparingComponents, init: ComparingInit) {
    this.#components = components
    this.#init = init
    components.network.handle('members', async (from, body) => this.#answer(from, body))
    components.network.onPeer((peer, connected) => {
      if (connected) this.#compareSoon(peer)
    })
  }

  start(): void {
    this.#stopped = false
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  /**
   * Compares tables with a peer; afterwards each has what the other had. Resolves with whether the peer
   * says that it is the same there, and on disk.
   */
  async compare(peer: NodeId, signal?: AbortSignal): Promise<boolean> {
    const { network, keeper, merge, hear, remembered, onCompared } = this.#components
    const options = { deadlineMs: COMPARE_DEADLINE_MS, signal }
    const told = remembered.tell(peer)
    const ask = pack([keeper.view.fingerprint, null, ...marksFields(told)])
    const answer = await network.request(peer, 'members', ask, options)
    remembered.answered(peer, told)
    let last = this.#decode(answer, peer)
    const [theirs, , marks] = last
    hear(peer, marks)?.catch(logged)
    if (theirs !== null) {
      merge(isBytes(theirs) ? theirs : undefined, peer)
      const table = encodeTable(keeper.view.table)
      const tell = this.#encode(peer, keeper.view.fingerprint, table)
      last = this.#decode(await network.request(peer, 'members', tell, options), peer)
    }
    await onCompared()
    const [other, isSaved] = last
    return other === null && isSaved === true
  }

  async #answer(from: NodeId, body: Uint8Array): Promise<Uint8Array> {
    const { keeper, merge, hear } = this.#components
    const [fingerprint, table, marks] = this.#decode(body, from)
    // An answer says that it is durable.
    await hear(from, marks)
    if (isBytes(table)) merge(table, from)
    // What is heard meanwhile is not on disk by then: the answer is about the view of now.
    const { view } = keeper
    const isSaved = await keeper.durable()
    const same = fingerprint === view.fingerprint
    return this.#encode(from, same ? null : encodeTable(view.table), isSaved)
  }

  #encode(to: NodeId, ...fields: readonly unknown[]): Uint8Array {
    return pack([...fields, ...marksFields(this.#components.remembered.tell(to))])
  }

  /** The two fields and, behind them, the marks. */
  #decode(body: Uint8Array, from: NodeId): [unknown, unknown, Marks] {
    const fields = unpack(body)
    const marks = isTuple(fields, 6) ? readMarks(fields.slice(2)) : undefined
    if (marks === undefined) throw malformed(`a comparison of members by ${from}`)
    const [first, second] = fields as unknown[]
    return [first, second, marks]
  }

  #schedule(): void {
    const { timers, random } = this.#components
    const period = this.#init.compareMs
    this.#cancel = timers.after(period / 2 + (random.u32() % period), () => {
      const peers = this.#components.peers()
      const peer = peers[random.u32() % Math.max(1, peers.length)]
      if (peer !== undefined) this.#compareSoon(peer)
      this.#saveRemembered()
      if (!this.#stopped) this.#schedule()
    })
  }

  #saveRemembered(): void {
    const { remembered, log } = this.#components
    remembered
      .save()
      .catch((error: unknown) => log.warn('marks-not-saved', { error: String(error) }))
  }

  #compareSoon(peer: NodeId): void {
    if (this.#stopped) return
    this.compare(peer).catch((error: unknown) => {
      this.#components.meter.count('members.compare-failed')
      this.#components.log.debug('compare-failed', { peer, error: String(error) })
    })
  }
}

export function malformed(what: string): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read ${what}.`)
}

/** What it rejects with was logged where it came from. */
export function logged(): void {}
