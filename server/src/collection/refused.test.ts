import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { testClock } from "../../../test/harness/api.ts";
import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { ProviderFailure } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { fingerprint, type Leave, type Login, leaveToLogIn, noteLogin, permitAgain } from "./refused.ts";
import { makeCollector } from "./worker.ts";

let world: CollectionWorld;
beforeAll(async () => {
  world = await collectionWorld();
});
afterAll(() => world.close());

const hour = 3_600_000;
const passwords = ["p0", "p1", "p2"];
const who = fc.nat({ max: 1 });
const which = fc.nat({ max: passwords.length - 1 });

/** What may happen: to two workers, two connections with the same login, the provider, and people. */
const deed = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("begin" as const), worker: who, connection: who }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), worker: who }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("note" as const), worker: who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill" as const), worker: who }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("enter" as const), connection: who, password: which }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("provider changes" as const), password: which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("ask again" as const), connection: who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat({ max: 2 * hour }) }) },
);
type Deed = typeof deed extends fc.Arbitrary<infer Value> ? Value : never;

interface Run {
  password: number;
  leave: Leave;
  /** Refusals of the password that were written down when it was asked whether it may be sent. */
  isKnown: boolean;
  answer: "none" | "refused" | "accepted";
}

/** Plays a history with the real guard, and counts. */
class History {
  readonly #accountId: string;
  readonly #runs: (Run | undefined)[] = [undefined, undefined];
  readonly #entered = [0, 0];
  #right = 2;
  /** Passwords whose refusal was written down, since somebody got in with leave. */
  readonly #known = new Set<number>();
  readonly permits = [0, 0, 0];
  readonly wrong = [0, 0, 0];
  /** Refusals that nobody wrote down because the worker was killed, and logins that others had begun before. */
  readonly excused = [0, 0, 0];
  runs = 0;

  readonly #clock = testClock();
  /** Keyed hashes have a test of their own; a plain one takes no look at the database. */
  readonly #deps: Pick<Deps, "db" | "keys" | "clock">;

  constructor(accountId: string) {
    this.#accountId = accountId;
    const mac = async (_: unknown, account: string, plain: string) => Buffer.from(account + plain);
    const { db, keys } = world.api.deps;
    this.#deps = { db, clock: this.#clock, keys: { ...keys, mac } };
  }

  /** A history of an account of its own. */
  static async begin(): Promise<History> {
    return new History((await newAccount(world.api.deps)).id);
  }

  #login(password: number): Login {
    const settings = { username: "anna", password: passwords[password] };
    return { accountId: this.#accountId, provider: "scripted", settings };
  }

  async play(each: Deed): Promise<void> {
    if (each.kind === "enter") this.#entered[each.connection] = each.password;
    else if (each.kind === "provider changes") this.#right = each.password;
    else if (each.kind === "wait") this.#clock.advance(each.ms);
    else if (each.kind === "ask again") {
      const password = this.#entered[each.connection]!;
      const now = this.#clock.now();
      const from = await this.#deps.db.transaction((tx) =>
        permitAgain(tx, this.#deps, { login: this.#login(password), now }),
      );
      expect(from === null).toBe(!this.#known.has(password));
      if (from !== null && from <= now) this.permits[password]!++;
    } else await this.#work(each);
  }

  async #work(each: Extract<Deed, { worker: number }>): Promise<void> {
    const deps = this.#deps;
    const { worker } = each;
    const run = this.#runs[worker];
    if (each.kind === "begin") {
      if (run !== undefined) return;
      const password = this.#entered[each.connection]!;
      const leave = await leaveToLogIn(deps, this.#login(password));
      this.runs++;
      const isKnown = this.#known.has(password);
      expect(leave === "yes").toBe(!isKnown);
      if (leave !== "no") this.#runs[worker] = { password, leave, isKnown, answer: "none" };
    } else if (run === undefined) return;
    else if (each.kind === "send" && run.answer === "none") this.#send(run);
    else if (each.kind === "note" && run.answer !== "none") {
      this.#runs[worker] = undefined;
      const login = this.#login(run.password);
      if (run.answer === "refused") {
        if (this.#known.has(run.password) && run.leave === "yes") this.excused[run.password]!++;
        this.#known.add(run.password);
        const failure = new ProviderFailure("credentials", "no");
        await noteLogin(deps, login, { failure, leave: run.leave });
      } else {
        if (run.leave === "once") this.#known.delete(run.password);
        await noteLogin(deps, login, { failure: new ProviderFailure("code", "in"), leave: run.leave });
      }
    } else if (each.kind === "kill") {
      if (run.answer === "refused" && run.leave === "yes") this.excused[run.password]!++;
      this.#runs[worker] = undefined;
    }
  }

  #send(run: Run): void {
    run.answer = run.password === this.#right ? "accepted" : "refused";
    if (run.answer === "accepted") return;
    this.wrong[run.password]!++;
    // The law: known to be wrong, and nobody has asked for it.
    expect(run.isKnown && run.leave !== "once").toBe(false);
  }
}

test("no password that is known to be wrong is sent, in 10,000 runs with kills, races and changes", async () => {
  const histories = await Promise.all([1, 2, 3, 4].map(() => History.begin()));
  await Promise.all(
    histories.map(async (history, seed) => {
      const deeds = fc.sample(deed, { numRuns: 20_000, seed });
      for (let i = 0; history.runs < 2_500; i++) await history.play(deeds[i]!);
    }),
  );
  expect(histories.reduce((sum, { runs }) => sum + runs, 0)).toBe(10_000);
}, 120_000);

test("of one password, as many wrong logins as it was refused, asked for and lost at most", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 20, maxLength: 120 }), async (deeds) => {
      const history = await History.begin();
      for (const each of deeds) await history.play(each);
      for (const i of passwords.keys()) {
        expect(history.wrong[i]).toBeLessThanOrEqual(2 + history.permits[i]! + history.excused[i]!);
      }
    }),
    { numRuns: 20, seed: 11 },
  );
});

test("whatever people do with a connection, what was refused is sent once, and once more when they ask", async () => {
  const { script, ask, run, api } = world;
  script.password = "right";
  const sent = new Map<string, number>();
  const permits = new Map<string, number>();
  const credentials = (password: string) => ({ username: "anna", password });
  let password = "wrong1";
  const begin = () =>
    ask("POST", "/connections", { provider: "scripted", credentials: credentials(password) });
  let { _id } = await begin();
  const words = [
    "run",
    "run",
    "pause",
    "resume",
    "same",
    "later",
    "anew",
    "again",
    "wrong1",
    "wrong2",
    "wrong3",
  ];
  for (const each of fc.sample(fc.constantFrom(...words), { numRuns: 90, seed: 4 })) {
    const before = script.wrongLogins;
    if (each === "later") api.clock.advance(hour);
    else if (each === "anew") {
      await ask("DELETE", `/connections/${_id}`);
      ({ _id } = await begin());
    } else if (each === "again") {
      const answer = await api.call("POST", `/connections/${_id}/credentials/retry`, {
        token: world.owner.token,
      });
      if (answer.status === 200) permits.set(password, (permits.get(password) ?? 0) + 1);
    } else if (each === "same" || each.startsWith("wrong")) {
      if (each !== "same") password = each;
      await ask("PUT", `/connections/${_id}`, { credentials: credentials(password) });
    } else await api.call("POST", `/connections/${_id}/${each}`, { token: world.owner.token });
    await run();
    sent.set(password, (sent.get(password) ?? 0) + script.wrongLogins - before);
    expect(["credentials_refused", "paused"]).toContain((await ask("GET", `/connections/${_id}`)).state);
  }
  expect(Math.max(...permits.values())).toBeGreaterThan(0);
  for (const [each, count] of sent) expect([each, count]).toEqual([each, 1 + (permits.get(each) ?? 0)]);
  script.password = password;
  api.clock.advance(hour);
  await api.call("POST", `/connections/${_id}/resume`, { token: world.owner.token });
  await run();
  await ask("POST", `/connections/${_id}/credentials/retry`);
  await run();
  expect((await ask("GET", `/connections/${_id}`)).state).toBe("collecting");
  const lines = await ask("GET", `/connections/${_id}/runs?sort=-began`);
  expect(lines[0]).toMatchObject({ outcome: "complete", reason: "credentials" });
});

test("a refused password is tried again when a person asks for it, an hour later, once, and it is written down", async () => {
  const { script, connect, run, api, ask, owner } = world;
  script.password = "right";
  const { _id } = await connect("was wrong");
  const retry = () => api.call("POST", `/connections/${_id}/credentials/retry`, { token: owner.token });
  expect((await retry()).json.message).toContain("has not refused these credentials");
  await run();
  const early = await retry();
  expect([early.status, early.json.message]).toEqual([409, expect.stringContaining("from 2026-")]);
  api.clock.advance(hour);
  script.wrongLogins = 0;
  expect((await retry()).status).toBe(200);
  await run();
  expect(script.wrongLogins).toBe(1);
  for (let times = 0; times < 3; times++) {
    await ask("POST", `/connections/${_id}/run`);
    await run();
  }
  expect(script.wrongLogins).toBe(1);
  const audit = await api.db.rows<{ n: number }>(
    sql`select 1 as n from audit where action = 'connection.credentials_retried' and subject = ${_id}`,
  );
  expect(audit.length).toBe(1);
});

test("a refusal is kept though its run was ended meanwhile: paused, or given others", async () => {
  for (const deedOf of ["pause", "enter"] as const) {
    const refusing = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    let wrong = 0;
    const slow = {
      ...world.connector,
      async *discover() {
        wrong++;
        asked.resolve();
        await refusing.promise;
        yield* [];
        throw new ProviderFailure("credentials", "no");
      },
    };
    const collector = makeCollector(world.api.deps, [slow]);
    const { _id } = await world.connect(`slow ${deedOf}`);
    await collector.step();
    await asked.promise;
    if (deedOf === "pause") await world.ask("POST", `/connections/${_id}/pause`);
    if (deedOf === "enter") {
      const credentials = { username: "anna", password: "another" };
      await world.ask("PUT", `/connections/${_id}`, { credentials });
    }
    refusing.resolve();
    await collector.idle();
    const credentials = { username: "anna", password: `slow ${deedOf}` };
    await world.ask("PUT", `/connections/${_id}`, { credentials });
    if (deedOf === "pause") await world.ask("POST", `/connections/${_id}/resume`);
    const second = makeCollector(world.api.deps, [slow]);
    await second.step();
    await second.idle();
    expect([deedOf, wrong]).toEqual([deedOf, 1]);
    expect((await world.ask("GET", `/connections/${_id}`)).state).toBe("credentials_refused");
    await world.ask("DELETE", `/connections/${_id}`);
    await world.run();
  }
});

test("answers to logins that nobody understood end after two, until a person asks", async () => {
  const { script, connect, run, api, ask } = world;
  await api.db.run(sql`delete from connection`);
  script.password = "odd";
  script.fail.login = () => new ProviderFailure("changed", "what is this?", { isLogin: true });
  const { _id } = await connect("odd");
  const before = script.logins;
  for (let times = 0; times < 5; times++) {
    await run();
    api.clock.advance(2 * 24 * hour);
  }
  expect(script.logins - before).toBe(2);
  expect((await ask("GET", `/connections/${_id}`)).state).toBe("credentials_refused");
  script.fail = {};
  await ask("POST", `/connections/${_id}/credentials/retry`);
  await run();
  expect((await ask("GET", `/connections/${_id}`)).state).toBe("collecting");
  script.password = "right";
});

test("a deleted connection does not send a refused password to give its access back", async () => {
  const { script, connect, run, ask } = world;
  const { _id } = await connect("wrong at the end");
  await run();
  const before = script.revoked;
  await ask("DELETE", `/connections/${_id}`);
  await run();
  expect(script.revoked).toBe(before);
});

test("fingerprints tell credentials apart, in whatever order they are written", async () => {
  const { deps } = world.api;
  const { id: accountId } = await newAccount(deps);
  const print = async (settings: Record<string, string>) =>
    (await fingerprint(deps.db, deps, { accountId, provider: "scripted", settings })).toString("hex");
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string(), fc.string()),
      fc.dictionary(fc.string(), fc.string()),
      async (a, b) => {
        const turned = Object.fromEntries(Object.entries(a).reverse());
        expect(await print(turned)).toBe(await print(a));
        const isSame = JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
        expect((await print(a)) === (await print(b))).toBe(isSame);
      },
    ),
    { numRuns: 50 },
  );
});
