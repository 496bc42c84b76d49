/**
 * What the command line needs from its process: streams, signals and a way to make a node. Handed
 * in, so that every command runs in a test as it does in a terminal.
 */
import type { HearsayNode, NodeOptions } from '../../index.ts'

export interface Output {
  write(chunk: string | Uint8Array): unknown
  /** True when a person reads it: colours, and progress that overwrites itself. */
  readonly isTTY?: boolean | undefined
}

export interface Io {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly stdout: Output
  readonly stderr: Output
  createNode(options: NodeOptions): Promise<HearsayNode>
  /** Calls `fn` at SIGINT, SIGTERM and when the parent that started this with IPC is gone. */
  onStop(fn: () => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
}

export function line(output: Output, text = ''): void {
  output.write(`${text}\n`)
}
