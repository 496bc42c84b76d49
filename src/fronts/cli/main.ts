#!/usr/bin/env node
/** The `hearsay` program: the command line on the real process. */
import { createNode } from '../../index.ts'
import type { Io } from './io.ts'
import { run } from './run.ts'

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  createNode,
  onStop(fn) {
    const events = ['SIGINT', 'SIGTERM', 'disconnect'] as const
    for (const event of events) process.on(event, fn)
    return () => {
      for (const event of events) process.off(event, fn)
    }
  },
  exit: code => process.exit(code)
}

// `hearsay status | head`: whoever read us has enough, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

void run(process.argv.slice(2), io).then(async code => {
  await flushed(process.stdout)
  process.exit(code)
})

/** To exit cuts off what a pipe has not taken yet: a large value would end after 64 KiB. */
function flushed(output: NodeJS.WritableStream): Promise<void> {
  return new Promise(resolve => output.write('', () => resolve()))
}
