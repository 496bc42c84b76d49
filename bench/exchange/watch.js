/** Takes the time: of the processor, which others on the machine do not change much, and of the clock. */
export class Watch {
  #cpu = process.cpuUsage()
  #began = performance.now()

  read() {
    const { user, system } = process.cpuUsage(this.#cpu)
    return {
      workMs: round((user + system) / 1_000),
      timeMs: round(performance.now() - this.#began)
    }
  }
}

/** Four digits: more would not be true. @param {number} value */
export function round(value) {
  return Number(value.toPrecision(4))
}
