/** What the user can mend, told in one line. */
export class UserError extends Error {
  override readonly name = 'UserError';
}
