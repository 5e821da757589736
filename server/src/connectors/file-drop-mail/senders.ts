/** Whose mails are read. */
export interface SenderFilter {
  /** What mail servers are asked for: addresses, or `@` and a domain. */
  texts: readonly string[];
  matches(address: string): boolean;
}

const sendersMax = 20;

/** Reads a list of addresses and domains; `undefined` when it is none. */
export function senderFilter(text: string): SenderFilter | undefined {
  const texts = text
    .split(",")
    .map((each) => each.trim().toLowerCase())
    .filter((each) => each !== "");
  const isSound = texts.every((each) => /^[^\s@"\\]*@[^\s@"\\]+$/.test(each));
  if (texts.length === 0 || texts.length > sendersMax || !isSound) return undefined;
  return {
    texts,
    matches(address) {
      const plain = address.trim().toLowerCase();
      const domain = plain.slice(plain.lastIndexOf("@"));
      return texts.some((each) => (each.startsWith("@") ? domain === each : plain === each));
    },
  };
}
