/** Throws UNKNOWN, in the server's words, when the identity may not call the RPC on the resource. */
export type Authorize = (identity: string | null, resource: string, rpc: string) => void;
