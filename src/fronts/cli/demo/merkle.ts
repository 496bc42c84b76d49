/** The chapter in which two trees of thousands of rows differ in one. */
import { withProgress } from '../progress.ts'
import { inParallel, text, type Scene } from './scene.ts'
import { bytesText, twoTrees } from './screen.ts'
import { expect } from './wait.ts'

export const rowCount = 5_000

export async function fill({ cluster, io, signal }: Scene): Promise<string[]> {
  const [first] = cluster.nodes
  const started = Date.now()
  let done = 0
  const put = async (i: number): Promise<void> => {
    const [key, value] = filledRow(i)
    await first.admin.put(key, value, { level: 'all' })
    done++
  }
  const shown = (): string => {
    const perSecond = (done * 1_000) / (Date.now() - started)
    const left = Math.ceil((rowCount - done) / perSecond)
    return `${done} of ${rowCount} rows, ${perSecond.toFixed(0)} a second, ${left} s left`
  }
  await withProgress(io, shown, () => inParallel(rowCount, put, signal))
  const { root } = await cluster.equalRoots('the roots are equal after the writes')
  const seconds = ((Date.now() - started) / 1_000).toFixed(1)
  return [`root ${root.slice(0, 12)}, ${seconds} s for the writes at level all`]
}

function filledRow(i: number): readonly [key: string, value: string] {
  return [`row-${String(i).padStart(4, '0')}`, `value ${i}`]
}

function filledBytes(): number {
  return Array.from({ length: rowCount }, (_, i) => filledRow(i).join('').length).reduce(
    (sum, length) => sum + length
  )
}

/** B is written everywhere, then again while node 3 is away. */
export async function diverge({ cluster }: Scene): Promise<string[]> {
  const [first, , third] = cluster.nodes
  await first.admin.put('B', '6', { level: 'all' })
  await third.stop()
  await first.admin.put('B', '9', { level: 'two' })
  await third.start()
  await cluster.settled()
  const [one, two, three] = await cluster.roots()
  expect(one === two, 'the roots of node 1 and node 2 differ')
  expect(one !== three, 'the roots of node 1 and node 3 are equal')
  return twoTrees(
    { name: 'node 1', root: one, leaf: 'B = 9' },
    { name: 'node 3', root: three, leaf: 'B = 6' }
  )
}

export async function exchange({ cluster }: Scene): Promise<string[]> {
  const [first, , third] = cluster.nodes
  const [report] = await first.admin.repair({ peer: third.id })
  expect(report !== undefined, 'there is no report')
  const keys = report.keys.map(key => Buffer.from(key).toString())
  expect(keys.join() === 'B', `the rows that differed are ${keys.join(', ') || 'none'}`)
  expect(report.equal, 'the exchange says that the roots still differ')
  const { root } = await cluster.equalRoots('the roots are equal after the exchange')
  const after = await third.admin.read('B', { level: 'one' })
  expect(text(after) === '9', `node 3 says B = ${text(after)}`)
  const { rowsSent, rowsReceived, bytesSent, bytesReceived, roundTrips } = report
  return [
    `${rowsSent} row sent, ${rowsReceived} received, of ${(rowCount + 2).toLocaleString('en')}`,
    `${bytesText(bytesSent + bytesReceived)} moved in ${roundTrips} round trips; ` +
      `keys and values alone are ${bytesText(filledBytes())}`,
    `root ${root.slice(0, 12)} on all three, B = 9`
  ]
}
