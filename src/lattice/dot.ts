/**
 * A dot is the unique name of one write event: who made it and when by that actor's own clock. Dots
 * have one total order, by time and then by actor; the highest dot is the version that wins.
 */
import { isTime, type Time } from './hlc.ts'

/** The 64-bit id of a data directory for as long as its copy is trusted. */
export type Actor = bigint & { readonly __brand: 'Actor' }

export interface Dot {
  readonly actor: Actor
  readonly time: Time
}

export function compareDots(a: Dot, b: Dot): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1
  if (a.actor !== b.actor) return a.actor < b.actor ? -1 : 1
  return 0
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.time === b.time && a.actor === b.actor
}

/** `time.actor`, each 16 hexadecimal digits, so that the order of the texts is the order of dots. */
export function printDot(dot: Dot): string {
  return `${hex64(dot.time)}.${hex64(dot.actor)}`
}

/** The actor whose id is these 8 random bytes. */
export function actorOf(bytes: Uint8Array): Actor {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0) as Actor
}

export function printActor(actor: Actor): string {
  return hex64(actor)
}

export function isActor(value: unknown): value is Actor {
  return isTime(value)
}

function hex64(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}
