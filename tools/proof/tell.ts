/** Progress, for people: the verdict alone goes to standard output. */
export function tell(what: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${what}`);
}
