/** What a person at a terminal did wrong, or met: told as it is, without a stack. */
export function fail(message: string): Error {
  const error = new Error(message);
  error.name = "ClientError";
  return error;
}
