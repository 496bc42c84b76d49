/** The name of a node: its libp2p peer id, as text. */
export type NodeId = string & { readonly __brand: 'NodeId' }
