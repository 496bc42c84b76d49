/**
 * The member table: what is known about every node, as a join-semilattice, so that tables may meet
 * in any order and any number of times and all nodes end with the same one.
 *
 *   join(a, b) = join(b, a)    join(a, join(b, c)) = join(join(a, b), c)    join(a, a) = a
 *
 * Only a node itself raises its incarnation. Whether a node is alive is an opinion of each other
 * node and is not in here: see detector.ts.
 */
import { HearsayError } from '../errors.ts'
import { equal } from '../util/bytes.ts'
import { isTuple, pack, readList, unpack } from '../util/msgpack.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  ADDRESS_BYTES_MAX,
  ADDRESSES_MAX,
  isNews,
  memberFault,
  memberFields,
  NAME_BYTES_MAX,
  readMember,
  type Member
} from './member.ts'
import { hash64, hex64 } from './mix.ts'

export type { Member, MemberState } from './member.ts'

/** A join can go past it (admission is the place to refuse); such a table has no encoding. */
export const MEMBERS_MAX = 256

export const TABLE_FORMAT = 1

/** No table within the limits is longer; longer bytes are refused unread. */
export const TABLE_BYTES_MAX =
  MEMBERS_MAX * (ADDRESSES_MAX * (ADDRESS_BYTES_MAX + 4) + 2 * NAME_BYTES_MAX + 64)

/** Immutable. Iterates in ascending order of ids. */
export class MemberTable implements Iterable<Member> {
  readonly #members: ReadonlyMap<NodeId, Member>

  /** Of several statements about one node the newest is kept. Throws `ERR_ARGUMENT`. */
  constructor(members: Iterable<Member> = []) {
    const sorted = [...newest(members)].sort(([a], [b]) => (a < b ? -1 : 1))
    this.#members = new Map(sorted)
  }

  get size(): number {
    return this.#members.size
  }

  get(id: NodeId): Member | undefined {
    return this.#members.get(id)
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#members.values()
  }
}

export const emptyTable = new MemberTable()

/** Returns `a` itself when `b` adds nothing to it. */
export function joinTables(a: MemberTable, b: MemberTable): MemberTable {
  for (const member of b) {
    if (isNews(member, a.get(member.id))) return new MemberTable([...a, ...b])
  }
  return a
}

/**
 * The table joined with what is said of one member; older news returns the table itself. Throws
 * `ERR_ARGUMENT` for a member that breaks a limit.
 */
export function withMember(table: MemberTable, member: Member): MemberTable {
  return joinTables(table, new MemberTable([member]))
}

/** Canonical. Owned by the caller. Throws `ERR_ARGUMENT` for more than 256 members. */
export function encodeTable(table: MemberTable): Uint8Array {
  if (table.size > MEMBERS_MAX) {
    throw new HearsayError(
      'ERR_ARGUMENT',
      `A cluster has at most ${MEMBERS_MAX} members and this one would have ${table.size}; ` +
        'start no more nodes.'
    )
  }
  return canonical(table)
}

/** Takes any bytes; `undefined` for what `encodeTable` did not make. */
export function decodeTable(bytes: Uint8Array): MemberTable | undefined {
  if (bytes.length > TABLE_BYTES_MAX) return undefined
  const fields = unpack(bytes)
  if (!isTuple(fields, 2) || fields[0] !== TABLE_FORMAT) return undefined
  const members = readList(fields[1], MEMBERS_MAX, readMember)
  if (members === undefined) return undefined
  const table = new MemberTable(members)
  return equal(canonical(table), bytes) ? table : undefined
}

/**
 * 16 hexadecimal digits that differ when anything in the tables differs. Not a proof against
 * somebody who seeks a collision; views are only compared between members.
 */
export function fingerprint(table: MemberTable): string {
  return hex64(hash64(canonical(table)))
}

function canonical(table: MemberTable): Uint8Array {
  return pack([TABLE_FORMAT, Array.from(table, memberFields)])
}

function newest(members: Iterable<Member>): Map<NodeId, Member> {
  const found = new Map<NodeId, Member>()
  for (const member of members) {
    const fault = memberFault(member)
    if (fault !== undefined) {
      throw new HearsayError('ERR_ARGUMENT', `This cannot be a member: ${fault}.`)
    }
    if (isNews(member, found.get(member.id))) found.set(member.id, member)
  }
  return found
}
