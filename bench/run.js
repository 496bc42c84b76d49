/**
 * The benchmarks: `npm run bench` asks every question, `npm run bench -- digest` one of them.
 *
 * Exit codes: 0 done, 1 a ratio was lost (`--compare`), 2 the command cannot be understood.
 */
import { parseCommand, UsageError } from './parts/command.js'
import { compare, readReference } from './parts/compare.js'
import { machine } from './parts/machine.js'
import { progress } from './parts/progress.js'
import { jsonLines, table } from './parts/report.js'

/** One file for each question. @type {Record<string, () => Promise<Question>>} */
const QUESTIONS = {
  digest: () => import('./digest.js')
}

/**
 * @typedef {import('./parts/measure.js').Result} Result
 * @typedef {{
 *   title: string,
 *   notes: readonly string[],
 *   ask(report: import('./parts/measure.js').Report): Promise<Result[]>
 * }} Question
 */

/** @param {readonly string[]} args */
async function main(args) {
  const command = parseCommand(args, Object.keys(QUESTIONS))
  const reference = command.compare === undefined ? undefined : readReference(command.compare)
  let lost = false
  for (const name of command.questions) {
    const question = await /** @type {() => Promise<Question>} */ (QUESTIONS[name])()
    process.stderr.write(`${question.title}\n${machine()}\n`)
    const results = await question.ask(progress(process.stderr))
    process.stdout.write(command.json ? jsonLines(results) : table(question, machine(), results))
    if (reference !== undefined) lost = !tell(compare(results, reference)) || lost
  }
  return lost ? 1 : 0
}

/** @param {ReturnType<typeof compare>} verdict */
function tell(verdict) {
  for (const line of verdict.lines) process.stderr.write(`${line}\n`)
  return verdict.held
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
