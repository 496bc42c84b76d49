/** The chapters in which a node misses many writes, and hints or anti-entropy bring them. */
import type { Cluster } from './cluster.ts'
import { inParallel, type Scene } from './scene.ts'
import { expect } from './wait.ts'

export const missedCount = 50

/** Earlier hints are dropped first, so that the figures are those of this chapter. */
export async function missWrites({ cluster, signal }: Scene): Promise<string[]> {
  const [first, second, third] = cluster.nodes
  await Promise.all([first.admin.dropHints(), second.admin.dropHints()])
  await third.stop()
  await inParallel(
    missedCount,
    async i => {
      await first.admin.put(`hint-${i}`, `written without node 3, ${i}`, { level: 'two' })
    },
    signal
  )
  return [`${await hintsKept(cluster)} hints are kept for node 3`]
}

function hintsKept(cluster: Cluster): Promise<number> {
  return cluster.until('a hint is kept for each write', async () => {
    const count = await cluster.hintsFor(cluster.nodes[2])
    return count >= missedCount ? count : undefined
  })
}

export async function replay({ cluster }: Scene): Promise<string[]> {
  const [, , third] = cluster.nodes
  await returnBehind(cluster)
  await cluster.resume('hints')
  const { root, ms } = await cluster.equalRoots('the roots are equal by hints')
  await cluster.until('no hint is left', async () =>
    (await cluster.hintsFor(third)) === 0 ? true : undefined
  )
  return [`root ${root.slice(0, 12)} on all three after ${ms} ms, no hint left`]
}

export async function loseHints({ cluster, signal }: Scene): Promise<string[]> {
  const [first, second, third] = cluster.nodes
  await cluster.pause('hints')
  await third.kill()
  await inParallel(
    missedCount,
    async i => {
      await first.admin.put(`lost-${i}`, `written without node 3, ${i}`, { level: 'two' })
    },
    signal
  )
  await hintsKept(cluster)
  const dropped = await Promise.all([first.admin.dropHints(), second.admin.dropHints()])
  const count = dropped[0] + dropped[1]
  expect(count >= missedCount, `${count} hints were dropped`)
  expect((await cluster.hintsFor(third)) === 0, 'hints are left')
  return [`${count} hints dropped`]
}

export async function heal({ cluster }: Scene): Promise<string[]> {
  await returnBehind(cluster)
  await cluster.resume('anti-entropy')
  const { root, ms } = await cluster.equalRoots('the roots are equal by anti-entropy')
  await cluster.resume('hints')
  const paused = (await cluster.statuses()).flatMap(status => status.paused)
  expect(paused.length === 0, `still paused are ${paused.join()}`)
  return [`root ${root.slice(0, 12)} on all three after ${ms} ms`]
}

/** Node 3 is started and is seen to lack something. */
async function returnBehind(cluster: Cluster): Promise<void> {
  await cluster.nodes[2].start()
  await cluster.settled()
  const [one, , three] = await cluster.roots()
  expect(one !== three, 'the roots are equal, so node 3 missed nothing')
}
