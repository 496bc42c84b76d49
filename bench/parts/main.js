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
 *
 * @typedef {{ ratios: Result[], counts: Count[], said: string[] }} Answer
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
  /** @type {Answer} */
  const all = { ratios: [], counts: [], said: [] }
  for (const name of command.questions) {
    const question = await /** @type {() => Promise<Question>} */ (questions[name])()
    const { ratios, counts, said } = await ask(question, command, out, err)
    all.ratios.push(...ratios)
    all.counts.push(...counts)
    all.said.push(...said)
  }
  if (command.save !== undefined) save(command.save, all)
  return reference === undefined ? 0 : judge(all, reference, err)
}

/**
 * What is learnt while it is measured goes above its own table.
 *
 * @param {Question} question
 * @param {import('./command.js').Command} command
 * @param {Output} out
 * @param {Output} err
 * @returns {Promise<Answer>}
 */
async function ask(question, { json, rowsMax }, out, err) {
  err.write(`${question.title}\n${machine()}\n`)
  const line = progress(err)
  /** @type {string[]} */
  const said = []
  const say = (/** @type {string} */ note) => {
    said.push(note)
    line.clear()
    err.write(`${note}\n`)
  }
  const options = rowsMax === undefined ? {} : { rowsMax }
  const results = await question.ask(line.report, say, options).finally(line.clear)
  const head = { title: question.title, notes: [...question.notes, ...said] }
  if (question.table === undefined) {
    const ratios = /** @type {Result[]} */ (results)
    out.write(json ? jsonLines(ratios) : table(head, machine(), ratios))
    return { ratios, counts: [], said }
  }
  const counts = /** @type {Count[]} */ (results)
  out.write(json ? jsonLines(counts) : question.table(head, machine(), counts))
  return { ratios: [], counts, said }
}

/**
 * Only what was asked now can be held against the reference.
 *
 * @param {Answer} answer
 * @param {import('./compare.js').Reference} reference
 * @param {Output} err
 * @returns {number} the exit code
 */
function judge({ ratios, counts }, reference, err) {
  const found = []
  if (ratios.length > 0 && reference.results.length > 0) {
    found.push(compare(ratios, reference.results, machine(), reference.machine))
  }
  if (counts.length > 0 && reference.counts.length > 0) {
    found.push(compareCounts(counts, reference.counts))
  }
  if (found.length === 0) {
    found.push({ held: false, lines: ['The reference has nothing of what was measured.'] })
  }
  err.write(`${found.flatMap(({ lines }) => lines).join('\n')}\n`)
  return found.every(({ held }) => held) ? 0 : 1
}

/**
 * A run that others can be compared with. Its first line is of no case.
 *
 * @param {string} file
 * @param {Answer} answer
 */
function save(file, { ratios, counts, said }) {
  const head = JSON.stringify({ machine: machine(), notes: said })
  writeFileSync(file, `${head}\n${jsonLines([...ratios, ...counts])}`)
}
