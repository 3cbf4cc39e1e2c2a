/** gRPC call metadata by name. Values of names that end in `-bin` are sent as the base64 of their UTF-8 bytes. */
export type MetadataEntries = Readonly<Record<string, string>>;

/** Metadata of every call: as it is, or made for each call. */
export type CallMetadata = MetadataEntries | (() => MetadataEntries | Promise<MetadataEntries>);

/** Metadata that the server sent, by lower-case name; several values of a name are joined by a comma. */
export type ReceivedMetadata = ReadonlyMap<string, string>;

/** Where the transport reports what no caller waits for; a part of the client's logger. */
export interface TransportLogger {
  debug(context: object, message: string): void;
  warn(context: object, message: string): void;
}
