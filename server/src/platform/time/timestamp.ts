/** `2017-05-31T23:00:00+0000`: an instant (epoch milliseconds) as every answer writes it; parts of a second are cut off. */
export function formatTimestamp(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}+0000`;
}
