/**
 * Which of the kernels are the fastest on this machine, found out by trying them. How many rows are
 * best hashed at once, and whether a row alone is best hashed with vectors, depends on how many
 * cycles the processor needs for a vector instruction, which no name of a processor tells.
 *
 * It is a few milliseconds of work in all, in slices, and what counts for each kernel is its
 * fastest slice: others may be busy meanwhile, and V8 compiles what runs often once more, beside
 * it. Not promised: the right choice where two kernels are equally fast, or on a machine that never
 * rests.
 */
import { HASHES_AT, ROWS_AT } from './packed.ts'
import { Core, fastestBuild, type Kernels } from './wasm.ts'

export interface CalibrationComponents {
  /** Milliseconds since some fixed moment, with fractions. */
  monoMs(): number
  /** Settles a millisecond or two later: others have their turn, and the compiler its time. */
  pause(): Promise<void>
}

/** What was chosen, and why: the nanoseconds that a block of 64 bytes took in each kernel. */
export interface Calibration extends Kernels {
  readonly eightNs: number
  readonly fourNs: number
  readonly vectorNs: number
  readonly wordsNs: number
}

/** What is chosen where there is no SIMD, and so nothing to choose. */
const SCALAR: Calibration = {
  lanes: 1,
  vector: false,
  eightNs: NaN,
  fourNs: NaN,
  vectorNs: NaN,
  wordsNs: NaN
}

/** Slices of each kernel. */
const ROUNDS = 20

/** A kernel that is ahead by less than this does not count as ahead. */
const MARGIN = 0.98

/** A batch of rows of sixteen blocks, so many that no lane has nothing to do. */
const ROW_BYTES = 1_024
const ROWS = 32

/** A short row alone, of two blocks, hashed so often that it is as many blocks. */
const ALONE_BYTES = 100
const TIMES = 256

const BLOCKS = 512

type Kernel = 'eight' | 'four' | 'vector' | 'words'

/** Tries every kernel. Chosen are eight lanes and words, unless the others are clearly faster. */
export async function calibrate(
  components: CalibrationComponents,
  build = fastestBuild()
): Promise<Calibration> {
  if (build === 'scalar') return SCALAR
  const trial = new Trial(components.monoMs)
  for (let round = 0; round < ROUNDS; round++) {
    await components.pause()
    trial.slice()
  }
  const [eightNs, fourNs] = [trial.blockNs('eight'), trial.blockNs('four')]
  const [vectorNs, wordsNs] = [trial.blockNs('vector'), trial.blockNs('words')]
  const lanes = fourNs < eightNs * MARGIN ? 4 : 8
  return { lanes, vector: vectorNs < wordsNs * MARGIN, eightNs, fourNs, vectorNs, wordsNs }
}

class Trial {
  readonly #monoMs: () => number
  readonly #core = new Core(new Uint8Array(32), { arenaBytesMax: 2 ** 20 })
  readonly #bestMs: Record<Kernel, number> = {
    eight: Infinity,
    four: Infinity,
    vector: Infinity,
    words: Infinity
  }

  constructor(monoMs: () => number) {
    this.#monoMs = monoMs
    const ends = Uint32Array.from({ length: ROWS + 1 }, (_, i) => i * ROW_BYTES)
    this.#core.storeWords(ends, this.#core.stage)
  }

  /** Each kernel once. */
  slice(): void {
    const { setLanes, setVector } = this.#core.exports
    this.#time('eight', () => this.#batch(setLanes, 8))
    this.#time('four', () => this.#batch(setLanes, 4))
    this.#time('vector', () => this.#alone(setVector, 1))
    this.#time('words', () => this.#alone(setVector, 0))
  }

  /** To three digits: more would not be true. */
  blockNs(kernel: Kernel): number {
    return Number(((this.#bestMs[kernel] * 1e6) / BLOCKS).toPrecision(3))
  }

  #time(kernel: Kernel, run: () => void): void {
    const from = this.#monoMs()
    run()
    this.#bestMs[kernel] = Math.min(this.#bestMs[kernel], this.#monoMs() - from)
  }

  #batch(setLanes: (lanes: number) => void, lanes: number): void {
    const { stage, exports } = this.#core
    setLanes(lanes)
    exports.hashRows(exports.PLAIN.value, stage + ROWS_AT, stage, ROWS, stage + HASHES_AT)
  }

  #alone(setVector: (wanted: number) => void, wanted: number): void {
    const { stage, exports } = this.#core
    setVector(wanted)
    for (let i = 0; i < TIMES; i++) {
      exports.hashRow(exports.PLAIN.value, stage + ROWS_AT, ALONE_BYTES, stage + HASHES_AT)
    }
  }
}
