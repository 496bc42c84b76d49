/**
 * What is known about one node, its limits, and which of two statements about it is newer. Statements
 * have a total order (incarnation, then state, then canonical bytes), and the greater one wins.
 */
import { compare } from '../util/bytes.ts'
import { isTuple, pack } from '../util/msgpack.ts'
import type { NodeId } from '../util/node-id.ts'

export const ADDRESSES_MAX = 16
export const ADDRESS_BYTES_MAX = 256
export const NAME_BYTES_MAX = 128
export const WEIGHT_MAX = 1_000

/** In the order in which a node goes through them; view.ts says what each means. */
export const memberStates = ['joining', 'filled', 'up', 'leaving', 'left'] as const

export type MemberState = (typeof memberStates)[number]

/** A state is packed as its position in here: a further one has its place at the end. */
const packedStates: readonly MemberState[] = ['joining', 'up', 'leaving', 'left', 'filled']

export interface Member {
  readonly id: NodeId
  /** Raised by the node itself when it says something new. 64 bits, unsigned. */
  readonly incarnation: bigint
  readonly state: MemberState
  /** Best first. */
  readonly addresses: readonly string[]
  /** Share of the slots, relative to the other members: a whole number, 1 to 1,000. */
  readonly weight: number
  /** Carried, and not yet looked at by placement. May be empty. */
  readonly zone: string
  /** The actor of its data directory. 64 bits, unsigned. */
  readonly actor: bigint
}

/** Why it cannot be in a table, or `undefined`. */
export function memberFault(member: Member): string | undefined {
  const { addresses, weight } = member
  if (member.id === '' || !isName(member.id)) return 'its id is not 1 to 128 printable characters'
  if (!isU64(member.incarnation)) return 'its incarnation is not an unsigned 64-bit integer'
  if (!memberStates.includes(member.state)) return 'its state is unknown'
  if (addresses.length > ADDRESSES_MAX) return `it has more than ${ADDRESSES_MAX} addresses`
  if (!addresses.every(isAddress)) {
    return `an address is not 1 to ${ADDRESS_BYTES_MAX} printable characters`
  }
  if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) {
    return `its weight is not a whole number from 1 to ${WEIGHT_MAX}`
  }
  if (!isName(member.zone)) return 'its zone is not up to 128 printable characters'
  return isU64(member.actor) ? undefined : 'its actor is not an unsigned 64-bit integer'
}

/** Whether `member` says more than what is known. Never of two equal statements. */
export function isNews(member: Member, known: Member | undefined): boolean {
  if (known === undefined) return true
  if (member.incarnation !== known.incarnation) return member.incarnation > known.incarnation
  const steps = memberStates.indexOf(member.state) - memberStates.indexOf(known.state)
  return steps !== 0
    ? steps > 0
    : compare(pack(memberFields(member)), pack(memberFields(known))) > 0
}

/** What of it is packed, in the order that makes equal members equal bytes. */
export function memberFields(member: Member): readonly unknown[] {
  const { id, incarnation, state, addresses, weight, zone, actor } = member
  return [id, incarnation, packedStates.indexOf(state), addresses, weight, zone, actor]
}

/** Takes anything; `undefined` for what is not a member within the limits. */
export function readMember(fields: unknown): Member | undefined {
  if (!isTuple(fields, 7)) return undefined
  const [id, incarnation, packed, addresses, weight, zone, actor] = fields
  if (typeof id !== 'string' || typeof zone !== 'string' || !isTexts(addresses)) return undefined
  const state = packedStates[packed as number]
  const member: unknown = { id, incarnation, state, addresses, weight, zone, actor }
  return memberFault(member as Member) === undefined ? (member as Member) : undefined
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function isU64(value: unknown): boolean {
  return typeof value === 'bigint' && value >= 0n && BigInt.asUintN(64, value) === value
}

/** Printable ASCII without blanks: one text then has one encoding. */
function isName(text: string): boolean {
  return text.length <= NAME_BYTES_MAX && /^[\x21-\x7e]*$/.test(text)
}

function isAddress(text: string): boolean {
  return text.length <= ADDRESS_BYTES_MAX && /^[\x21-\x7e]+$/.test(text)
}
