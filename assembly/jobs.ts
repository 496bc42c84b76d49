/**
 * The queues before the kernels. A job waits in the bucket of its number of blocks; as soon as that
 * has a job for every lane, they are hashed together. So lanes never wait for each other, however
 * the lengths are mixed, and no input is copied.
 *
 * Between `begin` and `flush` all jobs have one key and mode. Inputs must stay as they are, and may
 * overlap an output only if that is the output of a job of one block that is pushed no earlier than
 * the last job that reads it.
 */
import { BUCKET_BYTES, COUNT_AT, COUNTERS_AT, FLAGS_AT, INPUTS_AT } from './bucket'
import { LANES_MAX, LENGTHS_AT, OUTPUTS_AT } from './bucket'
import { CHUNK_START, compress } from './compress'
import { hash1 } from './compress1'
import { blocks4, compress4 } from './compress4'
import { blocks8, compress8 } from './compress8'
import { padded } from './mask'
import { countRun } from './runs'

/** A chunk has at most so many blocks. */
const BLOCKS_MAX: u32 = 16

const BUCKETS: usize = memory.data(16 * 192, 64)

/** One bit for every bucket that is not empty. */
let waiting: u32 = 0

let key: usize = 0
let mode: u32 = 0

/** Jobs that are hashed at once, where there is SIMD: 8, 4 or 1. */
let width: u32 = LANES_MAX

/** From this many jobs on that are left over, the kernel of eight lanes is the faster. */
const WORTH_EIGHT: u32 = 6

/**
 * The same of four lanes. Where four are chosen a vector instruction takes a single cycle, and then
 * they hash two jobs in three quarters of the time that one after the other takes; where eight are,
 * two jobs alone are the faster.
 */
function worthFour(): u32 {
  return width === 4 ? 2 : 3
}

/** Whether a row alone is hashed with vectors. */
let vector: bool = false

export function setVector(wanted: bool): void {
  vector = wanted
}

export function setWidth(lanes: u32): void {
  assert(lanes === 8 || lanes === 4 || lanes === 1)
  width = lanes
}

/** `keyAt` are 32 bytes that stay; `modeFlags` are added to every block of a chunk. */
export function begin(keyAt: usize, modeFlags: u32): void {
  assert(waiting === 0)
  key = keyAt
  mode = modeFlags
}

/** Queues a job, see bucket.ts. `length` <= 64 are the bytes in its last block. */
// @ts-ignore: decorator
// prettier-ignore
@inline
export function push(
  input: usize, blocks: u32, length: u32, counter: u32, flags: u32, out: usize
): void {
  assert(blocks >= 1 && blocks <= BLOCKS_MAX && length <= 64)
  if (!ASC_FEATURE_SIMD) {
    hashAlone(input, blocks, length, counter, flags, out)
    return
  }
  const jobs = bucketOf(blocks)
  const lane = load<u32>(jobs, COUNT_AT)
  const job = jobs + (lane << 2)
  store<u32>(job, input, INPUTS_AT)
  store<u32>(job, out, OUTPUTS_AT)
  store<u32>(job, length, LENGTHS_AT)
  store<u32>(job, counter, COUNTERS_AT)
  store<u32>(job, flags, FLAGS_AT)
  store<u32>(jobs, lane + 1, COUNT_AT)
  if (lane + 1 < width) waiting |= 1 << blocks
  else runFull(jobs, blocks)
}

/**
 * Eight jobs of one whole block each that lie one after the other, as their outputs do. Hashed at
 * once: filling a bucket lane by lane takes a sixth of the time.
 */
export function pushRun(input: usize, flags: u32, out: usize): void {
  if (!ASC_FEATURE_SIMD || width === 1) {
    for (let i: usize = 0; i < 8; i++) push(input + (i << 6), 1, 64, 0, flags, out + (i << 5))
  } else if (width === 4) {
    countRun(4)
    countRun(4)
    blocks4(input, key, flags, out)
    blocks4(input + 256, key, flags, out + 128)
  } else {
    countRun(8)
    blocks8(input, key, flags, out)
  }
}

function bucketOf(blocks: u32): usize {
  return BUCKETS + <usize>(blocks - 1) * BUCKET_BYTES
}

function runFull(jobs: usize, blocks: u32): void {
  waiting &= ~(1 << blocks)
  store<u32>(jobs, 0, COUNT_AT)
  if (width === 8) runEight(jobs, blocks)
  else if (width === 4) runFour(jobs, blocks)
  else runLane(jobs, blocks)
}

// @ts-ignore: decorator
@inline
function runEight(jobs: usize, blocks: u32): void {
  countRun(8)
  compress8(jobs, blocks, key, mode, mode | CHUNK_START)
}

// @ts-ignore: decorator
@inline
function runFour(jobs: usize, blocks: u32): void {
  countRun(4)
  compress4(jobs, blocks, key, mode, mode | CHUNK_START)
}

/** Hashes whatever waits. */
export function flush(): void {
  if (!ASC_FEATURE_SIMD) return
  while (waiting !== 0) {
    const blocks = ctz<u32>(waiting)
    waiting &= waiting - 1
    runRest(bucketOf(blocks), blocks)
  }
}

function runRest(jobs: usize, blocks: u32): void {
  const count = load<u32>(jobs, COUNT_AT)
  store<u32>(jobs, 0, COUNT_AT)
  let lane: u32 = 0
  if (count >= WORTH_EIGHT) {
    for (let i = count; i < 8; i++) copyJob(jobs, i)
    return runEight(jobs, blocks)
  }
  if (count >= worthFour()) {
    for (let i = count; i < 4; i++) copyJob(jobs, i)
    runFour(jobs, blocks)
    lane = 4
  }
  for (; lane < count; lane++) runLane(jobs + (lane << 2), blocks)
}

/** Gives an idle lane the first job once more: it does the same work, to the same place. */
function copyJob(jobs: usize, lane: u32): void {
  const job = jobs + (lane << 2)
  store<u32>(job, load<u32>(jobs, INPUTS_AT), INPUTS_AT)
  store<u32>(job, load<u32>(jobs, OUTPUTS_AT), OUTPUTS_AT)
  store<u32>(job, load<u32>(jobs, LENGTHS_AT), LENGTHS_AT)
  store<u32>(job, load<u32>(jobs, COUNTERS_AT), COUNTERS_AT)
  store<u32>(job, load<u32>(jobs, FLAGS_AT), FLAGS_AT)
}

function runLane(job: usize, blocks: u32): void {
  const input = load<u32>(job, INPUTS_AT)
  const length = load<u32>(job, LENGTHS_AT)
  const counter = load<u32>(job, COUNTERS_AT)
  hashAlone(input, blocks, length, counter, load<u32>(job, FLAGS_AT), load<u32>(job, OUTPUTS_AT))
}

/** Hashes one job at once. `out` serves as chaining value on the way. */
// prettier-ignore
export function hashAlone(
  input: usize, blocks: u32, length: u32, counter: u32, flags: u32, out: usize
): void {
  countRun(1)
  if (ASC_FEATURE_SIMD && vector) {
    hash1(input, blocks, length, counter, key, mode | CHUNK_START, mode, flags, out)
    return
  }
  let value = key
  let before = mode | CHUNK_START
  for (; --blocks > 0; input += 64) {
    compress(value, input, 64, counter, before, out)
    value = out
    before = mode
  }
  compress(value, padded(input, length), length, counter, flags, out)
}
