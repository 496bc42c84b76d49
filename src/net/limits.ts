/**
 * The bounds of the network, by name. Every queue, frame, stream and wait in this folder has one.
 */

/** Of one frame, without its length field. */
export const FRAME_BYTES_MAX = 4 * 1024 * 1024
/** Of the first frame each way, read before anything is known of the other side's settings. */
export const HELLO_BYTES_MAX = 1024
/** From the opening of a connection to the end of the hello. */
export const HELLO_MS_MAX = 3_000
/** For a connection to show that the process at its other end still lives. */
export const CHALLENGE_MS_MAX = 1_000
/** For one connection attempt, over all known addresses of a peer. */
export const DIAL_MS_MAX = 10_000
/** For one address of these. */
export const DIAL_ADDRESS_MS_MAX = 3_000
/** For a stranger to complete encryption and multiplexing. */
export const UPGRADE_MS_MAX = 3_000
/** Requests to one peer that have no answer yet. */
export const REQUESTS_MAX = 4_096
/** Bytes to one peer that the connection has not taken yet. More requests are refused. */
export const REQUEST_QUEUE_BYTES_MAX = 32 * 1024 * 1024
/** Answers waiting for one peer to take them. Above it, no more of its requests are read. */
export const ANSWER_QUEUE_BYTES_MAX = 8 * 1024 * 1024
/** Handed to the stream at once; frames beyond it wait until the stream has taken them. */
export const WRITE_BYTES_MAX = 1024 * 1024
/** Of a stream that is not being read. The same bound ends the peer's right to send. */
export const STREAM_BUFFER_BYTES_MAX = 1024 * 1024
/** Streams a peer may have open on one connection. */
export const STREAMS_MAX = 64
/** Request streams among these; one is in use, others may be on their way out. */
export const REQUEST_STREAMS_MAX = 4
export const CONNECTIONS_MAX = 512
/** Connections that have not completed encryption yet. */
export const PENDING_CONNECTIONS_MAX = 32
/** New connections from one host in a second. The default of 5 breaks clusters on one machine. */
export const CONNECTIONS_PER_SECOND_MAX = 64
export const GOSSIP_BYTES_MAX = 16 * 1024
/** Of one frame of gossipsub, which carries several messages. */
export const GOSSIP_FRAME_BYTES_MAX = 64 * 1024
/** Of anything repeated in one frame of gossipsub. */
export const GOSSIP_ITEMS_MAX = 64
/** Peers whose addresses are remembered. */
export const BOOK_PEERS_MAX = 1_024
/** Addresses remembered of one peer. */
export const BOOK_ADDRESSES_MAX = 16
/** Of the message of an error that travels. */
export const ERROR_BYTES_MAX = 4 * 1024
