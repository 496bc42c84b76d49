import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import {
  ambientUses,
  badImports,
  circles,
  DRIVEN,
  partOf,
  topLevelAwaits,
  type Sources
} from './fixtures/layer-rules.ts'

const root = new URL('../src/', import.meta.url)

const sources: Sources = new Map(
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.ts'))
    .map(path => path.replaceAll('\\', '/'))
    .map(path => [path, readFileSync(new URL(path, root), 'utf8')])
)

/** One bad file, as the rules would see it. */
const bad = (path: string, text: string): Sources => new Map([[path, text]])

void t.test('imports go down the layers only', async t => {
  t.ok(sources.size > 20, 'the sources were found')
  t.same(badImports(sources), [])
  const refused: [path: string, imported: string][] = [
    ['lattice/row.ts', '../ports.ts'],
    ['util/bytes.ts', '../lattice/row.ts'],
    ['options.ts', './replica/replica.ts'],
    ['store/lmdb.ts', '../replica/replica.ts'],
    ['net/libp2p.ts', '../cluster/membership.ts'],
    ['replica/replica.ts', '../store/memory.ts'],
    ['repair/worker.ts', '../net/rpc.ts'],
    ['coordinator/coordinator.ts', '../repair/hints.ts'],
    ['repair/hints.ts', '../coordinator/coordinator.ts'],
    ['replica/replica.ts', '../coordinator/coordinator.ts'],
    ['node.ts', './fronts/cli/main.ts'],
    ['fronts/cli/main.ts', '../../node.ts'],
    ['fronts/resp/server.ts', '../../errors.ts'],
    ['errors.ts', './ports.ts'],
    ['newcomer/thing.ts', '../errors.ts']
  ]
  for (const [path, imported] of refused) {
    const found = badImports(bad(path, `import { x } from '${imported}'`))
    t.equal(found.length, 1, `${path} may not import ${imported}`)
    t.same(badImports(bad(path, `import type { X } from '${imported}'`)), found, 'nor its types')
    t.same(badImports(bad(path, `export { x } from '${imported}'`)), found, 'nor pass it on')
  }
  t.same(badImports(bad('fronts/cli/main.ts', `import { x } from '../../index.ts'`)), [])
  t.same(badImports(bad('repair/hints.ts', `import { x } from '../replica/replica.ts'`)), [])
})

void t.test('no two parts import each other, directly or around', async t => {
  t.same(circles(sources), [])
  const around: Sources = new Map([
    ['ring/a.ts', `import { b } from '../wire/b.ts'`],
    ['wire/b.ts', `import { c } from '../digest/c.ts'`],
    ['digest/c.ts', `import { a } from '../ring/a.ts'`],
    ['node.ts', `import { a } from './ring/a.ts'`]
  ])
  t.same(circles(around), ['ring in circle', 'wire in circle', 'digest in circle'])
})

void t.test('time, chance and I/O reach the engine through ports only', async t => {
  t.same(ambientUses(sources), [])
  const uses = [
    'Date.now()',
    'performance.now()',
    'Math.random()',
    'setTimeout(f, 1)',
    'setImmediate(f)',
    'crypto.randomUUID()',
    'crypto.getRandomValues(x)',
    'AbortSignal.timeout(1)',
    'process.hrtime()',
    'new WeakRef(x)',
    'x.toLocaleString()',
    'new Intl.Collator()',
    `require('node:fs')`,
    `import('node:timers/promises')`
  ]
  for (const use of uses) {
    t.equal(ambientUses(bad('replica/bad.ts', `export const x = ${use}`)).length, 1, use)
  }
  t.same(ambientUses(bad('lattice/ok.ts', '// Date.now() is not called here')), [])
  t.same(ambientUses(bad('net/ok.ts', 'setTimeout(f, 1)')), [], 'adapters may')
  t.match(ambientUses(bad('digest/wasm.ts', 'Date.now()')), ['digest/wasm.ts uses Date.now'])
  const looked = new Set([...sources.keys()].map(partOf).filter(part => DRIVEN.includes(part)))
  t.ok(looked.has('lattice') && looked.has('replica') && looked.has('ring'), 'it looks at them')
})

void t.test('no module awaits at its top level', async t => {
  t.same(topLevelAwaits(sources), [])
  const awaits = [
    'const x = await f()',
    'for await (const x of y) f(x)',
    'if (x) { await f() }',
    'export const x = { y: await f() }'
  ]
  for (const text of awaits) t.equal(topLevelAwaits(bad('index.ts', text)).length, 1, text)
  t.same(topLevelAwaits(bad('index.ts', 'export const f = async () => { await g() }')), [])
})
