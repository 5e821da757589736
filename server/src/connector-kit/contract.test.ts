import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Connector, ProviderFailure, type Visit } from "../collection/connector.ts";
import { connectors } from "../connectors/all.ts";
import { checkConnector, folderOf } from "./connector-kit.ts";
import { type CriterionName, criteria, gradeOf, type Quality } from "./quality.ts";

const demo = connectors.find(({ name }) => name === "demo-http")!;
const root = mkdtempSync(join(tmpdir(), "metertree-contract-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
/** A copy of the folder of demo-http, for tests to break. */
function copy(): string {
  const folder = join(root, String(++count));
  cpSync(folderOf("demo-http"), folder, { recursive: true });
  return folder;
}

async function problemsOf(folder: string, connector: Connector = demo): Promise<Record<string, string>> {
  const checks = await checkConnector(connector, folder);
  return Object.fromEntries(
    checks.flatMap(({ name, problems }) => (problems.length === 0 ? [] : [[name, problems.join("\n")]])),
  );
}

function change(folder: string, file: string, edit: (text: string) => string): void {
  const path = join(folder, file);
  writeFileSync(path, edit(readFileSync(path, "utf8")));
}

/** A case in a folder of its own, with a talk of one page. */
function caseOf(stated: object, talk: object[]): string {
  const folder = copy();
  rmSync(join(folder, "cases"), { recursive: true });
  mkdirSync(join(folder, "cases/one"), { recursive: true });
  const whole = {
    about: "x",
    settings: { url: "http://utility.example", username: "anna", password: "hidden-password" },
    now: "2026-11-01T12:00:00Z",
    discover: true,
    ...stated,
  };
  writeFileSync(join(folder, "cases/one/case.json"), JSON.stringify(whole));
  writeFileSync(join(folder, "cases/one/talk.json"), JSON.stringify(talk));
  return folder;
}

const page = (url: string, response: object | string = { status: 200, body: "x" }) => ({
  request: { url },
  response,
});

describe("a connector is held against", () => {
  test("its description, README and grades", async () => {
    expect(await problemsOf(copy())).toEqual({});
    const folder = copy();
    change(folder, "README.md", (text) => text.replace("## Limits", "## Bounds"));
    change(folder, "quality.json", (text) =>
      text.replace('"limits": "done",', '"limit": {"todo": "later"},'),
    );
    const connector = { ...demo, countries: ["Sweden"], terms: "http://utility.example", correctionDays: -1 };
    const problems = await problemsOf(folder, connector);
    expect(problems["README.md"]).toContain('"## Limits"');
    expect(problems["quality.json"]).toMatch(/limit/);
    expect(problems.description).toMatch(/Sweden.*https.*correctionDays/s);
  });

  test("having a case of everything that it meets, or a reason", async () => {
    const folder = copy();
    rmSync(join(folder, "cases"), { recursive: true });
    const { "cases of everything": told } = await problemsOf(folder);
    expect(told).toContain("no case finds a meter");
    expect(told).toContain("no case ends in consent");
  });

  test("recorded cases without real secrets", async () => {
    const folder = copy();
    change(folder, "cases/no-answer/case.json", (text) => text.replace("hidden-password", "Sommar2026"));
    expect((await problemsOf(folder))["case no-answer"]).toContain("must contain the word hidden");
  });
});

describe("a case", () => {
  const failure = { kind: "unreachable" };

  test("fails for a request that is not recorded, even when the connector takes it for a failure", async () => {
    const folder = caseOf({ expected: { failure } }, [page("http://utility.example/overview", "none")]);
    const { "case one": told } = await problemsOf(folder);
    expect(told).toContain(
      "unexpected request GET http://utility.example/overview: nothing more is recorded",
    );
  });

  test("fails for a recorded request that is not sent", async () => {
    const url = "http://utility.example/overview";
    const folder = caseOf({ expected: { failure } }, [page(url, "none"), page(url, "none"), page(url)]);
    expect((await problemsOf(folder))["case one"]).toBe(`not asked: GET ${url}`);
  });

  test("fails for another order, header, form or body than recorded", async () => {
    const send = (visit: Visit<unknown>) => [
      () => visit.http.send("http://utility.example/a", { headers: { authorization: "Bearer 1" } }),
      () => visit.http.send("http://utility.example/b", { form: { a: "1" } }),
      () => visit.http.send("http://utility.example/c", { json: { a: 1 } }),
    ];
    const asking: Connector = {
      ...demo,
      // biome-ignore lint/correctness/useYield: it only asks
      async *discover(visit) {
        for (const each of send(visit)) await each();
      },
    };
    const a = {
      request: { url: "http://utility.example/a", headers: { authorization: "Bearer 1" } },
      response: { status: 200 },
    };
    const b = {
      request: { method: "POST", url: "http://utility.example/b", form: { a: "1" } },
      response: { status: 200 },
    };
    const c = {
      request: { method: "POST", url: "http://utility.example/c", json: { a: 1 } },
      response: { status: 200 },
    };
    const told = async (talk: object[], stated = {}) =>
      (await problemsOf(caseOf({ expected: { found: [] }, ...stated }, talk), asking))["case one"];
    expect(await told([a, b, c])).toBeUndefined();
    expect(await told([b, c, a])).toContain("POST http://utility.example/b comes next");
    expect(await told([b, c, a], { order: "any" })).toBeUndefined();
    const wrong = (each: typeof a | typeof b | typeof c, request: object) => ({
      ...each,
      request: { ...each.request, ...request },
    });
    expect(await told([wrong(a, { headers: { authorization: "Bearer 2" } }), b, c])).toContain(
      "header authorization",
    );
    expect(await told([a, wrong(b, { form: { a: "2" } }), c])).toContain("its form is");
    expect(await told([a, b, wrong(c, { json: { a: 2 } })])).toContain("its body is");
  });

  test("fails for other meters, values and failures than expected", async () => {
    const folder = copy();
    change(folder, "cases/night-in-october/case.json", (text) =>
      text.replace(/\| [\d.]+ \| measured/, "| 7 | measured"),
    );
    change(folder, "cases/code/case.json", (text) => text.replace('"key": "', '"key": "1'));
    change(folder, "cases/no-answer/case.json", (text) => text.replace("unreachable", "busy"));
    const problems = await problemsOf(folder);
    expect(Object.keys(problems)).toEqual(["case code", "case night-in-october", "case no-answer"]);
    expect(problems["case night-in-october"]).toContain("| 7 | measured");
  });

  test("fails when a secret of the settings is told to anybody", async () => {
    const tell = (work: (visit: Visit<{ password: string }>) => void): Connector => ({
      ...demo,
      // biome-ignore lint/correctness/useYield: it only tells
      async *discover(visit) {
        work(visit as Visit<{ password: string }>);
      },
    });
    const folder = caseOf({ expected: {} }, []);
    const step = tell(({ step, settings }) => step(`log in with ${settings.password}`));
    expect((await problemsOf(folder, step))["case one"]).toContain(
      "a secret of the settings stands in a step",
    );
    const failed = tell(({ settings }) => {
      throw new ProviderFailure("credentials", `refused: ${settings.password}`);
    });
    expect((await problemsOf(folder, failed))["case one"]).toContain("in the message of the failure");
  });

  test("of a file that is none is told with its place", async () => {
    const folder = caseOf({ expect: {} }, []);
    expect((await problemsOf(folder))["case one"]).toMatch(/case\.json.*expect/s);
  });
});

test("a grade is reached with all that is below it", () => {
  const quality = (open: CriterionName[]): Quality => {
    const names = Object.keys(criteria) as CriterionName[];
    const answers = names.map((name) => [name, open.includes(name) ? { todo: "later" } : "done"]);
    return { criteria: Object.fromEntries(answers), failures_without_case: {}, optional_parts: {} };
  };
  expect(gradeOf(quality([]))).toBe("proven");
  expect(gradeOf(quality(["revoke"]))).toBe("reliable");
  expect(gradeOf(quality(["windows", "revoke"]))).toBe("basic");
  expect(gradeOf(quality(["units"]))).toBeNull();
});
