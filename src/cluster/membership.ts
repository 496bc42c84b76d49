/**
 * The member table of this node, how it travels, and how two nodes agree on it before one serves the
 * other. It travels in three ways: gossip when something changes, a comparison when a peer connects,
 * and a comparison with a random peer every few seconds. Gossip is a hint and never the only path.
 *
 * `ask` and `serve` put every request that depends on placement into an envelope with the
 * fingerprint of the view; nodes whose views differ exchange tables and only then go on.
 */
import { HearsayError } from '../errors.ts'
import type {
  Cancel,
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
  emptyTable,
  encodeTable,
  joinTables,
  MEMBERS_MAX,
  MemberTable,
  withMember,
  type Member,
  type MemberState
} from '../ring/members.ts'
import { ADDRESSES_MAX } from '../ring/member.ts'
import { viewOf, type View } from '../ring/placement.ts'
import { utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { isBytes, isTuple, pack, unpack } from '../util/msgpack.ts'
import { MARK_NONE, marksFields, readMarks, type Mark, type Marks } from '../wire/mark.ts'
import { decodeAsk, decodeReply, encodeAsk, encodeReply } from '../wire/view.ts'
import type { Remembered } from './remembered.ts'

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

const KEY = utf8('members')
const COMPARE_DEADLINE_MS = 2_000
const VIEW_ATTEMPTS = 5

/** Whether the node of this store was ever a member, or has at least met one. */
export function hasMet(store: Store): boolean {
  return store.get('meta', KEY) !== undefined
}

export class Membership {
  readonly #components: MembershipComponents
  readonly #init: MembershipInit
  readonly #listeners: ((view: View) => void)[] = []
  #view: View
  #cancel: Cancel = () => {}
  #saving: Promise<void> = Promise.resolve()
  #unsaid: MemberState | undefined
  #stopped = true

  constructor(components: MembershipComponents, init: MembershipInit) {
    this.#components = components
    this.#init = init
    const saved = components.store.get('meta', KEY)
    this.#view = viewOf((saved && decodeTable(saved)) ?? emptyTable, init.n)
    components.network.handle('members', async (from, body) => this.#answer(from, body))
    components.network.onGossip((from, body) => this.#gossip(from, body))
    components.network.onPeer((peer, connected) => {
      if (connected) this.#compareSoon(peer)
    })
  }

  get view(): View {
    return this.#view
  }

  get id(): NodeId {
    return this.#components.network.self
  }

  /** What this node says of itself; `undefined` before it has said anything. */
  get self(): Member | undefined {
    return this.#view.table.get(this.id)
  }

  /** Everybody else who has not left. */
  get peers(): readonly NodeId[] {
    return [...this.#view.table]
      .filter(member => member.id !== this.id && member.state !== 'left')
      .map(member => member.id)
  }

  onView(listener: (view: View) => void): void {
    this.#listeners.push(listener)
  }

  start(): void {
    this.#stopped = false
    this.#learn(this.#view.table)
    this.#schedule()
  }

  /** Resolves when the table is on disk. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#saving
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
    this.#set(withMember(this.#view.table, member))
    await this.#saving
    this.#components.network.publish(encodeTable(new MemberTable([member])))
  }

  /** Compares tables with a peer; afterwards each has what the other had. */
  async compare(peer: NodeId): Promise<void> {
    const { network } = this.#components
    const options = { deadlineMs: COMPARE_DEADLINE_MS }
    const ask = this.#encode(peer, this.#view.fingerprint, null)
    const answer = await network.request(peer, 'members', ask, options)
    const [theirs] = this.#decode(answer, 1, peer)
    if (theirs !== null) {
      this.#merge(isBytes(theirs) ? theirs : undefined, peer)
      const table = encodeTable(this.#view.table)
      await network.request(
        peer,
        'members',
        this.#encode(peer, this.#view.fingerprint, table),
        options
      )
    }
    await this.#announceUnsaid()
  }

  /**
   * Announces this node once it has compared tables with somebody, and not before: what the others
   * remember of it may be later than what it knows itself, and a new word would hide that.
   */
  announceOnContact(state: MemberState): void {
    this.#unsaid = state
  }

  async #announceUnsaid(): Promise<void> {
    const state = this.#unsaid
    this.#unsaid = undefined
    if (state !== undefined) await this.announce(state)
  }

  /** Requests something that depends on the view, after agreeing on it. */
  async ask(
    to: NodeId,
    protocol: Protocol,
    body: Uint8Array,
    options: RequestOptions
  ): Promise<Uint8Array> {
    const { network, clock } = this.#components
    const end = clock.monoMs() + options.deadlineMs
    let table: Uint8Array | undefined
    for (let attempt = 0; attempt < VIEW_ATTEMPTS; attempt++) {
      const view = this.#view.fingerprint
      const asked = encodeAsk({ view, table, body, marks: this.#components.remembered.tell(to) })
      const deadlineMs = Math.max(1, end - clock.monoMs())
      const reply = decodeReply(
        await network.request(to, protocol, asked, { ...options, deadlineMs })
      )
      if (reply === undefined) throw malformed(`an answer of ${to}`)
      this.#hear(to, reply.marks)
      if ('body' in reply) return reply.body
      this.#merge(reply.table, to)
      table = encodeTable(this.#view.table)
    }
    throw new HearsayError('ERR_NETWORK', `The members changed too often to agree with ${to}.`)
  }

  /** Serves requests sent with `ask`. */
  serve(protocol: Protocol, handler: Handler): void {
    this.#components.network.handle(protocol, async (from, bytes, signal) => {
      const ask = decodeAsk(bytes)
      if (ask === undefined) throw malformed(`a request of ${from}`)
      this.#hear(from, ask.marks)
      if (ask.table !== undefined) this.#merge(ask.table, from)
      if (ask.view !== this.#view.fingerprint) return this.#otherView(from)
      const reply = await handler(from, ask.body, signal)
      // A change that took effect under another view than it was sent under may have missed an owner.
      return protocol === 'apply' && ask.view !== this.#view.fingerprint
        ? this.#otherView(from)
        : encodeReply({ body: reply, marks: this.#components.remembered.tell(from) })
    })
  }

  #otherView(to: NodeId): Uint8Array {
    return encodeReply({
      table: encodeTable(this.#view.table),
      marks: this.#components.remembered.tell(to)
    })
  }

  #answer(from: NodeId, body: Uint8Array): Uint8Array {
    const [fingerprint, table] = this.#decode(body, 2, from)
    if (isBytes(table)) this.#merge(table, from)
    const same = fingerprint === this.#view.fingerprint
    return this.#encode(from, same ? null : encodeTable(this.#view.table))
  }

  #encode(to: NodeId, ...fields: readonly unknown[]): Uint8Array {
    return pack([...fields, ...marksFields(this.#components.remembered.tell(to))])
  }

  #decode(body: Uint8Array, length: number, from: NodeId): readonly unknown[] {
    const fields = unpack(body)
    const marks = isTuple(fields, length + 4) ? readMarks(fields.slice(length)) : undefined
    if (marks === undefined) throw malformed(`a comparison of members by ${from}`)
    this.#hear(from, marks)
    return fields as unknown[]
  }

  #hear(peer: NodeId, { mine, yours }: Marks): void {
    const { remembered } = this.#components
    if (this.#view.table.get(peer) !== undefined) remembered.see(peer, mine)
    if (remembered.isForgotten(peer, yours)) void this.#reassert(yours)
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
    this.#set(joinTables(this.#view.table, table))
    const { self } = this
    if (mine === undefined || self === undefined || self === mine) return
    this.#components.log.warn('remembered-better', { incarnation: self.incarnation })
    void this.#reassert(MARK_NONE)
  }

  /** Somebody knows more of this node than the node itself. Unsaved, it is noticed again. */
  async #reassert(mark: Mark): Promise<void> {
    const { onRolledBack, log } = this.#components
    try {
      await onRolledBack(mark)
      // One that has not said anything yet, or waits for a contact to say it, does so by itself.
      if (this.self !== undefined && this.#unsaid === undefined)
        await this.announce(this.self.state)
    } catch (error) {
      log.warn('roll-back-not-saved', { error: String(error) })
    }
  }

  #set(table: MemberTable): void {
    if (table === this.#view.table) return
    if (table.size > MEMBERS_MAX) {
      this.#components.log.warn('too-many-members', { members: table.size, max: MEMBERS_MAX })
      return
    }
    this.#view = viewOf(table, this.#init.n)
    this.#components.log.info('view', { fingerprint: this.#view.fingerprint, members: table.size })
    this.#learn(table)
    // What follows from the view, as slots to be filled, reaches the disk before the view does.
    for (const listener of this.#listeners) listener(this.#view)
    this.#save(encodeTable(table))
  }

  #learn(table: MemberTable): void {
    for (const { id, addresses } of table) {
      if (id !== this.id) this.#components.network.learn(id, addresses)
    }
  }

  #save(value: Uint8Array): void {
    const { store, log } = this.#components
    this.#saving = this.#saving
      .then(() => store.commit([{ space: 'meta', key: KEY, value }]))
      .catch((error: unknown) => log.warn('members-not-saved', { error: String(error) }))
  }

  #schedule(): void {
    const { timers, random } = this.#components
    const period = this.#init.compareMs ?? 5_000
    this.#cancel = timers.after(period / 2 + (random.u32() % period), () => {
      const peers = this.peers
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

/** As many as a member may have; those that only this machine can reach come last. */
function bestAddresses(addresses: readonly string[]): readonly string[] {
  const isLoopback = (address: string) => /^\/ip4\/127\.|^\/ip6\/::1\//.test(address)
  const rank = (address: string) => Number(isLoopback(address))
  return [...addresses].sort((a, b) => rank(a) - rank(b)).slice(0, ADDRESSES_MAX)
}

function malformed(what: string): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read ${what}.`)
}
