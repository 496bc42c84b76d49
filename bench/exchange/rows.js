/** Rows of 100 bytes under keys of 11, the same in every run, and what comes after each of them. */

/** Of a row as it is stored and sent, without its key. */
export const ROW_BYTES = 100

/** A moment in the past: no clock has to be waited for. */
const BEGAN_MS = 1_700_000_000_000

export class RowMaker {
  /** @type {import('./built.js').Built} */
  #built
  #valueBytes

  /** @param {import('./built.js').Built} built */
  constructor(built) {
    this.#built = built
    this.#valueBytes = ROW_BYTES - this.#encode(this.#row(0, 0, 32)).length + 32
  }

  /** @param {number} i */
  key(i) {
    return this.#built.utf8(`key ${String(i).padStart(7, '0')}`)
  }

  /**
   * Row `i` after it was written `updates` times again.
   *
   * @param {number} i
   * @param {number} [updates]
   */
  row(i, updates = 0) {
    let row = this.#row(i, 0, this.#valueBytes)
    for (let n = 1; n <= updates; n++) row = this.#write(row, i, n, this.#valueBytes)
    return row
  }

  /**
   * @param {number} i
   * @param {number} [updates]
   */
  bytes(i, updates = 0) {
    return this.#encode(this.row(i, updates))
  }

  /** @param {import('../../src/lattice/row.ts').Row} row */
  #encode(row) {
    return this.#built.encodeRow(row)
  }

  /** @param {number} i @param {number} n @param {number} length */
  #row(i, n, length) {
    return this.#write(this.#built.ROW_EMPTY, i, n, length)
  }

  /**
   * @param {import('../../src/lattice/row.ts').Row} row
   * @param {number} i
   * @param {number} n
   * @param {number} length
   */
  #write(row, i, n, length) {
    const { assign, joinDelta, timeOf } = this.#built
    const value = new Uint8Array(length)
    new DataView(value.buffer).setUint32(0, Math.imul(i, 0x9e3779b1))
    new DataView(value.buffer).setUint32(4, n)
    const actor = /** @type {import('../../src/lattice/dot.ts').Actor} */ (0x1234567890abcdefn)
    const time = timeOf(BEGAN_MS + n * 100_000_000 + i)
    return joinDelta(row, assign(row, value, { actor, time }))
  }
}
