/**
 * The view of this node: its member table as it is in memory and on disk, and who is told when it
 * changes. A table only ever grows by joins; one with too many members is not taken.
 */
import type { Log, Network, Store } from '../ports.ts'
import {
  decodeTable,
  emptyTable,
  encodeTable,
  MEMBERS_MAX,
  type MemberTable
} from '../ring/members.ts'
import { viewOf, type View } from '../ring/view.ts'
import { utf8 } from '../util/bytes.ts'

export interface ViewKeeperComponents {
  readonly network: Network
  readonly store: Store
  readonly log: Log
}

const KEY = utf8('members')

/** Whether the node of this store was ever a member, or has at least met one. */
export function hasMet(store: Store): boolean {
  return store.get('meta', KEY) !== undefined
}

export class ViewKeeper {
  readonly #components: ViewKeeperComponents
  readonly #n: number
  readonly #listeners: ((view: View) => void)[] = []
  #view: View
  #saving: Promise<void> = Promise.resolve()
  /** The disk did not take the table as it is. */
  #isRefused = false

  constructor(components: ViewKeeperComponents, n: number) {
    this.#components = components
    this.#n = n
    const saved = components.store.get('meta', KEY)
    this.#view = viewOf((saved && decodeTable(saved)) ?? emptyTable, n)
  }

  get view(): View {
    return this.#view
  }

  onView(listener: (view: View) => void): void {
    this.#listeners.push(listener)
  }

  /** Resolves when the table is on disk, or was refused by it. */
  saved(): Promise<void> {
    return this.#saving
  }

  /** Resolves with whether the table of this moment is on disk. What was refused is tried once more. */
  async durable(): Promise<boolean> {
    await this.#saving
    if (!this.#isRefused) return true
    this.#save(encodeTable(this.#view.table))
    await this.#saving
    return !this.#isRefused
  }

  set(table: MemberTable): void {
    if (table === this.#view.table) return
    if (table.size > MEMBERS_MAX) {
      this.#components.log.warn('too-many-members', { members: table.size, max: MEMBERS_MAX })
      return
    }
    this.#view = viewOf(table, this.#n)
    this.#components.log.info('view', { fingerprint: this.#view.fingerprint, members: table.size })
    this.learn()
    // What follows from the view, as slots to be filled, reaches the disk before the view does.
    for (const listener of this.#listeners) listener(this.#view)
    this.#save(encodeTable(table))
  }

  /** Tells the network where the members are. */
  learn(): void {
    const { network } = this.#components
    for (const { id, addresses } of this.#view.table) {
      if (id !== network.self) network.learn(id, addresses)
    }
  }

  #save(value: Uint8Array): void {
    const { store, log } = this.#components
    this.#saving = this.#saving
      .then(() => store.commit([{ space: 'meta', key: KEY, value }], 'flush'))
      .then(() => {
        this.#isRefused = false
      })
      .catch((error: unknown) => {
        this.#isRefused = true
        log.warn('members-not-saved', { error: String(error) })
      })
  }
}
