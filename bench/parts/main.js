/** A run of the benchmarks, from the command line to the exit code. */
import { writeFileSync } from 'node:fs'
import { parseCommand, UsageError } from './command.js'
import { compareCounts } from '../exchange/compare.js'
import { compare, readReference } from './compare.js'
import { machine } from './machine.js'
import { progress } from './progress.js'
import { jsonLines, table } from './report.js'

/**
 * @typedef {import('./measure.js').Result} Result
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {readonly string[]} notes for people, above the table
 * @property {(
 *   report: import('./measure.js').Report,
 *   say: (note: string) => void,
 *   options: { rowsMax?: number }
 * ) => Promise<Result[] | Count[]>} ask what is said comes with the notes
 * @property {typeof import('../exchange/table.js').countsTable} [table] for results that are counts
 *
 * @typedef {import('../exchange/table.js').Count} Count
 * @typedef {{ isTTY?: boolean, write(text: string): unknown }} Output
 */

/**
 * Results go to `out`, everything else to `err`.
 *
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, () => Promise<Question>>>} questions
 * @param {Output} out
 * @param {Output} err
 * @returns {Promise<number>} 0 done, 1 a ratio was lost, 2 the command cannot be understood
 */
export async function main(args, questions, out, err) {
  try {
    return await run(parseCommand(args, Object.keys(questions)), questions, out, err)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    err.write(`${error.message}\n`)
    return 2
  }
}

/**
 * @param {import('./command.js').Command} command
 * @param {Readonly<Record<string, () => Promise<Question>>>} questions
 * @param {Output} out
 * @param {Output} err
 */
async function run(command, questions, out, err) {
  const reference = command.compare === undefined ? undefined : readReference(command.compare)
  /** @type {Result[]} */
  const all = []
  /** @type {Count[]} */
  const counts = []
  const { rowsMax } = command
  /** @type {string[]} */
  const said = []
  for (const name of command.questions) {
    const question = await /** @type {() => Promise<Question>} */ (questions[name])()
    err.write(`${question.title}\n${machine()}\n`)
    const say = (/** @type {string} */ note) => {
      said.push(note)
      err.write(`${note}\n`)
    }
    const options = rowsMax === undefined ? {} : { rowsMax }
    const results = await question.ask(progress(err), say, options)
    const head = { title: question.title, notes: [...question.notes, ...said] }
    if (question.table === undefined) {
      const ratios = /** @type {Result[]} */ (results)
      out.write(command.json ? jsonLines(ratios) : table(head, machine(), ratios))
      all.push(...ratios)
    } else {
      const found = /** @type {Count[]} */ (results)
      out.write(command.json ? jsonLines(found) : question.table(head, machine(), found))
      counts.push(...found)
    }
  }
  if (command.save !== undefined) save(command.save, said, [...all, ...counts])
  if (reference === undefined) return 0
  const { results, counts: before } = reference
  const found = before.length === 0 ? [] : [compareCounts(counts, before)]
  if (results.length > 0 || found.length === 0) {
    found.unshift(compare(all, results, machine(), reference.machine))
  }
  err.write(`${found.flatMap(({ lines }) => lines).join('\n')}\n`)
  return found.every(({ held }) => held) ? 0 : 1
}

/**
 * A run that others can be compared with. Its first line is of no case.
 *
 * @param {string} file
 * @param {readonly string[]} notes
 * @param {readonly (Result | Count)[]} results
 */
function save(file, notes, results) {
  const head = JSON.stringify({ machine: machine(), notes })
  writeFileSync(file, `${head}\n${jsonLines(results)}`)
}
