import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FileFate, type FileReading, type Look, ProviderFailure, type SentFile } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";

/** A server that files are put on; `fates` is what its connector was told. */
interface Drop {
  files: Map<string, string>;
  fates: [string, FileFate][];
  /** Places whose content was asked for. */
  read: string[];
  look: Look;
  mayGrow: boolean;
  reading: FileReading;
  /** Place of a file that the server does not hand out. */
  keptBack?: string | undefined;
  /** Runs after each file was settled. */
  after?: ((place: string) => void) | undefined;
}

let world: CollectionWorld;
let drop: Drop;
let connection: string | undefined;

const hour = 3_600_000;

/** A table of hours of one day, in kWh. */
function table(meter: string, values: readonly (number | string)[], day = "2026-01-10"): string {
  const rows = values.map((value, i) => `${meter};${day} ${String(i).padStart(2, "0")}:00;${value}\n`);
  return `meter;start;kWh\n${rows.join("")}`;
}

async function* receive(): AsyncGenerator<SentFile, Look, FileFate> {
  for (const [place, text] of [...drop.files]) {
    const fate = yield {
      place,
      name: place.split("/").at(-1)!,
      mark: `${text.length} ${text.slice(-40)}`,
      reading: drop.reading,
      mayGrow: drop.mayGrow,
      async *content() {
        drop.read.push(place);
        if (place === drop.keptBack) throw new ProviderFailure("consent", "not for you");
        yield Buffer.from(text);
      },
    };
    drop.fates.push([place, fate]);
    drop.after?.(place);
  }
  return drop.look;
}

beforeAll(async () => {
  drop = newDrop();
  world = await collectionWorld({ receive });
});
afterAll(() => world.close());

const newDrop = (): Drop => ({
  files: new Map(),
  fates: [],
  read: [],
  look: { isWhole: true },
  mayGrow: false,
  reading: { timezone: "Europe/Stockholm" },
});

/** Looks at the server by hand; returns the fates. */
async function look(): Promise<Drop["fates"]> {
  drop.fates = [];
  drop.read = [];
  await world.ask("POST", `/connections/${connection}/run`);
  await world.run();
  return drop.fates;
}

/** Looks when it is time to. */
async function lookLater(): Promise<Drop["fates"]> {
  drop.fates = [];
  drop.read = [];
  world.api.clock.advance(hour);
  await world.run();
  return drop.fates;
}

async function start(): Promise<void> {
  // Those of other tests would look at the same server.
  if (connection !== undefined) await world.ask("POST", `/connections/${connection}/pause`);
  drop = newDrop();
  connection = (await world.connect())._id;
}

const meterOf = async (ean: string) => (await world.ask("GET", `/meters?ean=${ean}`))[0];
const valuesOf = async (ean: string) => {
  const meter = await meterOf(ean);
  const [answer] = await world.ask("GET", `/consumptions/${meter._id}/hour/20260110-20260110?metrics=energy`);
  return answer.periods[0].energy.slice(0, 4);
};
const filesOf = (query = "") => world.ask("GET", `/connections/${connection}/files?sort=received${query}`);
const openIssues = async () =>
  (await world.ask("GET", `/issues?connection._id=${connection}&state=open`)).filter(
    (issue: { kind: string }) => issue.kind === "file_refused",
  );

describe("files of a provider", () => {
  test("become found meters, and their values wait in the inbox", async () => {
    await start();
    drop.files.set("in/a.csv", table("735990001", [1, 2.5, 3]));
    await world.run();
    expect(drop.fates).toEqual([["in/a.csv", "stored"]]);
    const meter = await meterOf("735990001");
    expect(meter).toMatchObject({ box: "inbox", type: "electricity" });
    expect(await world.ask("GET", `/meters/${meter._id}/sources`)).toMatchObject([{ provider: "scripted" }]);
    await world.ask("PUT", `/meters/${meter._id}`, { box: "active" });
    expect(await valuesOf("735990001")).toEqual([1, 2.5, 3, null]);
    expect(await filesOf()).toMatchObject([
      {
        name: "a.csv",
        place: "in/a.csv",
        status: "stored",
        counts: { meters: 1, meters_new: 1, values: 3, added: 3 },
      },
    ]);
    expect(await world.ask("GET", `/connections/${connection}`)).toMatchObject({
      state: "collecting",
      failures: 0,
    });
  });

  test("are not read again while they lie as they are", async () => {
    expect(await lookLater()).toEqual([["in/a.csv", "known"]]);
    expect(drop.read).toEqual([]);
  });

  test("that come again under another name change nothing", async () => {
    drop.files.set("in/copy.csv", drop.files.get("in/a.csv")!);
    expect(await lookLater()).toEqual([
      ["in/a.csv", "known"],
      ["in/copy.csv", "known"],
    ]);
    expect(drop.read).toEqual(["in/copy.csv"]);
    expect(await filesOf()).toHaveLength(1);
  });

  test("that were changed under the same name win, and the old content does not come back", async () => {
    const before = drop.files.get("in/a.csv")!;
    drop.files.clear();
    drop.files.set("in/a.csv", table("735990001", [1, 7, 3]));
    expect(await lookLater()).toEqual([["in/a.csv", "stored"]]);
    expect(await valuesOf("735990001")).toEqual([1, 7, 3, null]);
    drop.files.set("in/a.csv", before);
    expect(await lookLater()).toEqual([["in/a.csv", "known"]]);
    expect(await valuesOf("735990001")).toEqual([1, 7, 3, null]);
  });

  test("of one look that say different things: the later one wins though no time has passed", async () => {
    await start();
    drop.files.set("1.csv", table("735990002", [1, 5]));
    drop.files.set("2.csv", table("735990002", [2, 5]));
    await world.run();
    await world.ask("PUT", `/meters/${(await meterOf("735990002"))._id}`, { box: "active" });
    expect(await valuesOf("735990002")).toEqual([2, 5, null, null]);
  });

  test("with a new metric or register of a meter that is known go on with it", async () => {
    await start();
    drop.files.set("1.csv", table("735990003", [1, 2]));
    drop.files.set("2.csv", `meter;start;end;kWh\n735990003;2026-01-10 00:00;2026-01-11 00:00;24\n`);
    await world.run();
    expect(drop.fates.map(([, fate]) => fate)).toEqual(["stored", "stored"]);
    const meter = await meterOf("735990003");
    const [source] = await world.ask("GET", `/meters/${meter._id}/sources`);
    const rows = await world.api.db.rows<{ found: { metrics: object[] } }>({
      text: "select found from meter_source where id = $1",
      values: [source._id],
    } as never);
    expect(rows[0]!.found.metrics).toEqual([{ metric: "energy", granularities: ["hour", "day"] }]);
  });
});

describe("a file that cannot be read", () => {
  test("is told with its line and reason, and the others go on", async () => {
    await start();
    drop.files.set("bad.csv", table("735990010", [1, "x1"]));
    drop.files.set("good.csv", table("735990011", [1, 2]));
    await world.run();
    expect(drop.fates).toEqual([
      ["bad.csv", "refused"],
      ["good.csv", "stored"],
    ]);
    const [issue, ...more] = await openIssues();
    expect(more).toEqual([]);
    expect(issue).toMatchObject({
      kind: "file_refused",
      file: { name: "bad.csv", place: "bad.csv", line: 3 },
    });
    expect(issue.file.reason).toMatch(/x1/);
    expect(await meterOf("735990010")).toBeUndefined();
    const [file] = await filesOf("&status=refused");
    const { problems } = await world.ask("GET", `/connections/${connection}/files/${file._id}`);
    expect(problems[0]).toMatchObject({ severity: "error", line: 3 });
    expect(await world.ask("GET", `/connections/${connection}`)).toMatchObject({ state: "collecting" });
  });

  test("is left alone until somebody asks, and its issue stays one", async () => {
    expect((await lookLater())[0]).toEqual(["bad.csv", "refused"]);
    expect(drop.read).toEqual([]);
    expect(await openIssues()).toHaveLength(1);
    expect((await look())[0]).toEqual(["bad.csv", "refused"]);
    expect(drop.read).toEqual(["bad.csv"]);
    expect(await openIssues()).toHaveLength(1);
  });

  test("is over when a good one takes its place", async () => {
    drop.files.set("bad.csv", table("735990010", [1, 2]));
    await lookLater();
    expect(await openIssues()).toEqual([]);
  });

  test("is over when it is taken away, and not because a look was cut short", async () => {
    drop.files.set("worse.csv", "nothing of use");
    await lookLater();
    expect(await openIssues()).toHaveLength(1);
    drop.files.delete("worse.csv");
    drop.look = { isWhole: false };
    await lookLater();
    expect(await openIssues()).toHaveLength(1);
    drop.look = { isWhole: true };
    await lookLater();
    expect(await openIssues()).toEqual([]);
    drop.files.set("worse.csv", "nothing of use");
    await lookLater();
    expect(await openIssues()).toHaveLength(1);
  });

  test("may be one that only needs a mapping", async () => {
    await start();
    drop.reading = { mapping: "Drop", timezone: "Europe/Stockholm" };
    drop.files.set("m.csv", "a|b|c\n735990012|2026-01-10 00:00|1,5\n735990012|2026-01-10 01:00|2,5\n");
    await world.run();
    expect((await openIssues())[0].file.reason).toMatch(/no saved mapping "Drop"/);
    await world.ask("POST", "/mappings", {
      name: "Drop",
      mapping: {
        version: 1,
        headerRows: 1,
        decimal: ",",
        type: "electricity",
        label: "start",
        interval: 3600,
        columns: { meter: 1, start: 2, values: [{ column: 3, unit: "kWh" }] },
      },
    });
    expect(await look()).toEqual([["m.csv", "stored"]]);
    expect(await openIssues()).toEqual([]);
  });

  test("may be larger than files may be", async () => {
    await start();
    world.api.deps.settings.uploadBytesMax = 1_000;
    drop.files.set("large.csv", table("735990013", Array(24).fill(1234567890.5), "2026-01-09").repeat(2));
    await world.run();
    expect((await openIssues())[0].file).toMatchObject({ name: "large.csv", line: null });
    expect((await openIssues())[0].file.reason).toMatch(/1000 bytes/);
    expect((await lookLater())[0]).toEqual(["large.csv", "refused"]);
    expect(drop.read).toEqual([]);
    world.api.deps.settings.uploadBytesMax = 1_000_000_000;
  });
});

describe("a file that its server keeps back", () => {
  test("is told, keeps no other from being read, and is tried at each look", async () => {
    await start();
    drop.files.set("closed.csv", table("735990014", [1, 2]));
    drop.files.set("open.csv", table("735990015", [1, 2]));
    drop.keptBack = "closed.csv";
    await world.run();
    expect(drop.fates).toEqual([
      ["closed.csv", "refused"],
      ["open.csv", "stored"],
    ]);
    expect((await openIssues())[0].file).toMatchObject({ name: "closed.csv", reason: "not for you" });
    expect((await lookLater())[0]).toEqual(["closed.csv", "refused"]);
    expect(drop.read).toEqual(["closed.csv"]);
    drop.keptBack = undefined;
    expect((await lookLater())[0]).toEqual(["closed.csv", "stored"]);
    expect(await openIssues()).toEqual([]);
    expect((await filesOf()).map(({ status }: { status: string }) => status)).toEqual(["stored", "stored"]);
  });
});

describe("meters that were put away", () => {
  test("get no values; taken back, files that still lie there are read again", async () => {
    await start();
    drop.files.set("1.csv", table("735990020", [1, 2]));
    await world.run();
    const { _id } = await meterOf("735990020");
    await world.ask("PUT", `/meters/${_id}`, { box: "ignored" });
    drop.files.set("2.csv", table("735990020", [1, 3]));
    await lookLater();
    expect((await filesOf()).at(-1)).toMatchObject({
      left_out: [expect.stringContaining("735990020")],
      counts: { added: 0 },
    });
    await world.ask("PUT", `/meters/${_id}`, { box: "active" });
    expect(await lookLater()).toEqual([
      ["1.csv", "known"],
      ["2.csv", "stored"],
    ]);
    expect(await valuesOf("735990020")).toEqual([1, 3, null, null]);
    expect((await lookLater()).map(([, fate]) => fate)).toEqual(["known", "known"]);
  });
});

describe("a look", () => {
  test("comes again in a quarter of an hour; soon when a file grows; at once when there is more", async () => {
    await start();
    const nextIn = async () => {
      const { next_run } = await world.ask("GET", `/connections/${connection}`);
      return (Date.parse(next_run.replace(/([+-]\d\d)(\d\d)$/, "$1:$2")) - world.api.clock.now()) / 60_000;
    };
    await world.run();
    expect(await nextIn()).toBeGreaterThanOrEqual(15);
    expect(await nextIn()).toBeLessThan(17);
    drop.mayGrow = true;
    drop.files.set("growing.csv", table("735990028", [1, 2]));
    expect(await lookLater()).toEqual([["growing.csv", "waiting"]]);
    expect(drop.read).toEqual([]);
    expect(await nextIn()).toBeCloseTo(1, 1);
    drop.mayGrow = false;
    drop.look = { isWhole: false };
    expect(await lookLater()).toEqual([["growing.csv", "stored"]]);
    expect(await nextIn()).toBeLessThan(0.1);
    drop.mayGrow = true;
    expect(await lookLater()).toEqual([["growing.csv", "known"]]);
    expect(await nextIn()).toBeGreaterThanOrEqual(15);
  });

  test("that dies after the data are stored is repeated, and nothing is stored twice", async () => {
    await start();
    drop.files.set("1.csv", table("735990030", [1, 2]));
    drop.after = () => {
      throw new Error("Connection terminated: the server was killed");
    };
    await world.run();
    const { outcome } = (await world.ask("GET", `/connections/${connection}/runs?sort=-began`))[0];
    expect(outcome).toBe("interrupted");
    drop.after = undefined;
    expect(await lookLater()).toEqual([["1.csv", "known"]]);
    expect(await filesOf()).toMatchObject([{ status: "stored", counts: { added: 2 } }]);
  });

  test("that dies before any of its transactions is repeated, and stores everything once", async () => {
    const { db } = world.api.deps;
    const usual = db.transaction;
    let isDead = true;
    for (let nth = 1; isDead; nth++) {
      await start();
      const ean = `7359900311${nth}`;
      drop.files.set("1.csv", table(ean, [1, 2, 3]));
      let left = nth;
      isDead = false;
      db.transaction = async (work) => {
        // Beginning and ending a run are not the file's.
        if (drop.read.length > 0 && drop.fates.length === 0 && --left === 0) {
          isDead = true;
          throw new Error("Connection terminated: the database was killed");
        }
        return usual.call(db, work) as never;
      };
      drop.read = [];
      await world.run();
      db.transaction = usual;
      if (isDead) expect((await world.ask("GET", `/connections/${connection}`)).collected).toBeNull();
      await lookLater();
      await world.ask("PUT", `/meters/${(await meterOf(ean))._id}`, { box: "active" });
      expect(await valuesOf(ean)).toEqual([1, 2, 3, null]);
      expect(await filesOf()).toMatchObject([{ status: "stored" }]);
      if (!isDead) expect(nth).toBeGreaterThan(4);
    }
  });

  test("a content that breaks off is no file, and is read whole the next time", async () => {
    await start();
    const text = table("735990031", [1, 2]);
    drop.files.set("1.csv", text);
    let isBroken = true;
    world.connector.receive = async function* () {
      const files = receive();
      let step = await files.next();
      while (step.done !== true) {
        const { content, ...file } = step.value;
        const fate = yield {
          ...file,
          async *content() {
            for await (const chunk of content()) {
              if (isBroken) {
                yield chunk.subarray(0, 20);
                throw new Error("ECONNRESET");
              }
              yield chunk;
            }
          },
        };
        step = await files.next(fate);
      }
      return step.value;
    };
    await world.run();
    expect(await filesOf()).toEqual([]);
    isBroken = false;
    expect(await look()).toEqual([["1.csv", "stored"]]);
    world.connector.receive = receive;
  });

  test("a period that is asked for again is not waited for", async () => {
    await world.ask("POST", `/connections/${connection}/backfill`, { period: "2025" });
    await world.run();
    expect(await world.ask("GET", `/connections/${connection}`)).toMatchObject({ backfill: null });
  });
});
