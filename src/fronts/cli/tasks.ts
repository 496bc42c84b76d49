/** pause, resume and hints: the healing of the running node, by hand. */
import type { BackgroundTask } from '../../index.ts'
import { ago } from './ago.ts'
import type { AdminClient } from '../admin/client.ts'
import { withAdmin } from './admin.ts'
import { dataOption, jsonOption, UsageError, type Call, type Command } from './command.ts'
import { line, type Io } from './io.ts'

const options = [dataOption, jsonOption]

export const pauseCommand: Command = {
  name: 'pause',
  arguments: ['TASK'],
  summary: 'Stop a background task of this node, also across restarts',
  notes: ['TASK is hints, anti-entropy or scrub.'],
  options,
  run: (call, io) => switchTask(call, io, 'paused', (admin, task) => admin.pause(task))
}

export const resumeCommand: Command = {
  name: 'resume',
  arguments: ['TASK'],
  summary: 'Let a paused background task go on',
  notes: ['TASK is hints, anti-entropy or scrub.'],
  options,
  run: (call, io) => switchTask(call, io, 'resumed', (admin, task) => admin.resume(task))
}

export const hintsCommand: Command = {
  name: 'hints',
  arguments: ['[drop]'],
  summary: 'List the rows kept for absent owners, or drop them and leave it to anti-entropy',
  notes: ['Writes at level any that no owner has yet are not dropped.'],
  options,
  run: hints
}

const tasks: readonly BackgroundTask[] = ['hints', 'anti-entropy', 'scrub']

async function switchTask(
  call: Call,
  io: Io,
  done: string,
  act: (admin: AdminClient, task: BackgroundTask) => Promise<void>
): Promise<number> {
  const [name] = call.arguments
  const task = tasks.find(each => each === name)
  if (task === undefined) {
    throw new UsageError(`there is no task ${JSON.stringify(name)}; use ${tasks.join(', ')}.`)
  }
  await withAdmin(call, admin => act(admin, task))
  line(io.stdout, call.flag('json') ? JSON.stringify({ task, [done]: true }) : `${task} ${done}`)
  return 0
}

async function hints(call: Call, io: Io): Promise<number> {
  const [action] = call.arguments
  if (action !== undefined && action !== 'drop') {
    throw new UsageError(`there is no action ${JSON.stringify(action)}; the only one is drop.`)
  }
  return withAdmin(call, admin => (action === 'drop' ? drop : list)(admin, call, io))
}

async function drop(admin: AdminClient, call: Call, io: Io): Promise<number> {
  const dropped = await admin.dropHints()
  line(io.stdout, call.flag('json') ? JSON.stringify({ dropped }) : `${dropped} hints dropped`)
  return 0
}

async function list(admin: AdminClient, call: Call, io: Io): Promise<number> {
  const { hints } = await admin.status()
  if (call.flag('json')) line(io.stdout, JSON.stringify(hints))
  else if (hints.length === 0) line(io.stdout, 'no hints are kept')
  else
    for (const { owner, count, bytes, oldestMs } of hints)
      line(io.stdout, `${owner}: ${count} rows, ${bytes} bytes, the oldest ${ago(oldestMs)}`)
  return 0
}
