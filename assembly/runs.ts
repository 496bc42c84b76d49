/**
 * How often the kernel of each width ran, so that tests can see what cannot be told from hashes.
 * Counted by builds that assert; in the others the calls are compiled to nothing.
 */

const RUNS: usize = memory.data(9 * 4, 16)

/** The kernel of so many lanes ran. */
export function countRun(lanes: usize): void {
  if (ASC_NO_ASSERT) return
  const count = RUNS + (lanes << 2)
  store<u32>(count, load<u32>(count) + 1)
}

/** How often it ran, since the beginning; 0 in builds that do not assert. */
export function runsOf(lanes: usize): u32 {
  return load<u32>(RUNS + (lanes << 2))
}
