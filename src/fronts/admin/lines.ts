/**
 * An answer that tells of its progress: lines of JSON, `{ "progress": … }` any number of times, then one
 * `{ "result": … }` or `{ "error": … }`. Only for who asked for progress; an answer that comes before
 * there is any progress to tell is the plain one.
 *
 * Not promised: every progress. What a slow reader or a fast method would pile up is left out; the last
 * one is told at the end.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { decodeError, type WireError } from './protocol.ts'

const linesType = 'application/x-ndjson'
const everyMs = 200

/** The side of the node. */
export class AnswerLines {
  readonly #response: ServerResponse
  #begun = false
  #lastMs = 0
  #untold: object | undefined

  constructor(response: ServerResponse) {
    this.#response = response
  }

  /** Once it has, the answer has to end by `end`. */
  get begun(): boolean {
    return this.#begun
  }

  readonly tell = (progress: object): void => {
    const now = Date.now()
    this.#untold = progress
    if (this.#begun && (now - this.#lastMs < everyMs || this.#response.writableNeedDrain)) return
    if (this.#response.destroyed) return
    if (!this.#begun) this.#response.writeHead(200, { 'content-type': linesType })
    this.#begun = true
    this.#lastMs = now
    this.#write({ progress })
    this.#untold = undefined
  }

  end(status: number, body: unknown): void {
    const last = status === 200 ? { result: body } : { error: body }
    if (this.#untold !== undefined) this.#write({ progress: this.#untold })
    this.#response.end(`${JSON.stringify(last)}\n`)
  }

  #write(line: object): void {
    this.#response.write(`${JSON.stringify(line)}\n`)
  }
}

export function hasLines(response: IncomingMessage): boolean {
  return response.headers['content-type'] === linesType
}

/** The side of the client: the result, or the error, thrown. */
export async function readLines(
  response: IncomingMessage,
  onProgress: (progress: unknown) => void
): Promise<unknown> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const part of response) {
    const lines = (rest + (part as string)).split('\n')
    rest = lines.pop() ?? ''
    for (const text of lines) {
      const line = JSON.parse(text) as { progress?: unknown; result?: unknown; error?: WireError }
      if (line.error !== undefined) throw decodeError(line.error)
      if (!('progress' in line)) return line.result
      onProgress(line.progress)
    }
  }
  throw new Error('its answer has no end')
}
