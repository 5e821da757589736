import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { formats } from "./all.ts";
import { casesOfFormats, tell } from "./cases.ts";

const known = formats();

describe.each(casesOfFormats())("$format: $name", (example) => {
  test("says what is expected", async () => {
    const expected = JSON.parse(readFileSync(join(example.folder, "expected.json"), "utf8"));
    expect(await tell(example, { formats: known, pieceBytes: 65_536 })).toEqual(expected);
  });

  test("says the same when it arrives in small pieces", async () => {
    const whole = await tell(example, { formats: known, pieceBytes: 65_536 });
    expect(await tell(example, { formats: known, pieceBytes: 7 })).toEqual(whole);
  });
});
