/** The benchmarks themselves: what they print, what they refuse, and that they compare fairly. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { blake3 } from '@noble/hashes/blake3.js'
import t, { type Test } from 'tap'
import { mixedCase } from '../bench/digest/cost.js'
import { ours } from '../bench/digest/ours.js'
import { PeerTree } from '../bench/digest/peer-tree.js'
import { loadPeer, loadPeers } from '../bench/digest/peers.js'
import { withTree } from '../bench/digest/pipeline.js'
import { cases as digestCases } from '../bench/digest.js'
import { built } from '../bench/exchange/built.js'
import { replay } from '../bench/exchange/hints.js'
import { exchange } from '../bench/exchange/machines.js'
import { RowMaker, ROW_BYTES } from '../bench/exchange/rows.js'
import { openSide, update, updated } from '../bench/exchange/side.js'
import { countsTable, type Count } from '../bench/exchange/table.js'
import { compare, readReference } from '../bench/parts/compare.js'
import { machine } from '../bench/parts/machine.js'
import { main, type Question } from '../bench/parts/main.js'
import { progress } from '../bench/parts/progress.js'
import { measure, ROUNDS, type Result } from '../bench/parts/measure.js'
import { createForest } from '../src/digest/forest.ts'
import { createTree } from '../src/digest/tree.ts'
import { concat, hex } from '../src/util/bytes.ts'

const run = fileURLToPath(new URL('../bench/run.js', import.meta.url))

const kept = fileURLToPath(new URL('../bench/reference/digest.jsonl', import.meta.url))

const result = (contender: string, ratio: number | null): Result => ({
  case: 'rows-1',
  contender,
  ns: ratio,
  ratio
})

/** A run of one question with these results. */
async function runOf(args: readonly string[], results: Result[]) {
  const said = { out: '', err: '' }
  const question: Question = {
    title: 'How?',
    notes: ['Note.'],
    ask: async (_, say) => (say('Said.'), results)
  }
  const code = await main(
    args,
    { how: async () => question },
    { write: text => (said.out += text) },
    { write: text => (said.err += text) }
  )
  return { code, ...said }
}

const reference = (t: Test, results: Result[], machine: object = { machine: 'a machine' }) => {
  const lines = [machine, ...results].map(line => JSON.stringify(line))
  lines.unshift('', '> hearsay@0.1.0 bench')
  return `${t.testdir({ 'reference.jsonl': lines.join('\n') })}/reference.jsonl`
}

t.test('an unknown question, option or file ends with code 2 and says what to type', async t => {
  const wrong = [
    [['nothing'], /no question "nothing".*how/],
    [['--fast'], /no option --fast.*--json/],
    [['--compare'], /--compare needs a file/],
    [['--save'], /--save needs a file/],
    [['--rows'], /--rows needs a whole number/],
    [['--rows', '1e6'], /--rows needs a whole number/],
    [['--compare', '/nowhere/at-all'], /cannot be compared with/]
  ] as const
  for (const [args, message] of wrong) {
    const { code, err, out } = await runOf(args, [])
    t.equal(code, 2, args.join(' '))
    t.match(err, message)
    t.equal(out, '')
  }
  const broken = `${t.testdir({ 'broken.jsonl': '{' })}/broken.jsonl`
  t.equal((await runOf(['--compare', broken], [])).code, 2)
  await t.rejects(promisify(execFile)(process.execPath, [run, 'nothing']), {
    code: 2,
    stderr: /no question "nothing"/
  })
})

t.test('--json prints one object a line and nothing else', async t => {
  const absent = { ...result('peer', null), absent: 'not installed' }
  const { code, out } = await runOf(['how', '--json'], [result('ours', 1), absent])
  t.equal(code, 0)
  t.same(
    out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as unknown),
    [
      { case: 'rows-1', contender: 'ours', ns: 1, ratio: 1 },
      { case: 'rows-1', contender: 'peer', ns: null, ratio: null, absent: 'not installed' }
    ]
  )
})

t.test('the table names the machine, the ratios and who is absent', async t => {
  const absent = { ...result('peer', null), absent: 'not installed' }
  const { out } = await runOf([], [result('ours', 1), result('twin', 2.5), absent])
  t.match(out, /Node\.js/)
  t.match(out, /Note\.\nSaid\./)
  t.match(out, /twin .*2\.50 x/)
  t.match(out, /peer .*absent: not installed/)
})

t.test('a ratio that falls by more than a quarter is a loss and ends with code 1', async t => {
  const before = reference(t, [result('ours', 1), result('twin', 4), result('peer', 2)])
  const compared = (...now: Result[]) => runOf(['--compare', before], [result('ours', 1), ...now])
  t.match(await compared(result('twin', 3.01), result('peer', 9)), { code: 0, err: /0 lost/ })
  const lost = await compared(result('twin', 2.99), result('peer', 2))
  t.match(lost, { code: 1, err: /rows-1 twin fell from 4 to 2\.99/ })
  t.match(await compared(result('twin', 4)), { code: 1, err: /rows-1 peer was not measured/ })
  const absent = { ...result('peer', null), absent: 'not installed' }
  const told = { code: 0, err: /not compared: peer is absent here/ }
  t.match(await compared(result('twin', 4), absent), told)
})

t.test('a cost that rises by more than a quarter is a loss', async t => {
  const cost = (ratio: number): Result => ({ ...result('copy-in', ratio), case: 'cost-100' })
  const before = reference(t, [result('ours', 1), cost(0.03)])
  const compared = (now: Result[]) => runOf(['--compare', before], [result('ours', 1), ...now])
  t.match(await compared([cost(0.04)]), { code: 0 })
  const lost = { code: 1, err: /lost: cost-100 copy-in rose from 0\.03 to 0\.041/ }
  t.match(await compared([cost(0.041)]), lost)
  t.match(await compared([]), { code: 1, err: /cost-100 copy-in was not measured/ })
})

t.test('a reference of something else holds nothing', async t => {
  const before = reference(t, [])
  const compared = await runOf(['--compare', before], [result('ours', 1)])
  t.match(compared, { code: 1, err: /nothing of what was measured/ })
})

t.test('the progress is one line that goes, or a line for each case', async t => {
  const written = { tty: '', file: '' }
  const tty = progress({ isTTY: true, write: text => (written.tty += text) })
  const file = progress({ write: text => (written.file += text) })
  for (const { report, clear } of [tty, file]) {
    for (const doing of ['rows-1 warming', 'rows-1 round 1', 'rows-2 warming']) report(doing)
    clear()
  }
  const line = '\r\u001b[K'
  t.equal(written.tty, `${line}rows-1 warming${line}rows-1 round 1${line}rows-2 warming${line}`)
  t.equal(written.file, 'rows-1\nrows-2\n')
})

t.test('what is said of one question stays with it', async t => {
  let out = ''
  const question = (title: string): Question => ({
    title,
    notes: [],
    ask: async (_, say) => (say(`Said of ${title}.`), [result('ours', 1)])
  })
  const questions = { a: async () => question('A'), b: async () => question('B') }
  await main([], questions, { write: text => (out += text) }, { write: () => {} })
  t.equal(out.match(/Said of A/g)?.length, 1)
  t.equal(out.match(/Said of B/g)?.length, 1)
})

t.test('comparing a run with itself loses nothing', async t => {
  const results = [result('ours', 1), result('twin', 2)]
  t.equal(compare(results, results).held, true)
})

t.test('a run that was saved can be compared with, on the same kind of processor', async t => {
  const file = `${t.testdir({})}/saved.jsonl`
  const results = [result('ours', 1), result('twin', 4)]
  t.match(await runOf(['--save', file], results), { code: 0 })
  const [head] = readFileSync(file, 'utf8').split('\n')
  t.match(JSON.parse(head as string), { machine: machine(), notes: ['Said.'] })
  const same = await runOf(['--compare', file], results)
  t.match(same, { code: 0, err: /2 ratios compared with the reference, 0 lost/ })
  t.notMatch(same.err, /another processor/)
})

t.test('a reference of another processor, or of none, is called so', async t => {
  const results = [result('ours', 1)]
  const other = { machine: 'Other (avx2, sha_ni), 64 cores, linux x64, Node.js 20.20.2 (V8 11)' }
  const compared = await runOf(['--compare', reference(t, results, other)], results)
  t.match(compared, { code: 0, err: /of another processor: Other \(avx2, sha_ni\); this is / })
  const none = await runOf(['--compare', reference(t, results, {})], results)
  t.match(none, { code: 0, err: /names no machine/ })
  t.type(readReference(kept).machine, 'string', 'the reference that is kept names one')
})

t.test('contenders take turns, after warming, and the middle of their times counts', async t => {
  const order: string[] = []
  const busy = (name: string, ms: number) => () => {
    order.push(name)
    for (const end = performance.now() + ms; performance.now() < end;);
  }
  const contenders = [
    { name: 'ours', run: busy('ours', 20) },
    { name: 'slow', run: busy('slow', 60) },
    { name: 'many', run: busy('many', 20), units: 10 },
    { name: 'gone', absent: 'not installed' }
  ]
  const reported: string[] = []
  const results = measure({ name: 'case', contenders }, text => reported.push(text), 3)
  const [ours, slow, many, gone] = results as [Result, Result, Result, Result]
  t.same(Object.keys(ours), ['case', 'contender', 'ns', 'ratio'])
  t.equal(ours.ratio, 1)
  t.ok((slow.ratio as number) > 1.5, 'three times the work')
  t.ok((many.ratio as number) < 0.5, 'a tenth of the work')
  t.same(gone, { case: 'case', contender: 'gone', ns: null, ratio: null, absent: 'not installed' })
  const rounds = order.slice(-9)
  t.same(rounds.slice(0, 3), ['ours', 'slow', 'many'])
  t.same(rounds.slice(3, 6), ['slow', 'many', 'ours'])
  t.ok(reported.some(text => text.startsWith('case round 3')))
})

t.test('every peer hashes what it is said to hash', async t => {
  const nodes = Uint8Array.from({ length: 64 * 1_500 }, (_, i) => i * 7 + (i >> 8))
  const row = nodes.subarray(0, 100)
  const sha256 = ['crypto.hash', 'createHash', 'as-sha256', 'hashtree']
  const peers = await loadPeers()
  const names = ['noble', 'hash-wasm', 'blake3-jit', 'blake3-wasm', 'native', ...sha256]
  t.same(
    peers.map(peer => peer.name),
    names
  )
  for (const { name, absent, leaf, nodes: hashNodes } of peers) {
    if (absent !== undefined) {
      t.comment(`${name} is absent: ${absent}`)
      continue
    }
    const hash = (bytes: Uint8Array) =>
      sha256.includes(name) ? createHash('sha256').update(bytes).digest() : blake3(bytes)
    const out = new Uint8Array(nodes.length / 2)
    hashNodes?.(nodes, out)
    const each = Array.from({ length: 1_500 }, (_, i) => hash(nodes.subarray(64 * i, 64 * i + 64)))
    t.equal(hex(out), hex(concat(each)), `nodes of ${name}`)
    const leaves = Buffer.alloc(40)
    leaf?.(row, leaves, 8)
    if (leaf !== undefined) t.equal(hex(leaves.subarray(8)), hex(hash(row)), `a row of ${name}`)
  }
})

t.test('the pipeline of crypto.hash has the tree of hashtree, or is absent', async t => {
  const nodes = () => {}
  const peer = { name: 'crypto.hash', nodes: () => t.fail('its own tree was built') }
  t.equal(withTree(peer, { name: 'hashtree', nodes }).nodes, nodes)
  for (const hashtree of [undefined, { name: 'hashtree', absent: 'not installed' }]) {
    t.match(withTree(peer, hashtree), { name: 'crypto.hash', absent: /hashtree/, nodes: undefined })
  }
  const other = { name: 'noble', nodes }
  t.equal(withTree(other, undefined), other)
})

t.test('mixed rows have the bytes of equal ones, and up to sixteen blocks', async t => {
  const batches: { bytes: number; lengths: number[] }[] = []
  const digestPacked = (rows: Uint8Array, offsets: Uint32Array) => {
    const lengths = Array.from(offsets.subarray(1), (end, i) => end - (offsets[i] as number))
    batches.push({ bytes: rows.length, lengths })
  }
  const hasher = { ...createForest(new Uint8Array(32)), digestPacked }
  const own = { name: 'ours', hasher, tree: () => createTree(new Uint8Array(32), 1) }
  const { name, contenders } = mixedCase([own])
  for (const { run } of contenders) run?.()
  t.same([name, ...contenders.map(({ name }) => name)], ['mixed-1024', 'ours', 'mixed'])
  const [equal, mixed] = batches as [(typeof batches)[0], (typeof batches)[0]]
  t.equal(equal.bytes, mixed.bytes)
  t.same(new Set(equal.lengths), new Set([522]))
  t.equal(mixed.lengths.length, equal.lengths.length)
  t.equal(Math.min(...mixed.lengths), 20)
  t.equal(Math.max(...mixed.lengths), 1_024)
  t.equal(new Set(mixed.lengths.map(length => Math.ceil(length / 64))).size, 16)
})

t.test('a machine without SIMD has no widths to compare', async t => {
  const names = async (lanes: 8 | 4 | 1) =>
    (await ours({ lanes, vector: false })).map(({ name }) => name)
  t.same(await names(1), ['ours', 'ours-scalar', 'twin'])
  t.same(await names(4), ['ours', 'ours-8', 'ours-4', 'ours-scalar', 'twin'])
})

t.test('a package that cannot be loaded is absent and says why', async t => {
  const peer = await loadPeer('gone', async () => {
    throw new Error('Cannot find package')
  })
  t.same(peer, { name: 'gone', absent: 'Cannot find package' })
})

t.test('the tree of the peers has the same hashes updated and built', async t => {
  const hash = (input: Uint8Array, output: Uint8Array) => {
    for (let at = 0; at < input.length; at += 64) {
      output.set(blake3(input.subarray(at, at + 64)), at / 2)
    }
  }
  const [updated, built] = [new PeerTree(64), new PeerTree(64)]
  const hashes = Uint8Array.from({ length: 32 * 5 }, (_, i) => i)
  const positions = Uint32Array.of(0, 1, 17, 40, 63)
  updated.build(64, hash)
  updated.update(positions, hashes, hash)
  positions.forEach((leaf, i) => built.leaves.set(hashes.subarray(32 * i, 32 * i + 32), 32 * leaf))
  built.build(64, hash)
  t.equal(hex(updated.root), hex(built.root))
  t.not(hex(updated.root), hex(new Uint8Array(32)))
})

t.test('counts are compared by what is exact, and may not grow by more than a quarter', async t => {
  const before: Count = { case: 'exchange', n: 9, d: 1, overheadBytes: 400, rowsRead: 8, timeMs: 1 }
  const network: Count = { ...before, case: 'network' }
  const lines = [before, network].map(count => JSON.stringify(count)).join('\n')
  const file = `${t.testdir({ 'counts.jsonl': lines })}/counts.jsonl`
  const compared = async (...counts: Count[]) => {
    let err = ''
    const question: Question = { title: '', notes: [], ask: async () => counts, table: countsTable }
    const out = { write: () => {} }
    const to = { write: (text: string) => (err += text) }
    return { code: await main(['--compare', file], { how: async () => question }, out, to), err }
  }
  t.match(await compared({ ...before, overheadBytes: 500, timeMs: 99 }), { code: 0, err: /0 lost/ })
  t.match(await compared({ ...before, overheadBytes: 501 }), {
    code: 1,
    err: /exchange n=9 d=1 overheadBytes rose from 400 to 501/
  })
  t.match(await compared({ ...before, rowsRead: 11 }), { code: 1 })
  t.match(await compared(before, { ...network, rowsRead: 99 }), { code: 0, err: /^1 counts/m })
  t.match(await compared({ ...before, d: 2 }), { code: 1, err: /d=1 was not measured/ })
})

t.test('--rows leaves out the cases of more rows', async t => {
  let rowsMax: number | undefined
  const ask: Question['ask'] = async (_, __, options) => ((rowsMax = options.rowsMax), [])
  const question = async () => ({ title: '', notes: [], ask })
  await main(['--rows', '500'], { how: question }, { write: () => {} }, { write: () => {} })
  t.equal(rowsMax, 500)
})

t.test('the machines of the exchange move what was updated, and count it', async t => {
  const parts = await built()
  const maker = new RowMaker(parts)
  t.equal(maker.bytes(7).length, ROW_BYTES)
  t.equal(maker.bytes(7, 3).length, ROW_BYTES)
  const sides = [0, 0].map(() => openSide(parts, maker, 300, () => {}))
  const [here, there] = (await Promise.all(sides)) as [
    Awaited<(typeof sides)[0]>,
    Awaited<(typeof sides)[0]>
  ]
  t.teardown(() => Promise.all([here, there].map(side => side.close())))
  const none = await exchange(parts, here, there)
  t.match(none, { rowsMoved: 0, rowsRead: 0, rowBytes: 0, roundTrips: 1 })
  t.ok(none.bytes <= 200, `${none.bytes} bytes`)
  await update(there, maker, 300, 20, 1)
  t.match(await exchange(parts, here, there), { rowsMoved: 20, rowBytes: 20 * (ROW_BYTES + 11) })
  t.match(await exchange(parts, there, here), { rowsMoved: 0 })
  await update(there, maker, 300, 20, 2)
  const keys = updated(300, 20).map(i => maker.key(i))
  t.match(await replay(parts, there, here, keys), {
    rowsMoved: 20,
    rowBytes: 20 * (ROW_BYTES + 11)
  })
  t.match(await exchange(parts, here, there), { rowsMoved: 0 })
})

t.test('the digest question has these cases, and the reference every one of them', async t => {
  t.ok(ROUNDS >= 9 && ROUNDS % 2 === 1, 'there is a middle one of nine or more')
  const cases = [
    ...[32, 100, 256, 1_024, 16_384, 1_048_576].map(bytes => `rows-${bytes}`),
    ...['cost-100', 'mixed-1024', 'tree-1000000', 'pipeline-1000000x100', 'single-100'],
    ...[1, 100, 1_000, 10_000].map(count => `update-${count}`)
  ]
  const measured = digestCases.map(([name]) => name)
  t.same(measured, cases)
  const { results } = readReference(kept)
  t.same([...new Set(results.map(result => result.case))], cases)
  const own = ['ours', 'ours-4', 'ours-scalar', 'twin']
  const peers = (await loadPeers()).map(peer => peer.name)
  const mixed = ['ours', 'mixed']
  for (const name of cases) {
    const contenders = new Set(
      results.filter(result => result.case === name).map(result => result.contender)
    )
    const wanted = /^(?:cost|mixed)/.test(name)
      ? [...mixed, ...(name === 'cost-100' ? ['copy-in'] : [])]
      : [...own, ...(/^(?:tree|update)/.test(name) ? peers : peers.slice(0, -1))]
    t.same(
      wanted.filter(contender => !contenders.has(contender)),
      [],
      name
    )
  }
})

t.test('the reference that is kept reaches every ratio that is aimed at, but one', async t => {
  const { results } = readReference(kept)
  const ratioOf = (name: string, contender: string) =>
    results.find(each => each.case === name && each.contender === contender)?.ratio ?? 0
  const bestPackage = (name: string) =>
    Math.min(...['hash-wasm', 'blake3-jit', 'blake3-wasm'].map(each => ratioOf(name, each)))
  const floors = [
    ['rows-100', { twin: 2.2, noble: 40, 'crypto.hash': 3.8, native: 15 }, 4],
    ['rows-1024', { 'crypto.hash': 1.4 }, 2.2],
    ['tree-1000000', { twin: 2.2, hashtree: 1.15, 'as-sha256': 9 }, 0],
    ['pipeline-1000000x100', { twin: 2.2, 'crypto.hash': 4 }, 5.5],
    ['single-100', { twin: 1, 'hash-wasm': 2 }, 0],
    ['update-1', { twin: 1.1 }, 0],
    ['update-1000', { twin: 2.2 }, 0]
  ] as const
  for (const [name, others, ofPackages] of floors) {
    for (const [contender, floor] of Object.entries(others)) {
      t.ok(ratioOf(name, contender) >= floor, `${name}: ${floor} times as fast as ${contender}`)
    }
    t.ok(bestPackage(name) >= ofPackages, `${name}: ${ofPackages} times as fast as any package`)
  }
  t.ok(ratioOf('cost-100', 'copy-in') <= 0.06, 'copying in')
  t.ok(ratioOf('cost-100', 'mixed') <= 1.1, 'mixed lengths')
  t.ok(ratioOf('mixed-1024', 'mixed') <= 1.1, 'mixed lengths of up to 16 blocks')
  // SHA-256 in hardware hashes one row in 1.5 to 2 times our time, by processor; 1.8 is aimed at.
  t.ok(ratioOf('single-100', 'crypto.hash') >= 1.4, 'one row alone beside SHA-256 in hardware')
})

t.test('the peers are needed for the benchmark only', async t => {
  const file = new URL('../package.json', import.meta.url)
  const { dependencies, devDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >
  const packages = ['@noble/hashes', 'hash-wasm', 'blake3-jit', 'blake3-wasm']
  packages.push('@napi-rs/blake-hash', '@chainsafe/as-sha256', '@chainsafe/hashtree')
  for (const name of packages) {
    t.ok(name in devDependencies, name)
    t.notOk(name in dependencies, name)
  }
})
