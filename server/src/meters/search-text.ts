import { fold } from "../platform/http/filter.ts";

/**
 * What a search looks through, in one column: the folded texts of a meter, each between two marks. The marks are
 * control characters, which folded text never holds, so `like '%\x01%stor%\x02%'` finds "stor" in the name alone and
 * one trigram index serves searches in every field.
 */
export const searchMarks = {
  name: ["\u0001", "\u0002"],
  address: ["\u0002", "\u0003"],
  ean: ["\u0003", "\u0004"],
  tags: ["\u0004", "\u0005"],
} as const;

export interface Searchable {
  name: string | null;
  address: string | null;
  ean: string | null;
  tags: readonly string[];
}

/** The searchable text of a meter, for its column `search`. */
export function searchText({ name, address, ean, tags }: Searchable): string {
  const part = (text: string | null) => (text === null ? "" : fold(text));
  return `\u0001${part(name)}\u0002${part(address)}\u0003${part(ean)}\u0004${tags.map(fold).join(" ")}\u0005`;
}
