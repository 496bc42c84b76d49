/**
 * demo: three nodes on this machine play the story; then they stay up until Ctrl-C. Whatever
 * happens, every process is ended and, without `--keep`, the data is removed.
 */
import type { Call, Command } from '../command.ts'
import type { Io } from '../io.ts'
import { createCluster, type Cluster } from './cluster.ts'
import { Screen } from './screen.ts'
import type { Scene, Step } from './scene.ts'
import { story } from './story.ts'

export const demoCommand: Command = {
  name: 'demo',
  arguments: [],
  summary: 'Run three nodes on this machine and watch them heal, each step checked',
  options: [
    { name: 'once', text: 'end after the story; exit status 0 only if every step held' },
    { name: 'keep', text: 'leave the data directories where they are' }
  ],
  run: demo
}

async function demo(call: Call, io: Io): Promise<number> {
  const stop = new AbortController()
  const forget = io.onStop(() => (stop.signal.aborted ? io.exit(130) : stop.abort()))
  const screen = new Screen(io.stdout)
  const { cluster, remove } = await createCluster(stop.signal)
  screen.text(`Hearsay: three nodes on this machine, data in ${cluster.directory}`)
  try {
    const held = await play(cluster, screen, io, stop.signal)
    if (!held) return stop.signal.aborted ? 130 : 1
    if (!call.flag('once')) await stayUp(cluster, screen, stop.signal)
    return 0
  } finally {
    await cluster.stop()
    if (!call.flag('keep')) await remove()
    forget()
  }
}

/** Resolves with whether every step held. Later steps build on earlier ones, so one failure ends it. */
async function play(
  cluster: Cluster,
  screen: Screen,
  io: Io,
  signal: AbortSignal
): Promise<boolean> {
  const scene: Scene = { cluster, io, signal, versions: { ugly: '', cute: '' } }
  for (const step of story) {
    if (step.chapter !== undefined) screen.chapter(step.chapter)
    if (!(await playStep(step, scene, screen, signal))) return false
  }
  screen.text()
  screen.text(screen.paint(`All ${story.length} steps held.`, 'bold'))
  return true
}

async function playStep(
  step: Step,
  scene: Scene,
  screen: Screen,
  signal: AbortSignal
): Promise<boolean> {
  try {
    signal.throwIfAborted()
    screen.held(step.title, await step.run(scene))
    return true
  } catch (cause) {
    if (signal.aborted) screen.text('  stopped')
    else screen.failed(step.title, cause instanceof Error ? cause.message : String(cause))
    return false
  }
}

async function stayUp(cluster: Cluster, screen: Screen, signal: AbortSignal): Promise<void> {
  const [first, second, third] = cluster.nodes
  screen.text('The cluster stays up. Try, in another terminal:')
  screen.text()
  for (const example of [
    `redis-cli -p ${first.ready.redis} SET Jordan "Jordan is back"`,
    `redis-cli -p ${third.ready.redis} GET Jordan`,
    `curl http://localhost:${second.ready.http}/kv/Jordan`,
    `npm run --silent hearsay -- status --data ${first.directory}`,
    `npm run --silent hearsay -- get Jordan --level all --json --data ${second.directory}`
  ]) {
    screen.text(`  ${screen.paint(example, 'cyan')}`)
  }
  screen.text()
  screen.text('Ctrl-C stops it.')
  if (!signal.aborted) {
    await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
  }
  screen.text('stopping')
}
