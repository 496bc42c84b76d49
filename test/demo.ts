import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

/** The compiled program: what `npm start` runs. */
const main = fileURLToPath(new URL('../dist/fronts/cli/main.js', import.meta.url))

interface Demo {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  text(): string
  /** Resolves with the match once it was printed; rejects when the demo ends without it. */
  said(pattern: RegExp): Promise<RegExpMatchArray>
}

function demo(t: Test, ...options: string[]): Demo {
  const child = spawn(process.execPath, [main, 'demo', ...options])
  const ended = once(child, 'close')
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
  child.stderr.setEncoding('utf8').on('data', (part: string) => (text += part))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    await rm(directoryOf(text), { recursive: true, force: true, maxRetries: 5 })
  })
  const said = async (pattern: RegExp): Promise<RegExpMatchArray> => {
    for (;;) {
      const match = text.match(pattern)
      if (match !== null) return match
      if (child.exitCode !== null) throw new Error(`the demo ended, having said ${text}`)
      await Promise.race([once(child.stdout, 'data'), ended])
    }
  }
  return { child, ended, text: () => text, said }
}

function directoryOf(text: string): string {
  return text.match(/data in (\S+)/)?.[1] ?? '/nonexistent'
}

/** A connection to each node, which ends when the node does. */
async function connections({ said, text }: Demo): Promise<Socket[]> {
  await said(/node 3 .*http \d+/)
  const ports = [...text().matchAll(/redis (\d+)/g)].map(match => Number(match[1]))
  const sockets = ports.map(port => connect(port, '127.0.0.1').resume())
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  return sockets
}

void t.test('every step of the story holds, and nothing is left behind', async t => {
  const { child, ended, text } = demo(t, '--once')
  await ended
  const steps = text().match(/^ {2}✓ /gm)?.length ?? 0
  t.equal(child.exitCode, 0, 'status 0', { text: text() })
  t.ok(steps >= 13, `${steps} steps`)
  t.notMatch(text(), /✗/)
  t.notOk(existsSync(directoryOf(text())), 'the data is gone')
})

void t.test('Ctrl-C in the middle of the story ends every node', async t => {
  const running = demo(t, '--once')
  const sockets = await connections(running)
  const closed = Promise.all(sockets.map(socket => once(socket, 'close')))
  running.child.kill('SIGINT')
  await closed
  await running.ended
  t.equal(running.child.exitCode, 130, 'status 130', { text: running.text() })
  t.notOk(existsSync(directoryOf(running.text())), 'the data is gone')
})

void t.test('the nodes of a demo that was killed end by themselves', async t => {
  const running = demo(t, '--once')
  const sockets = await connections(running)
  const closed = Promise.all(sockets.map(socket => once(socket, 'close')))
  running.child.kill('SIGKILL')
  t.equal((await closed).length, 3)
})
