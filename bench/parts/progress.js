/**
 * Says what is being measured: one line that is written over, or where there is no screen a line for
 * each case.
 */

/**
 * @param {import('./main.js').Output} stream
 * @returns {import('./measure.js').Report}
 */
export function progress(stream) {
  let last = ''
  return doing => {
    if (stream.isTTY) return void stream.write(`\r\x1b[K${doing}`)
    const [name] = doing.split(' ')
    if (name !== last) stream.write(`${name}\n`)
    last = /** @type {string} */ (name)
  }
}
