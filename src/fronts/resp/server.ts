/**
 * The RESP server: sockets around the parser and the commands. Loopback only.
 *
 * Promised: the commands of one connection run one after the other and are answered in order,
 * however they were pipelined, so a client reads its own writes; a client that does not read its
 * replies is not read from either. Not promised: a timeout for idle clients.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { HearsayNode } from '../../index.ts'
import { listen, redisPurpose } from '../listen.ts'
import { runCommand, type RespContext, type RespSession } from './commands.ts'
import { clientsMax, closeGraceMs, outputBytesMax } from './limits.ts'
import { RespParser, RespProtocolError } from './parser.ts'
import { error } from './reply.ts'

export interface RespInit {
  /** 0 picks a free port. */
  readonly port: number
}

export interface RespServer {
  readonly port: number
  /** Takes no new commands, lets running ones finish for a moment, then ends every connection. */
  close(): Promise<void>
}

/** Rejects with `ERR_PORT_IN_USE` or `ERR_ARGUMENT`. The node stays the caller's. */
export async function serveResp(node: HearsayNode, init: RespInit): Promise<RespServer> {
  const context: RespContext = {
    node,
    startedMs: Date.now(),
    port: init.port,
    clients: 0,
    connections: 0,
    commands: 0
  }
  const connections = new Map<Socket, RespSession>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    accept(socket, connections, context)
  })
  context.port = await listen(server, init.port, redisPurpose)
  return { port: context.port, close: () => close(server, connections) }
}

function accept(socket: Socket, connections: Map<Socket, RespSession>, context: RespContext): void {
  // A connection that breaks has nobody left to be told; 'close' follows and cleans up.
  socket.on('error', () => socket.destroy())
  if (connections.size >= clientsMax) {
    socket.end(error('ERR max number of clients reached'), () => socket.destroy())
    return
  }
  const session: RespSession = {
    id: ++context.connections,
    version: 2,
    busy: false,
    closing: false
  }
  connections.set(socket, session)
  context.clients = connections.size
  socket.once('close', () => {
    connections.delete(socket)
    context.clients = connections.size
  })
  void serve(socket, session, context)
}

async function serve(socket: Socket, session: RespSession, context: RespContext): Promise<void> {
  try {
    await converse(socket, session, context)
  } catch (cause) {
    if (cause instanceof RespProtocolError) {
      await send(socket, error(`ERR Protocol error: ${cause.message}`))
    } else if (!isDisconnect(cause, socket)) {
      throw cause
    }
  } finally {
    end(socket)
  }
}

/** Ends when the client does, or when a command or the server asked for the end. */
async function converse(socket: Socket, session: RespSession, context: RespContext): Promise<void> {
  const parser = new RespParser()
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    parser.push(chunk as Uint8Array)
    for (let command = parser.next(); command !== undefined; command = parser.next()) {
      session.busy = true
      const reply = await runCommand(command, session, context)
      if (reply === undefined) return
      await send(socket, reply)
      if (session.closing) return
      session.busy = false
    }
  }
}

/** Waits while the client has more unread replies than it may. */
async function send(socket: Socket, reply: Uint8Array): Promise<void> {
  if (socket.destroyed) return
  socket.write(reply)
  if (socket.writableLength <= outputBytesMax) return
  const gone = new AbortController()
  const leave = () => gone.abort()
  socket.once('close', leave)
  try {
    await once(socket, 'drain', { signal: gone.signal })
  } finally {
    socket.off('close', leave)
  }
}

/** A client may go at any moment, and that is not an error of ours. */
function isDisconnect(cause: unknown, socket: Socket): boolean {
  if (cause === socket.errored) return true
  const { code } = cause as NodeJS.ErrnoException
  return code === 'ABORT_ERR' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}

/** An idle connection ends at once, a busy one after the command that it is running. */
async function close(server: Server, connections: Map<Socket, RespSession>): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  for (const [socket, session] of connections) {
    session.closing = true
    if (!session.busy) end(socket)
  }
  const late = setTimeout(() => {
    for (const socket of connections.keys()) socket.destroy()
  }, closeGraceMs)
  await closed
  clearTimeout(late)
}

/** What was written still goes out. */
function end(socket: Socket): void {
  socket.end(() => socket.destroy())
}
