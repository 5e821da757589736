import { expect, test } from "vitest";
import { streamExport } from "../../tools/proof/stream-export.ts";

test("consumers and exports hold what the API gives out, through kills and failing targets", async () => {
  const verdict = await streamExport({ seconds: 15, seed: 20_261_125 });
  expect(verdict, JSON.stringify(verdict, null, 2)).toMatchObject({ ok: true });
  expect(Object.keys(verdict.held)).toEqual(
    expect.arrayContaining(["typescript", "csv over SFTP", "Parquet in S3"]),
  );
}, 400_000);
