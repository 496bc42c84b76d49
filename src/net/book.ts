/**
 * Where peers can be reached, as far as this node was told. Bounded: the peer heard of longest ago
 * gives way. What cannot be an address of the peer is left out, since it comes from other nodes.
 */
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { NodeId } from '../util/node-id.ts'
import { BOOK_ADDRESSES_MAX, BOOK_PEERS_MAX } from './limits.ts'

export class AddressBook {
  readonly #book = new Map<NodeId, readonly Multiaddr[]>()

  /** Takes the place of what was known of the peer. Returns how many could not be used. */
  learn(peer: NodeId, addresses: readonly string[]): number {
    const usable = addresses.slice(0, BOOK_ADDRESSES_MAX).flatMap(text => addressOf(peer, text))
    this.#book.delete(peer)
    if (usable.length > 0) this.#book.set(peer, usable)
    if (this.#book.size > BOOK_PEERS_MAX) {
      for (const oldest of this.#book.keys()) {
        this.#book.delete(oldest)
        break
      }
    }
    return addresses.length - usable.length
  }

  get(peer: NodeId): readonly Multiaddr[] {
    return this.#book.get(peer) ?? []
  }
}

/** The id at the end of an address, if it has one. */
export function peerOf(address: Multiaddr): NodeId | undefined {
  const last = address.getComponents().at(-1)
  return last?.name === 'p2p' ? (last.value as NodeId) : undefined
}

/** `undefined` for what names no place. */
export function parseAddress(text: string): Multiaddr | undefined {
  try {
    const address = multiaddr(text)
    const [place] = address.getComponents()
    return place === undefined || place.name === 'p2p' ? undefined : address
  } catch {
    return undefined
  }
}

function addressOf(peer: NodeId, text: string): Multiaddr[] {
  const address = parseAddress(text)
  if (address === undefined) return []
  const named = peerOf(address)
  if (named === undefined) return [address.encapsulate(`/p2p/${peer}`)]
  return named === peer ? [address] : []
}
