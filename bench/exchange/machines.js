/** The two machines in memory: every message through its bytes, without a network. */

import { Watch } from './watch.js'

/** @typedef {import('./built.js').Built} Built */
/** @typedef {import('./side.js').Side} Side */
/** @typedef {import('../../src/digest/exchange-message.ts').RowItem} RowItem */

/**
 * What one exchange took, until the roots were equal. Its walks are those of a node: the last one
 * only compares the roots.
 *
 * @param {Built} built
 * @param {Side} from
 * @param {Side} to
 */
export async function exchange(built, from, to) {
  const sum = { bytes: 0, rowBytes: 0, roundTrips: 0, rowsRead: 0, rowsMoved: 0 }
  const watch = new Watch()
  let equal = false
  for (let salt = 0; !equal && salt < 4; salt++) {
    const walk = new Walk(built, from, to, salt)
    equal = await walk.run()
    sum.bytes += walk.bytes
    sum.rowBytes += walk.rowBytes
    sum.roundTrips += walk.roundTrips
    sum.rowsRead += walk.rowsRead
    sum.rowsMoved += walk.rowsMoved
  }
  if (!equal) throw new Error('The roots still differ.')
  return { ...sum, ...watch.read() }
}

class Walk {
  bytes = 0
  rowBytes = 0
  roundTrips = 0
  rowsRead = 0
  rowsMoved = 0
  /** @type {Built} */
  #built
  #from
  #to
  #initiator
  /** @type {{ id: number, round: number, asked: Uint8Array }[]} */
  #flights = []

  /**
   * @param {Built} built
   * @param {Side} from
   * @param {Side} to
   * @param {number} salt
   */
  constructor(built, from, to, salt) {
    this.#built = built
    this.#from = from
    this.#to = to
    this.#initiator = new built.Initiator(from.own, { salt })
  }

  /** True when the roots were equal at the first look. */
  async run() {
    while (await this.#step());
    this.rowsRead += this.#initiator.rowsRead
    return this.#initiator.equal
  }

  async #step() {
    const step = this.#built.finish(this.#initiator.next())
    if (step.do === 'send') this.#send(step.id, step.message)
    if (step.do === 'wait') await this.#receive()
    return step.do !== 'done'
  }

  /** @param {number} id @param {import('../../src/digest/exchange-message.ts').ExchangeRequest} message */
  #send(id, message) {
    this.#note(message.rows)
    const asked = this.#built.encodeExchangeRequest(message)
    this.bytes += asked.length
    this.#flights.push({ id, round: this.roundTrips + 1, asked })
  }

  async #receive() {
    const { decodeExchangeAnswer, finish } = this.#built
    const { id, round, asked } = /** @type {{ id: number, round: number, asked: Uint8Array }} */ (
      this.#flights.shift()
    )
    const answered = await this.#answer(asked)
    this.bytes += answered.length
    this.roundTrips = Math.max(this.roundTrips, round)
    const answer = read(decodeExchangeAnswer(answered))
    const received = finish(this.#initiator.receive(id, answer))
    this.#note(received)
    this.rowsRead += answer.rowsRead + received.length
    this.#initiator.joined(await apply(this.#from, received))
  }

  /** @param {Uint8Array} asked */
  async #answer(asked) {
    const { decodeExchangeRequest, encodeExchangeAnswer, respond, finish } = this.#built
    const request = read(decodeExchangeRequest(asked))
    const joined = await apply(this.#to, request.rows)
    return encodeExchangeAnswer(
      finish(respond(this.#to.own, request, { joined, refused: 0, aside: 0 }))
    )
  }

  /** @param {readonly RowItem[]} rows */
  #note(rows) {
    this.rowsMoved += rows.length
    for (const { key, bytes } of rows) this.rowBytes += key.length + bytes.length
  }
}

/**
 * Returns those that came out of the join as something else.
 *
 * @param {Side} side
 * @param {readonly RowItem[]} rows
 */
async function apply({ replica }, rows) {
  const { joined, refusals } = await replica.applyAll(rows)
  if (refusals[0] !== undefined) throw refusals[0]
  return joined
}

/**
 * @template T
 * @param {T | undefined} message
 */
function read(message) {
  if (message === undefined) throw new Error('A message cannot be read.')
  return message
}
