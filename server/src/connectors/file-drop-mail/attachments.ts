import type { MessageStructureObject } from "imapflow";

/** A file in a mail. */
export interface Attachment {
  /** Where it is in the mail: `2`, `1.3`. */
  part: string;
  name: string;
}

const depthMax = 10;
const attachmentsMax = 100;

/** The files of a mail, also those of mails that it passes on, whose names are wanted. */
export function attachmentsOf(
  structure: MessageStructureObject | undefined,
  isWanted: (name: string) => boolean,
): Attachment[] {
  const found: Attachment[] = [];
  const look = (node: MessageStructureObject, depth: number) => {
    const name = node.dispositionParameters?.filename ?? node.parameters?.name;
    // A mail that is nothing but a file has one part, without a number.
    if (
      name !== undefined &&
      node.childNodes === undefined &&
      isWanted(name) &&
      found.length < attachmentsMax
    ) {
      found.push({ part: node.part ?? "1", name });
    }
    if (depth < depthMax) for (const child of node.childNodes ?? []) look(child, depth + 1);
  };
  if (structure !== undefined) look(structure, 0);
  return found;
}
