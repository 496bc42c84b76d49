/**
 * Says what is being measured: one line that is written over, or where there is no screen a line for
 * each case.
 */

/**
 * @param {import('./main.js').Output} stream
 * @returns {{ report: import('./measure.js').Report, clear(): void }} `clear` makes room for a line
 *   that stays
 */
export function progress(stream) {
  let last = ''
  /** @param {string} doing */
  const report = doing => {
    if (stream.isTTY) return void stream.write(`\r\x1b[K${doing}`)
    const [name] = doing.split(' ')
    if (name !== last) stream.write(`${name}\n`)
    last = /** @type {string} */ (name)
  }
  const clear = () => {
    if (stream.isTTY) stream.write('\r\x1b[K')
  }
  return { report, clear }
}
