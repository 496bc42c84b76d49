/** The bounds of the RESP front. What passes one of them ends the connection, or waits. */

/** Open connections; one more is told so and closed. */
export const clientsMax = 1_000
/** An inline command, or a line with a length, in bytes. */
export const lineBytesMax = 64 * 1024
/** Arguments of one command. */
export const argumentsMax = 65_536
/**
 * One argument, in bytes. Above the largest row, so that a value somewhat too large gets the
 * store's own sentence and the connection lives on.
 */
export const bulkBytesMax = 2 * 1024 * 1024
/** All arguments of one command together, in bytes: what a connection can make us hold. */
export const commandBytesMax = 4 * 1024 * 1024
/** Replies a client has not read yet, in bytes; past it no further command of it is run. */
export const outputBytesMax = 4 * 1024 * 1024
/** How long running commands may take to finish when the server closes, in milliseconds. */
export const closeGraceMs = 2_000
