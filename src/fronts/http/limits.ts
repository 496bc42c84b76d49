/** The bounds of the HTTP front. */

/** A value sent with PUT, in bytes. */
export const bodyBytesMax = 1024 * 1024
/** Request line and headers, in bytes. A key of 1,024 bytes, all percent-encoded, fits. */
export const headerBytesMax = 16 * 1024
/** Until the headers have arrived, in milliseconds. */
export const headersTimeoutMs = 10_000
/** Until the whole request has arrived, in milliseconds. */
export const requestTimeoutMs = 30_000
/** Open connections; further ones are dropped. */
export const connectionsMax = 1_000
/** How long running requests may take to finish when the server closes, in milliseconds. */
export const closeGraceMs = 2_000
