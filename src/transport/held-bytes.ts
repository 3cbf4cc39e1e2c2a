/** Pieces up to here are copied behind each other: a view of each would take several times its bytes. */
const SMALL_PIECE = 1024;
const BLOCK = 4096;
/** Memory of a piece that is kept as a view, beside its bytes. */
const VIEW = 100;

/**
 * The beginning of a message whose rest has not come. A peer decides in what pieces it comes, and a piece may be one byte:
 * the memory is in proportion to the bytes however they are cut. Nothing is allocated for bytes that were only announced.
 */
export class HeldBytes {
  /** Bytes that are held. */
  size = 0;
  #pieces: Buffer[] = [];
  #block: Buffer | undefined;
  /** The part of the block that is not yet among the pieces. */
  #from = 0;
  #to = 0;
  #memory = 0;

  /** Bytes of memory, estimated. */
  get memory(): number {
    return this.#memory;
  }

  /** Adds bytes behind those that are there. Small pieces are copied, large ones must not change any more. */
  add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.size += piece.length;
    if (piece.length > SMALL_PIECE) {
      this.#closeRun();
      this.#pieces.push(piece);
      this.#memory += piece.length + VIEW;
      return;
    }
    for (let copied = 0; copied < piece.length; ) {
      const block = this.#openBlock();
      const taken = piece.copy(block, this.#to, copied);
      this.#to += taken;
      copied += taken;
    }
  }

  /** All bytes in one buffer; afterwards none are held. */
  take(): Buffer {
    this.#closeRun();
    const whole = Buffer.concat(this.#pieces, this.size);
    this.#pieces = [];
    // `concat` has copied: the block, and only the last one, serves the next message too.
    this.#from = 0;
    this.#to = 0;
    this.#memory = this.#block === undefined ? 0 : BLOCK;
    this.size = 0;
    return whole;
  }

  /** The block to copy to, with room for one byte at least. */
  #openBlock(): Buffer {
    if (this.#block !== undefined && this.#to < BLOCK) return this.#block;
    this.#closeRun();
    this.#block = Buffer.allocUnsafeSlow(BLOCK);
    this.#memory += BLOCK;
    this.#from = 0;
    this.#to = 0;
    return this.#block;
  }

  #closeRun(): void {
    if (this.#block === undefined || this.#from === this.#to) return;
    this.#pieces.push(this.#block.subarray(this.#from, this.#to));
    this.#memory += VIEW;
    this.#from = this.#to;
  }
}
