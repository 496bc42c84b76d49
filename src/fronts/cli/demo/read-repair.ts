/** The chapters in which nodes meet, one misses a write, and a read repairs it. */
import type { Scene } from './scene.ts'
import { distinct, text } from './scene.ts'
import { shortId } from './screen.ts'
import { expect } from './wait.ts'

export const ugly = 'Jordan is ugly'
export const cute = 'Jordan is cute'

export async function meet({ cluster }: Scene): Promise<string[]> {
  await cluster.start()
  await cluster.settled()
  return cluster.nodes.map(({ name, id, ready }) => {
    const address = ready.listen[0]?.split('/p2p/')[0]
    return `${name}  ${shortId(id)}  ${address}  redis ${ready.redis}  http ${ready.http}`
  })
}

export async function writeUgly({ cluster, versions }: Scene): Promise<string[]> {
  const [first] = cluster.nodes
  const { version, acknowledged } = await first.admin.put('Jordan', ugly, { level: 'all' })
  expect(acknowledged.length === 3, `${acknowledged.length} of 3 acknowledged`)
  const result = await first.admin.read('Jordan', { level: 'all' })
  expect(text(result) === ugly, `the value read is ${text(result)}`)
  expect(distinct(result).join() === version, `the versions are ${distinct(result).join(', ')}`)
  versions.ugly = version
  return [`version ${version}`]
}

export async function stopThird({ cluster }: Scene): Promise<string[]> {
  await cluster.pauseAll()
  const paused = (await cluster.statuses()).map(status => status.paused.length)
  expect(paused.join() === '2,2,2', `paused tasks are ${paused.join()} and not 2,2,2`)
  await cluster.nodes[2].stop()
  return []
}

export async function writeCute({ cluster, versions }: Scene): Promise<string[]> {
  const [first, , third] = cluster.nodes
  const result = await first.admin.put('Jordan', cute, { level: 'two' })
  const { version, acknowledged } = result
  expect(acknowledged.length === 2, `${acknowledged.length} acknowledged, and not 2`)
  expect(!acknowledged.includes(third.id), 'the stopped node is said to have acknowledged')
  expect(version > versions.ugly, `version ${version} is not above ${versions.ugly}`)
  versions.cute = version
  return [`version ${version}`]
}

export async function returnStale({ cluster, versions }: Scene): Promise<string[]> {
  const [, , third] = cluster.nodes
  await third.start()
  await cluster.settled()
  const [one, , three] = await cluster.roots()
  expect(one !== three, 'the roots are equal, so something has healed it already')
  const result = await third.admin.read('Jordan', { level: 'one' })
  expect(text(result) === ugly, `it says ${text(result)}`)
  expect(result.version === versions.ugly, `its version is ${result.version}`)
  return [`version ${result.version}, asked at level one`]
}

export async function readBoth({ cluster, versions }: Scene): Promise<string[]> {
  const [, , third] = cluster.nodes
  const result = await third.admin.read('Jordan', { level: 'two' })
  expect(text(result) === cute, `the answer is ${text(result)}`)
  const both = [versions.ugly, versions.cute].join(', ')
  expect(
    distinct(result).join(', ') === both,
    `the versions seen are ${distinct(result).join(', ')}`
  )
  expect(result.repaired.join() === third.id, `it repaired ${result.repaired.join() || 'nobody'}`)
  const after = await third.admin.read('Jordan', { level: 'one' })
  expect(text(after) === cute, `node 3 says ${text(after)} afterwards`)
  await cluster.equalRoots('the roots are equal after the read')
  return [
    `saw ${versions.ugly}`,
    ` and ${versions.cute}`,
    `repaired node 3, which now says "${cute}"`
  ]
}
