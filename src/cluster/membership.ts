/**
 * The members as this node knows them: what it says of itself, what it takes from others, and how two
 * nodes agree on the table (view-keeper.ts) before one serves the other. It travels in three ways:
 * gossip when something changes, a comparison when a peer connects, and one with a random peer every
 * few seconds (comparing.ts). Gossip is a hint and never the only path.
 *
 * `ask` and `serve` put every request that depends on placement into an envelope with the
 * fingerprint of the view; nodes whose views differ exchange tables and only then go on.
 */
import { HearsayError } from '../errors.ts'
import type {
  Clock,
  Handler,
  Log,
  Meter,
  Network,
  Protocol,
  Random,
  RequestOptions,
  Store,
  Timers
} from '../ports.ts'
import {
  decodeTable,
  encodeTable,
  joinTables,
  MemberTable,
  withMember,
  type Member,
  type MemberState
} from '../ring/members.ts'
import { ADDRESSES_MAX } from '../ring/member.ts'
import type { View } from '../ring/view.ts'
import type { NodeId } from '../util/node-id.ts'
import { MARK_NONE, type Mark, type Marks } from '../wire/mark.ts'
import { decodeAsk, decodeReply, encodeAsk, encodeReply } from '../wire/view.ts'
import { Comparing, logged, malformed } from './comparing.ts'
import type { Remembered } from './remembered.ts'
import { ViewKeeper } from './view-keeper.ts'

export interface MembershipComponents {
  readonly network: Network
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly meter: Meter
  /** A 64-bit number, normally higher than any this node has given before. */
  readonly nextIncarnation: () => bigint
  readonly actor: () => bigint
  readonly remembered: Remembered
  /**
   * Peers remember more of this node than it does itself: its directory was rolled back. Called with
   * the mark they remember, if that is how they told. Takes effect at once; resolves when it is durable.
   */
  readonly onRolledBack: (mark: Mark) => Promise<void>
}

export interface MembershipInit {
  readonly n: number
  /**
   * How often the table is compared with a random peer. Shorter heals lost gossip sooner and costs
   * one small request each time.
   *
   * @default 5_000
   */
  readonly compareMs?: number
}

const VIEW_ATTEMPTS = 5

export class Membership {
  readonly #components: MembershipComponents
  readonly #keeper: ViewKeeper
  readonly #comparing: Comparing
  /** It says nothing of itself before it has met somebody. */
  #isSilent = false
  /** The notice of a roll-back that is on its way to the disk: no answer may come before it is there. */
  #noticing: Promise<void> | undefined

  constructor(components: MembershipComponents, init: MembershipInit) {
    this.#components = components
    this.#keeper = new ViewKeeper(components, init.n)
    const parts = {
      ...components,
      keeper: this.#keeper,
      peers: () => this.peers,
      hear: (peer: NodeId, marks: Marks) => this.#hear(peer, marks),
      merge: (table: Uint8Array | undefined, from: NodeId) => this.#merge(table, from),
      onCompared: () => this.#announceUnsaid()
    }
    this.#comparing = new Comparing(parts, { compareMs: init.compareMs ?? 5_000 })
    components.network.onGossip((from, body) => this.#gossip(from, body))
  }

  get view(): View {
    return this.#keeper.view
  }

  get id(): NodeId {
    return this.#components.network.self
  }

  /** What this node says of itself; `undefined` before it has said anything. */
  get self(): Member | undefined {
    return this.#keeper.view.table.get(this.id)
  }

  /** Everybody else who has not left. */
  get peers(): readonly NodeId[] {
    return [...this.#keeper.view.table]
      .filter(member => member.id !== this.id && member.state !== 'left')
      .map(member => member.id)
  }

  onView(listener: (view: View) => void): void {
    this.#keeper.onView(listener)
  }

  start(): void {
    this.#keeper.learn()
    this.#comparing.start()
  }

  /** Resolves when the table is on disk. */
  async stop(): Promise<void> {
    this.#comparing.stop()
    await this.#keeper.saved()
    await this.#components.remembered.save()
  }

  /** Says something new of this node to everybody. Resolves when it is on disk here. */
  async announce(state: MemberState): Promise<void> {
    const incarnation = this.#components.nextIncarnation()
    const known = this.self?.incarnation ?? 0n
    const member: Member = {
      id: this.id,
      incarnation: incarnation > known ? incarnation : known + 1n,
      state,
      addresses: bestAddresses(this.#components.network.addresses()),
      weight: 1,
      zone: '',
      actor: this.#components.actor()
    }
    this.#keeper.set(withMember(this.#keeper.view.table, member))
    await this.#keeper.saved()
    this.#components.network.publish(encodeTable(new MemberTable([member])))
  }

  /**
   * Compares tables with a peer; afterwards each has what the other had. Resolves with whether the peer
   * says that it is the same there, and on disk.
   */
  compare(peer: NodeId, signal?: AbortSignal): Promise<boolean> {
    return this.#comparing.compare(peer, signal)
  }

  /**
   * Announces this node once it has compared tables with somebody, and not before: what the others
   * remember of it may be later than what it knows itself, and a new word would hide that.
   */
  announceOnContact(): void {
    this.#isSilent = true
  }

  async #announceUnsaid(): Promise<void> {
    if (!this.#isSilent || this.self === undefined) return
    this.#isSilent = false
    await this.announce(this.self.state)
  }

  /** Requests something that depends on the view, after agreeing on it. */
  async ask(
    to: NodeId,
    protocol: Protocol,
    body: Uint8Array,
    options: RequestOptions
  ): Promise<Uint8Array> {
    const { network, clock, remembered } = this.#components
    const end = clock.monoMs() + options.deadlineMs
    let table: Uint8Array | undefined
    for (let attempt = 0; attempt < VIEW_ATTEMPTS; attempt++) {
      const view = this.#keeper.view.fingerprint
      const marks = remembered.tell(to)
      const asked = encodeAsk({ view, table, body, marks })
      const deadlineMs = Math.max(1, end - clock.monoMs())
      const reply = decodeReply(
        await network.request(to, protocol, asked, { ...options, deadlineMs })
      )
      if (reply === undefined) throw malformed(`an answer of ${to}`)
      remembered.answered(to, marks)
      this.#hear(to, reply.marks)?.catch(logged)
      if ('body' in reply) return reply.body
      this.#merge(reply.table, to)
      table = encodeTable(this.#keeper.view.table)
    }
    throw new HearsayError('ERR_NETWORK', `The members changed too often to agree with ${to}.`)
  }

  /** Serves requests sent with `ask`. */
  serve(protocol: Protocol, handler: Handler): void {
    this.#components.network.handle(protocol, async (from, bytes, signal) => {
      const ask = decodeAsk(bytes)
      if (ask === undefined) throw malformed(`a request of ${from}`)
      // An answer says that it is durable.
      await this.#hear(from, ask.marks)
      if (ask.table !== undefined) this.#merge(ask.table, from)
      if (ask.view !== this.#keeper.view.fingerprint) return this.#otherView(from)
      const reply = await handler(from, ask.body, signal)
      // A change that took effect under another view than it was sent under may have missed an owner, and
      // the positions in an exchange mean the slots that were shared under the view it was sent under.
      return (protocol === 'apply' || protocol === 'exchange') &&
        ask.view !== this.#keeper.view.fingerprint
        ? this.#otherView(from)
        : encodeReply({ body: reply, marks: this.#components.remembered.tell(from) })
    })
  }

  #otherView(to: NodeId): Uint8Array {
    return encodeReply({
      table: encodeTable(this.#keeper.view.table),
      marks: this.#components.remembered.tell(to)
    })
  }

  /** What it hears of itself it does not know counts at once; resolves when it is durable. */
  #hear(peer: NodeId, { mine, yours }: Marks): Promise<void> | undefined {
    const { remembered } = this.#components
    if (this.#keeper.view.table.get(peer) !== undefined) remembered.see(peer, mine)
    if (remembered.isForgotten(peer, yours)) this.#notice(yours)
    return this.#noticing
  }

  #notice(mark: Mark): void {
    const all = [this.#noticing, this.#reassert(mark)]
    const noticing = Promise.all(all).then(() => {})
    this.#noticing = noticing
    const over = () => {
      if (this.#noticing === noticing) this.#noticing = undefined
    }
    noticing.then(over, over)
  }

  /** Only what a node says of itself is taken from gossip: it is signed by its sender. */
  #gossip(from: NodeId, body: Uint8Array): void {
    const table = decodeTable(body)
    const member = table?.get(from)
    if (member === undefined || table?.size !== 1) {
      this.#components.meter.count('gossip.refused')
      return
    }
    this.#join(new MemberTable([member]))
  }

  #merge(bytes: Uint8Array | undefined, from: string): void {
    const table = bytes && decodeTable(bytes)
    if (table === undefined) throw malformed(`the member table of ${from}`)
    this.#join(table)
  }

  #join(table: MemberTable): void {
    const mine = this.self
    this.#keeper.set(withStep(joinTables(this.#keeper.view.table, table), mine))
    const { self } = this
    if (mine === undefined || self === undefined || self === mine) return
    this.#components.log.warn('remembered-better', { incarnation: self.incarnation })
    this.#reassert(MARK_NONE).catch(logged)
  }

  /**
   * Somebody knows more of this node than the node itself. Rejects when that could not be saved, which
   * is logged here: then it is noticed again.
   */
  async #reassert(mark: Mark): Promise<void> {
    const { onRolledBack, log } = this.#components
    try {
      await onRolledBack(mark)
      // One that has not said anything yet, or waits for a contact to say it, does so by itself.
      if (this.self !== undefined && !this.#isSilent) await this.announce(this.self.state)
    } catch (error) {
      log.warn('roll-back-not-saved', { error: String(error) })
      throw error
    }
  }
}

/**
 * The table in which a node that counts has not gone back to joining, whatever an earlier life of it
 * has said. To those who know it so it does not count yet, and not at once: one step after the other.
 */
function withStep(table: MemberTable, mine: Member | undefined): MemberTable {
  const heard = mine && table.get(mine.id)
  if (heard?.state !== 'joining' || mine?.state === 'joining') return table
  return withMember(table, { ...heard, incarnation: heard.incarnation + 1n, state: 'filled' })
}

/** As many as a member may have; those that only this machine can reach come last. */
function bestAddresses(addresses: readonly string[]): readonly string[] {
  const isLoopback = (address: string) => /^\/ip4\/127\.|^\/ip6\/::1\//.test(address)
  const rank = (address: string) => Number(isLoopback(address))
  return [...addresses].sort((a, b) => rank(a) - rank(b)).slice(0, ADDRESSES_MAX)
}
