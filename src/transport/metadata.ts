/** gRPC call metadata by name. Values of names that end in `-bin` are sent as the base64 of their UTF-8 bytes. */
export type MetadataEntries = Readonly<Record<string, string>>;

/** Metadata of every call: as it is, or made anew for each call. */
export type CallMetadata = MetadataEntries | (() => MetadataEntries | Promise<MetadataEntries>);

/** Metadata that the server sent, by lower-case name; several values of a name are joined by a comma. */
export type ReceivedMetadata = ReadonlyMap<string, string>;

/** The application's metadata for a call could not be had, so the call was not sent. */
export class CallMetadataError extends Error {
  override readonly name = 'CallMetadataError';

  /** `isInvalid`: there is metadata, and gRPC cannot carry it; asking again does not help. */
  constructor(
    message: string,
    readonly isInvalid: boolean,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

/** Where the transport reports what nobody waits for; a part of the client's logger. */
export interface TransportLogger {
  debug(context: object, message: string): void;
  warn(context: object, message: string): void;
}
