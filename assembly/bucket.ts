/**
 * The layout of a bucket of jobs, which is what the kernels are given. A job is one chunk of a
 * message, or a parent: input, output, bytes in its last block, number of the chunk, flags of its
 * last block. Each of these is an array over eight lanes of 32 bits; the kernel of four lanes takes
 * the first four. All jobs of a bucket have equally many blocks.
 */

export const INPUTS_AT: usize = 0
export const OUTPUTS_AT: usize = 32
export const LENGTHS_AT: usize = 64
export const COUNTERS_AT: usize = 96
export const FLAGS_AT: usize = 128

/** How many jobs are waiting. */
export const COUNT_AT: usize = 160

/** Bytes of a bucket. */
export const BUCKET_BYTES: usize = 192

/** The widest kernel takes so many jobs. */
export const LANES_MAX: u32 = 8
