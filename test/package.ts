/**
 * The package as npm would publish it, installed beside nothing but its declared dependencies: what
 * is in it, that it loads with `import` and with `require`, that its types resolve, that it runs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { bare } from './fixtures/cluster-process.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Manifest {
  readonly version: string
  readonly bin: { readonly hearsay: string }
  readonly dependencies: Readonly<Record<string, string>>
}

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, without the loaders of the test runner. */
async function run(t: Test, cwd: string, ...command: string[]): Promise<Ran> {
  const child = spawn('sh', ['-c', bare, '-', ...command], { cwd, stdio: 'pipe' })
  t.teardown(() => child.kill('SIGKILL'))
  const text = { stdout: '', stderr: '' }
  child.stdin.end()
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text.stdout += part))
  child.stderr.setEncoding('utf8').on('data', (part: string) => (text.stderr += part))
  await once(child, 'close')
  return { status: child.exitCode, ...text }
}

async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
}

/** A directory with the packed package in its node_modules, and its dependencies as links. */
async function install(t: Test): Promise<{ place: string; files: string[] }> {
  const place = await mkdtemp(join(tmpdir(), 'hearsay-package-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const modules = join(place, 'node_modules')
  await mkdir(modules)
  const { dependencies } = await readManifest()
  for (const name of Object.keys(dependencies)) await link(modules, name)
  const pack = ['npm', 'pack', '--json', '--offline', '--ignore-scripts']
  const packed = await run(t, root, ...pack, '--pack-destination', place)
  t.equal(packed.status, 0, 'npm packs it', packed)
  const [{ filename, files }] = JSON.parse(packed.stdout) as [Packed]
  t.equal((await run(t, place, 'tar', '-xzf', filename)).status, 0)
  await run(t, place, 'mv', 'package', join(modules, 'hearsay'))
  return { place, files: files.map(file => file.path) }
}

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

async function link(modules: string, name: string): Promise<void> {
  const path = join(modules, name)
  await mkdir(dirname(path), { recursive: true })
  await symlink(join(root, 'node_modules', name), path)
}

/** What both ways of loading must do, with the package in `hearsay`. */
const story = (data: string): string => `
  const node = await hearsay.createNode({ path: '${data}', listen: ['/ip4/127.0.0.1/tcp/0'] })
  await node.put('k', 'v')
  const value = await node.get('k')
  const absent = await node.get('nothing')
  const error = await node.get('').catch(cause => cause)
  await node.close()
  console.log(JSON.stringify({
    value: Buffer.from(value).toString(),
    absent: absent === undefined,
    code: error.code,
    ours: error instanceof hearsay.HearsayError,
    level: hearsay.parseLevel('2')
  }))
`

const told = { value: 'v', absent: true, code: 'ERR_KEY_SIZE', ours: true, level: 2 }

void t.test('the packed package', async t => {
  const { place, files } = await install(t)
  const packageAt = (...path: string[]): string => join(place, 'node_modules/hearsay', ...path)

  await t.test('holds what it needs to run and nothing else', async t => {
    const beside = files.filter(path => !path.startsWith('dist/')).sort()
    const needed = [
      'LICENSE',
      'README.md',
      'build/release.wasm',
      'build/scalar.wasm',
      'package.json'
    ]
    t.strictSame(beside, needed)
    const strange = files.filter(
      path => /^dist\//.test(path) && !/\.(js|d\.ts|js\.map)$/.test(path)
    )
    t.strictSame(strange, [])
    const sources = await readdir(join(root, 'src'), { recursive: true })
    const compiled = sources
      .filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts'))
      .map(path => `dist/${path.replace(/\.ts$/, '.js')}`)
    const missing = compiled.filter(path => !files.includes(path))
    t.strictSame(missing, [], 'every source file is there, compiled')
  })

  await t.test('loads and runs with import', async t => {
    await writeFile(join(place, 'import.mjs'), `import * as hearsay from 'hearsay'\n${story('a')}`)
    const { status, stdout, stderr } = await run(t, place, process.execPath, 'import.mjs')
    t.strictSame([status, stderr], [0, ''])
    t.strictSame(JSON.parse(stdout), told)
  })

  await t.test('loads and runs with require, without a flag', async t => {
    const code = `const hearsay = require('hearsay')\nvoid (async () => {${story('b')}})()`
    await writeFile(join(place, 'require.cjs'), code)
    const { status, stdout, stderr } = await run(t, place, process.execPath, 'require.cjs')
    t.equal(status, 0, stderr)
    t.strictSame(unexpected(stderr), [])
    t.strictSame(JSON.parse(stdout), told)
  })

  await t.test('has no top-level await in all that it loads', async t => {
    const modules = files.filter(path => path.endsWith('.js') && !path.endsWith('cli/main.js'))
    // To require a module fails when it, or anything that it imports, awaits at its top level.
    const code = `for (const path of ${JSON.stringify(modules)}) require('./node_modules/hearsay/' + path)`
    await writeFile(join(place, 'all.cjs'), code)
    const { status, stderr } = await run(t, place, process.execPath, 'all.cjs')
    t.equal(status, 0, stderr)
    t.strictSame(unexpected(stderr), [])

    await writeFile(packageAt('dist/late.js'), 'export const late = await 1\n')
    await writeFile(join(place, 'late.cjs'), `require('./node_modules/hearsay/dist/late.js')`)
    const late = await run(t, place, process.execPath, 'late.cjs')
    t.match(late.stderr, /ERR_REQUIRE_ASYNC_MODULE/, 'one that has it would be found')
  })

  await t.test('has types that a strict program is checked against', async t => {
    await link(join(place, 'node_modules'), '@types/node')
    await link(join(place, 'node_modules'), 'undici-types')
    await writeFile(join(place, 'package.json'), '{ "type": "module" }')
    await writeFile(
      join(place, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['use.*'] })
    )
    await writeFile(join(place, 'use.mts'), consumer)
    await writeFile(join(place, 'use.cts'), consumer)
    const tsc = [process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']
    const good = await run(t, place, ...tsc)
    t.strictSame([good.status, good.stdout], [0, ''])
    await writeFile(join(place, 'use.cts'), consumer.replace("'quorum'", "'most'"))
    const bad = await run(t, place, ...tsc)
    t.match(bad.stdout, /use\.cts.*"most"/, 'a level that does not exist is an error')
  })

  await t.test('brings the program', async t => {
    const { bin, version } = await readManifest()
    const main = packageAt(bin.hearsay)
    const { status, stdout } = await run(t, place, process.execPath, main, '--version')
    t.strictSame([status, stdout], [0, `${version}\n`])
    t.match(await readFile(main, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  })
})

void t.test('in a clone that was built npx finds the program, as README says', async t => {
  const { version } = await readManifest()
  const { status, stdout, stderr } = await run(t, root, 'npx', '--offline', 'hearsay', '--version')
  t.strictSame([status, stdout, stderr], [0, `${version}\n`, ''])
})

const compilerOptions = {
  target: 'ES2022',
  lib: ['ES2023', 'ESNext.Disposable'],
  module: 'NodeNext',
  strict: true,
  exactOptionalPropertyTypes: true,
  types: ['node'],
  noEmit: true
}

const consumer = `
import { createNode, HearsayError, parseLevel, UnavailableError } from 'hearsay'
import type { HearsayNode, Level, ReadResult, Status, WriteResult } from 'hearsay'

export async function use(path: string): Promise<Uint8Array | undefined> {
  await using node: HearsayNode = await createNode({ path, n: 3 })
  const level: Level = parseLevel('2')
  const written: WriteResult = await node.put('k', new Uint8Array(1), { level: 'quorum' })
  const read: ReadResult = await node.read('k', { level, timeoutMs: 1_000 })
  const status: Status = node.status()
  console.log(written.version, read.answers, status.members.length)
  return node.get('k')
}

export function explain(error: unknown): string {
  if (error instanceof UnavailableError) return String(error.alive)
  return error instanceof HearsayError ? error.code : 'none'
}
`

/** Node 20 says once that `require` of a module is experimental, and how to see where. */
function unexpected(stderr: string): string[] {
  const lines = stderr.split('\n').filter(line => line !== '')
  return lines.filter(line => !/ExperimentalWarning: .*require|--trace-warnings/.test(line))
}
