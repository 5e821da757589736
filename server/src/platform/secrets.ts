/** Keys of the installation, read once at start. */
export interface Keys {
  /** Encrypts `plain` for one place: `context` (table, row, column) is bound in, so the text cannot be moved to another row. */
  seal(plain: string, context: string): Buffer;
  /** Opens what `seal` made; throws when it was altered, moved or made with an unknown key. */
  open(sealed: Buffer, context: string): string;
}
