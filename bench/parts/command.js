/** What was asked for on the command line. */

/** The command cannot be understood; the message says what to type. */
export class UsageError extends Error {}

/**
 * @typedef {{ questions: string[], json: boolean, compare: string | undefined }} Command
 */

/**
 * @param {readonly string[]} args
 * @param {readonly string[]} known names of questions
 * @returns {Command}
 */
export function parseCommand(args, known) {
  /** @type {Command} */
  const command = { questions: [], json: false, compare: undefined }
  const rest = [...args]
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--json') command.json = true
    else if (arg === '--compare') command.compare = fileOf(rest.shift())
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
  return `npm run bench -- [${known.join(' | ')}] [--json] [--compare FILE]`
}

/** @param {string | undefined} file */
function fileOf(file) {
  if (file === undefined) throw new UsageError('--compare needs a file that --json has written.')
  return file
}
