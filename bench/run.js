/**
 * The benchmarks: `npm run bench` asks every question, `npm run bench -- digest` one of them.
 * Options: `--json` for programs, `--save FILE` for later, `--compare FILE` against an earlier run.
 * Exit codes: parts/main.js.
 */
import { main } from './parts/main.js'

/** One file for each. @type {Record<string, () => Promise<import('./parts/main.js').Question>>} */
const QUESTIONS = {
  digest: () => import('./digest.js'),
  exchange: () => import('./exchange.js')
}

process.exitCode = await main(process.argv.slice(2), QUESTIONS, process.stdout, process.stderr)
