/**
 * Real processes on a data directory that was copied while its node ran: two with one identity. The
 * one that was started later must not serve, whether that shows at its start or only afterwards.
 */
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { text } from '../src/util/bytes.ts'
import { ClusterNode, createNode, eventually, temporary } from './fixtures/cluster-process.ts'

/** A node that has written, another that knows it, and a copy of the directory of the first. */
async function copied(t: Test) {
  const [other, original] = [await createNode(t), await createNode(t)]
  await other.start()
  await original.start(await other.admin.invite())
  await original.admin.put('k', 'v', { level: 'all' })
  const directory = join(await temporary(t), 'data')
  const filter = (path: string) => !path.endsWith('.sock')
  await cp(original.directory, directory, { recursive: true, filter })
  const copy = new ClusterNode(directory)
  t.teardown(() => copy.end('SIGKILL'))
  return { other, original, copy }
}

async function signal(node: ClusterNode, name: NodeJS.Signals): Promise<void> {
  process.kill(Number(await readFile(join(node.directory, 'lock'), 'utf8')), name)
}

void t.test('a copy that is started beside its original ends with a sentence', async t => {
  const { original, copy } = await copied(t)
  const { status, stderr, stdout } = await copy.launch().ended
  t.equal(status, 1)
  t.match(stdout.toString(), /"code":"ERR_DUPLICATE_IDENTITY"/)
  t.match(stderr, /Another process .* runs with the identity of this node/)
  t.match(stderr, /start this one with a new data directory and an invite/)
  t.equal(text((await original.admin.read('k', { level: 'all' })).value as Uint8Array), 'v')
  t.equal((await original.admin.status()).fillingSlots, 0, 'the original has lost nothing by it')
})

void t.test('a copy that was started while its original hung gives way later', async t => {
  const { original, copy, other } = await copied(t)
  await signal(original, 'SIGSTOP')
  t.teardown(() => signal(original, 'SIGKILL').catch(() => undefined))
  const { peerId } = await copy.start()
  t.equal(peerId, original.id)
  await signal(original, 'SIGCONT')
  const refuses = () =>
    copy.admin.read('k', { level: 'one' }).then(
      () => false,
      ({ code }: { code?: string }) => code === 'ERR_DUPLICATE_IDENTITY'
    )
  await eventually('the copy refuses to serve', refuses)
  await eventually('the original serves with the other', async () => {
    const { members } = await other.admin.status()
    return members.find(({ id }) => id === original.id)?.liveness === 'alive'
  })
  const written = await original.admin.put('k', 'w', { level: 'all' })
  t.equal(written.acknowledged.length, 2)
})
