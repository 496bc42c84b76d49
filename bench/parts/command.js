/** What was asked for on the command line. */

/** The command cannot be understood; the message says what to type. */
export class UsageError extends Error {}

/**
 * @typedef {object} Command
 * @property {string[]} questions
 * @property {boolean} json
 * @property {string} [compare]
 * @property {string} [save]
 * @property {number} [rowsMax] cases of more rows are left out
 */

/**
 * @param {readonly string[]} args
 * @param {readonly string[]} known names of questions
 * @returns {Command}
 */
export function parseCommand(args, known) {
  /** @type {Command} */
  const command = { questions: [], json: false }
  const rest = [...args]
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--json') command.json = true
    else if (arg === '--compare') command.compare = fileOf(arg, rest.shift())
    else if (arg === '--save') command.save = fileOf(arg, rest.shift())
    else if (arg === '--rows') command.rowsMax = countOf(arg, rest.shift())
    else if (known.includes(arg)) command.questions.push(arg)
    else throw new UsageError(`${what(arg)}; usage: ${usage(known)}`)
  }
  if (command.questions.length === 0) command.questions.push(...known)
  return command
}

/** @param {string} arg */
function what(arg) {
  return arg.startsWith('-') ? `There is no option ${arg}` : `There is no question "${arg}"`
}

/** @param {readonly string[]} known */
function usage(known) {
  return `npm run bench -- [${known.join(' | ')}] [--json] [--rows N] [--save FILE] [--compare FILE]`
}

/**
 * @param {string} option
 * @param {string | undefined} file
 */
function fileOf(option, file) {
  if (file !== undefined) return file
  throw new UsageError(`${option} needs a file: one that --save has written, or will write.`)
}

/**
 * @param {string} option
 * @param {string | undefined} value
 */
function countOf(option, value) {
  if (value !== undefined && /^[1-9]\d{0,8}$/.test(value)) return Number(value)
  throw new UsageError(`${option} needs a whole number: cases of more rows are left out.`)
}
