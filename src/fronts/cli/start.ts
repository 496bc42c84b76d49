/**
 * start: runs a node with its fronts until it is told to stop.
 *
 * With `--json` standard output carries one `ready` event when everything serves, then only
 * `stopped` or `error`. A signal closes in order (exit status 0, or 130 when it had not started yet);
 * a second one ends at once (130), which the data survives.
 */
import { readdir } from 'node:fs/promises'
import type { Call, Command } from './command.ts'
import type { Io } from './io.ts'
import { openRunning, type RunningInit } from './running.ts'
import { readStart, startOptions } from './start-options.ts'
import { StartReport } from './start-report.ts'

export const startCommand: Command = {
  name: 'start',
  arguments: [],
  summary: 'Run a node; the first start on an empty directory creates a cluster or joins one',
  options: startOptions,
  run: start
}

async function start(call: Call, io: Io): Promise<number> {
  const report = new StartReport(call, io)
  const stop = new AbortController()
  const init = readStart(call, report.log, () => stop.abort())
  const isNew = await isFirstStart(init)
  let isOpen = false
  const forget = io.onStop(() => {
    if (stop.signal.aborted) io.exit(130)
    stop.abort()
  })
  try {
    const running = await report.progress(() =>
      openRunning(options => io.createNode({ ...options, signal: stop.signal }), init)
    )
    isOpen = true
    report.ready(running, init.node.path, isNew)
    await aborted(stop.signal)
    report.stopping()
    await running.close()
    report.stopped()
    return 0
  } catch (cause) {
    if (stop.signal.aborted && !isOpen) return 130
    report.failed(cause)
    throw cause
  } finally {
    forget()
  }
}

/** Whether the invite is worth showing: this start makes a new cluster. */
async function isFirstStart({ node }: RunningInit): Promise<boolean> {
  if (node.join !== undefined) return false
  // Unreadable or not a directory: createNode says so better than we could.
  const names = await readdir(node.path).catch(() => [])
  return names.length === 0
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
