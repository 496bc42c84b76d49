import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { openDirectory } from '../src/store/directory.ts'
import { DATA_FILE, openLmdbStore } from '../src/store/lmdb.ts'
import { MemoryDisk, MemoryStore } from '../src/store/memory.ts'
import { PAGE_BYTES, Pages } from '../src/store/pages.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import { storeSuite } from './fixtures/store-suite.ts'

const writer = fileURLToPath(new URL('./fixtures/store-writer.ts', import.meta.url))
const isRoot = process.getuid?.() === 0
const posix = process.platform !== 'win32'

void storeSuite(t, 'the memory store', async () => {
  const disk = new MemoryDisk()
  return { open: async () => new MemoryStore({ disk }) }
})

void storeSuite(t, 'the LMDB store', async t => {
  const directory = t.testdir()
  return { open: () => openLmdbStore({ directory }) }
})

interface Writer {
  readonly process: ChildProcess
  /** The next line it prints; rejects when there is none any more. */
  line(): Promise<string>
  /** Ends it as a crash does. */
  kill(): Promise<void>
}

/** A process that runs store-writer.ts, by way of a shell when `prefix` names a limit to set first. */
function startWriter(t: Test, path: string, mode: string, prefix = ''): Writer {
  // Not what tap adds to watch processes: that would end the child on SIGXFSZ, which Node.js ignores.
  const options = process.execArgv.filter(option => !option.includes('processinfo'))
  const argv = [process.execPath, ...options, writer, path, mode]
  const child = prefix
    ? spawn('sh', ['-c', `${prefix}; exec "$0" "$@"`, ...argv])
    : spawn(argv[0] as string, argv.slice(1))
  const exit = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exit
  }
  t.teardown(kill)
  child.stderr.pipe(process.stderr)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`The writer has ended (${(await exit).join(', ')}).`)
    return value
  }
  return { process: child, line, kill }
}

void t.test('every write acknowledged before kill -9 is there afterwards', async t => {
  const path = t.testdir()
  for (let round = 0; round < 3; round++) {
    const { line, kill } = startWriter(t, path, 'loop')
    const acknowledged: string[] = []
    while (acknowledged.length < 200 * (round + 1)) acknowledged.push(await line())
    await kill()
    for (const rest of [line(), line(), line()]) acknowledged.push(await rest.catch(() => '0'))
    const directory = await openDirectory(path)
    const store = await openLmdbStore({ directory: path })
    const missing = acknowledged.filter(i => !store.get('rows', utf8(i.padStart(8, '0'))))
    t.same(missing, [])
    t.same(
      Array.from(store.range('rows'), ([key]) => text(key)),
      Array.from(store.range('hints'), ([key]) => text(key)),
      'no half of a commit'
    )
    await store.close()
    await directory.close()
  }
})

void t.test(
  'copies in pages are what they were made of, and belong to whoever has them',
  async t => {
    const run = fc.tuple(fc.nat(50), fc.oneof(fc.nat(300), fc.nat(3_000)), fc.nat(255))
    await fc.assert(
      fc.asyncProperty(fc.array(run, { maxLength: 60 }), async runs => {
        const pages = new Pages()
        const shared = Buffer.alloc(4_096)
        const copies = runs.map(([start, length, byte]) => {
          shared.fill(byte + 1, start, start + length)
          return pages.copy(shared, start, start + length)
        })
        shared.fill(0)
        for (const [i, copy] of copies.entries()) {
          const [, length, byte] = runs[i] as [number, number, number]
          if (copy instanceof Buffer) throw new Error('it is a Buffer')
          if (copy.length !== length || copy.some(each => each !== ((byte + 1) & 255))) {
            throw new Error(`copy ${i} is not what was copied`)
          }
          if (copy.buffer.byteLength > PAGE_BYTES) throw new Error('it keeps more than a page')
          copy.fill(0xaa)
          const next = copies[i + 1]
          if (next?.some(each => each !== (((runs[i + 1]?.[2] as number) + 1) & 255))) {
            throw new Error('a change of one changed the next')
          }
        }
      })
    )
    t.pass()
  }
)

void t.test('a directory has one holder, until that ends in whatever way', async t => {
  const path = t.testdir()
  const { process: child, line, kill } = startWriter(t, path, 'hold')
  t.equal(await line(), 'held')
  await t.rejects(openDirectory(path), {
    code: 'ERR_DIRECTORY_LOCKED',
    message: new RegExp(`in use by process ${child.pid};`)
  })
  await kill()
  const first = await openDirectory(path)
  await t.rejects(openDirectory(path), { code: 'ERR_DIRECTORY_LOCKED', message: /this process/ })
  await first.close()
  await first.close()
  const second = await openDirectory(path)
  await second.close()
})

void t.test('a directory is created, and closed to other users', { skip: !posix }, async t => {
  const path = join(t.testdir(), 'new', 'deep')
  const created = await openDirectory(path)
  t.equal(created.path, path)
  t.equal(fs.statSync(path).mode & 0o777, 0o700)
  t.equal(fs.statSync(join(path, '..')).mode & 0o777, 0o700)
  const store = await openLmdbStore({ directory: path })
  t.equal(fs.statSync(join(path, DATA_FILE)).mode & 0o777, 0o600)
  await store.close()
  await created.close()
  fs.chmodSync(path, 0o755)
  await (await openDirectory(path)).close()
  t.equal(fs.statSync(path).mode & 0o777, 0o700, 'our own is tightened')
})

void t.test('a directory of others is refused and left as it is', { skip: !posix }, async t => {
  const path = t.testdir({ 'letter.txt': 'not ours' })
  fs.chmodSync(path, 0o755)
  await t.rejects(openDirectory(path), { code: 'ERR_DIRECTORY', message: /chmod 700/ })
  t.equal(fs.statSync(path).mode & 0o777, 0o755)
  const sticky = t.testdir({ tmp: {} }) + '/tmp'
  fs.chmodSync(sticky, 0o1777)
  await t.rejects(openDirectory(sticky), { code: 'ERR_DIRECTORY' })
})

void t.test('a path that cannot be a directory is refused in a sentence', async t => {
  const path = t.testdir({ file: '', dangling: t.fixture('symlink', './nowhere') })
  await t.rejects(openDirectory(join(path, 'file')), {
    code: 'ERR_DIRECTORY',
    message: /it is a file; give a directory\.$/
  })
  await t.rejects(openDirectory(join(path, 'file', 'under')), {
    code: 'ERR_DIRECTORY',
    message: /a part of the path is a file; choose another\.$/
  })
  await t.rejects(openDirectory(join(path, 'dangling')), { code: 'ERR_DIRECTORY' })
})

const unwritable = isRoot ? 'root may write everywhere' : !posix
void t.test('an unwritable directory is refused in a sentence', { skip: unwritable }, async t => {
  const path = t.testdir()
  fs.chmodSync(path, 0o500)
  t.teardown(() => fs.chmodSync(path, 0o700))
  for (const at of [path, join(path, 'new')]) {
    await t.rejects(openDirectory(at), { code: 'ERR_DIRECTORY', message: /permission is denied/ })
  }
})

void t.test('a copied directory is another place', async t => {
  const root = t.testdir({ one: {} })
  const [one, two] = [join(root, 'one'), join(root, 'two')]
  const original = await openLmdbStore({ directory: one })
  await original.commit([{ space: 'rows', key: utf8('a'), value: utf8('1') }])
  await original.close()
  fs.cpSync(one, two, { recursive: true })
  const copy = await openLmdbStore({ directory: two })
  t.same(copy.get('rows', utf8('a')), utf8('1'))
  t.not(copy.place, original.place)
  await copy.close()
})

void t.test('a damaged data file is refused with what to do', async t => {
  const healthy = async (): Promise<string> => {
    const directory = t.testdir()
    const store = await openLmdbStore({ directory })
    for (let i = 0; i < 50; i++) {
      const row = { key: utf8(`k${i}`), value: new Uint8Array(3_000).fill(i) }
      await store.commit([{ space: 'rows', ...row }])
    }
    await store.close()
    return directory
  }
  const damage: Record<string, (file: string) => void> = {
    garbage: file => fs.writeFileSync(file, new Uint8Array(40_000).fill(0xa5)),
    'a broken first page': file => patch(file, 0, 64),
    'a broken second page': file => patch(file, 4_096, 64),
    'another version': file => patch(file, 28, 1),
    'a cut after the meta pages': file => fs.truncateSync(file, 8_192),
    'a cut within the first page': file => fs.truncateSync(file, 100),
    'garbage where the trees are': file => patch(file, 8_192, fs.statSync(file).size - 8_192),
    'a text file': file => fs.writeFileSync(file, 'hello\n')
  }
  for (const [name, apply] of Object.entries(damage)) {
    const directory = await healthy()
    const file = join(directory, DATA_FILE)
    apply(file)
    const before = fs.readFileSync(file)
    await t.rejects(openLmdbStore({ directory }), { code: 'ERR_CORRUPT', message: /Move it/ }, name)
    t.ok(before.equals(fs.readFileSync(file)), 'the file is left as it was')
  }
})

/** Overwrites bytes of a file with ones that are wrong for sure. */
function patch(file: string, offset: number, length: number): void {
  const bytes = fs.readFileSync(file)
  for (let i = offset; i < offset + length; i++) bytes[i] = ~(bytes[i] as number)
  fs.writeFileSync(file, bytes)
}

void t.test('an empty data file is taken for a new one', async t => {
  const directory = t.testdir({ [DATA_FILE]: '' })
  const store = await openLmdbStore({ directory })
  t.same([...store.range('rows')], [])
  await store.close()
})

void t.test('a directory that cannot be written to is refused by the store', async t => {
  const directory = t.testdir({ [DATA_FILE]: {} })
  await t.rejects(openLmdbStore({ directory }), { code: 'ERR_STORE' })
  await t.rejects(openLmdbStore({ directory: join(directory, 'missing') }), { code: 'ERR_STORE' })
})

interface Refusal {
  readonly acknowledged: number
  readonly rows: number
  readonly hints: number
  readonly code: string
  readonly message: string
}

/** Runs a writer into a limit, lifts the limit, and sees it go on. */
async function runIntoLimit(t: Test, child: Writer, lift: () => void): Promise<Refusal> {
  const refusal = JSON.parse(await child.line()) as Refusal
  t.equal(refusal.code, 'ERR_STORE')
  t.ok(refusal.acknowledged > 10)
  t.equal(refusal.rows, refusal.acknowledged, 'the refused row is not there')
  t.equal(refusal.hints, refusal.acknowledged, 'nor its hint')
  lift()
  child.process.stdin?.write('go on\n')
  const after = JSON.parse(await child.line()) as { rows: number }
  t.equal(after.rows, refusal.acknowledged + 1)
  return refusal
}

void t.test('a full disk refuses the commit, and takes the next once there is room', async t => {
  const path = fs.mkdtempSync(join(tmpdir(), 'hearsay-disk-'))
  t.teardown(() => fs.rmdirSync(path))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    t.comment('skipped: only root may mount a small disk')
    return
  }
  t.teardown(() => execFileSync('umount', ['-l', path]))
  fs.writeFileSync(join(path, 'ballast'), new Uint8Array(2_000_000))
  fs.mkdirSync(join(path, 'data'))
  const child = startWriter(t, join(path, 'data'), 'fill')
  const refusal = await runIntoLimit(t, child, () => fs.unlinkSync(join(path, 'ballast')))
  t.match(refusal.message, /is full: .* Nothing was stored\. Free some space; no restart is needed/)
})

void t.test('a disk that fails stops the store until a restart', { skip: !posix }, async t => {
  const path = t.testdir()
  // Not a whole number of pages, so that the last write is cut short.
  const child = startWriter(t, path, 'fill', 'unset NODE_OPTIONS; ulimit -S -f 4001')
  const refusal = JSON.parse(await child.line()) as Refusal
  t.equal(refusal.code, 'ERR_STORE')
  t.match(refusal.message, /Then restart the node: what was acknowledged is kept/)
  child.process.stdin?.write('go on\n')
  t.match(await child.line(), /"code":"ERR_STORE"/, 'and a second time')
  await child.kill()
  const store = await openLmdbStore({ directory: path })
  t.equal([...store.range('rows')].length, refusal.acknowledged)
  await store.commit([{ space: 'rows', key: utf8('a'), value: utf8('1') }])
  await store.close()
})

void t.test('a data file that is removed under the store is missed by the next write', async t => {
  const directory = t.testdir()
  const store = await openLmdbStore({ directory })
  const write = { space: 'rows', key: utf8('a'), value: utf8('1') } as const
  await store.commit([write])
  fs.unlinkSync(join(directory, DATA_FILE))
  const refusal = { name: 'StoreError', code: 'ERR_STORE', isOutcomeUnknown: false }
  const message = /data\.mdb: the file was removed; start .* invite .* Nothing was stored\./
  await t.rejects(store.commit([write]), { ...refusal, message })
  t.same(store.get('rows', write.key), write.value, 'what was stored can still be read')
  await store.close()
})
