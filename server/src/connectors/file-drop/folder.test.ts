import { expect, test } from "vitest";
import type { FileFate, Visit } from "../../collection/connector.ts";
import { failureOf } from "../../platform/egress/egress.ts";
import { type DropFolder, type FolderSettings, filesOf } from "./folder.ts";

const quiet = {
  now: 0,
  step: () => undefined,
  memory: { get: () => undefined, set: async () => undefined },
} as unknown as Visit<unknown>;

/** Looks at a folder of three files, of which one look takes up two; returns what it took up and made of it. */
async function look(after: FolderSettings["after"], fate: (name: string) => FileFate) {
  const names = new Set(["1.csv", "2.csv", "3.csv"]);
  const folder: DropFolder = {
    path: "in",
    list: async (isWanted, max) =>
      [...names]
        .filter(isWanted)
        .slice(0, max)
        .map((name) => ({ name, bytes: 1, modified: 0, mark: "" })),
    isSame: async () => true,
    async *content() {},
    remove: async ({ name }) => void names.delete(name),
    archive: async ({ name }) => void names.delete(name),
    tell: failureOf,
    close: async () => undefined,
  };
  const settings = { after, archive_path: "done", wait_minutes: 0, pattern: "*.csv" } as FolderSettings;
  const files = filesOf(folder, { visit: quiet, settings, filesMax: 2 });
  const taken: string[] = [];
  let step = await files.next(undefined as never);
  while (step.done !== true) {
    taken.push(step.value.name);
    step = await files.next(fate(step.value.name));
  }
  return { taken, left: [...names], look: step.value };
}

test("a folder with more files than a look takes up goes on with the others while that brings something", async () => {
  expect(await look("leave", () => "stored")).toMatchObject({
    taken: ["1.csv", "2.csv"],
    look: { isWhole: false },
  });
  expect(await look("delete", () => "known")).toEqual({
    taken: ["1.csv", "2.csv"],
    left: ["3.csv"],
    look: { isWhole: false },
  });
});

test.each<[FolderSettings["after"], FileFate]>([
  ["leave", "known"],
  ["leave", "refused"],
  ["archive", "refused"],
])("files that stay in the way of all others are a person's to move (%s, %s)", async (after, fate) => {
  await expect(look(after, () => fate)).rejects.toMatchObject({
    kind: "person",
    message: expect.stringMatching(/more than 2 files lie in in: move away/),
  });
});
