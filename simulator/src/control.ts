import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { dayOf, parseDay } from "./calendar.ts";
import {
  drawFaults,
  type Fault,
  type FaultKind,
  type FaultOrder,
  faultKinds,
  layoutVariants,
} from "./faults.ts";
import { invoicesOf } from "./invoices.ts";
import type { PublishedValue } from "./publication.ts";
import type { Utility } from "./utility.ts";
import { monthsOf, valuesOf } from "./values.ts";
import { eanOn, historyDays, type Meter } from "./world.ts";

const instant = { type: "string", format: "date-time" };
const positive = { type: "number", minimum: 0 };
const count = { type: "integer", minimum: 1 };

const faultSchema = {
  type: "object",
  required: ["kind"],
  additionalProperties: false,
  properties: {
    kind: { enum: faultKinds },
    username: { type: ["string", "null"] },
    from: instant,
    until: instant,
    times: count,
    seconds: { type: "number", minimum: 0, maximum: 3600 },
    every: count,
    after: count,
    days: { type: "integer", minimum: 1, maximum: historyDays },
    variant: { enum: layoutVariants },
  },
};

const drawSchema = {
  type: "object",
  required: ["seed", "until", "count"],
  additionalProperties: false,
  properties: {
    seed: { type: "integer" },
    from: instant,
    until: instant,
    count: { type: "integer", minimum: 1, maximum: 10_000 },
    usernames: { type: "array", items: { type: "string" }, minItems: 1 },
    // Connections are refused at once and for all, so that one is never drawn.
    kinds: { type: "array", items: { enum: faultKinds.filter((kind) => kind !== "gone") }, minItems: 1 },
  },
};

const clockSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  properties: { now: instant, speed: positive, advance_seconds: positive },
};

const timeText = (at: number | null) =>
  at === null || !Number.isFinite(at) ? null : new Date(at).toISOString();

function faultView({ from, until, username, ...fault }: Fault): unknown {
  return { ...fault, username, from: timeText(from), until: timeText(until) };
}

/** What the control needs of the process beside the utility. */
export interface Outside {
  /** Connections to the pages are refused for so many seconds; `isBack` is told when they are taken again. */
  goAway(seconds: number, isBack: () => void): Promise<void>;
}

/** Time, faults, logins and the truth, for tests and demonstrations. It has an address of its own. */
export function control(app: FastifyInstance, utility: Utility, outside: Outside): void {
  const { clock, logins, world } = utility;
  const clockView = () => ({ now: new Date(clock.now()).toISOString(), speed: clock.speed });
  app.get("/control/clock", clockView);
  app.post<{ Body: { now?: string; speed?: number; advance_seconds?: number } }>(
    "/control/clock",
    { schema: { body: clockSchema } },
    ({ body }, reply) => {
      const advanced =
        body.advance_seconds === undefined ? undefined : clock.now() + body.advance_seconds * 1000;
      const now = body.now === undefined ? advanced : Date.parse(body.now);
      if (now !== undefined && now < clock.now()) return refused(reply, "now: the clock never goes back");
      clock.set({
        ...(now !== undefined && { now }),
        ...(body.speed !== undefined && { speed: body.speed }),
      });
      return clockView();
    },
  );
  faultControl(app, utility, outside);
  app.get("/control/logins", () => ({ logins: logins.list() }));
  app.get("/control/customers", () => ({
    customers: [...world.customers.values()].map(
      ({ username, password, number, name, situation, contracts }) => ({
        username,
        password,
        number,
        name,
        situation: situation?.about ?? null,
        meters: contracts.flatMap(({ meters }) => meters.map(({ id }) => id)),
      }),
    ),
  }));
  app.post<{ Params: { username: string }; Body: { password?: string; unlock?: boolean } }>(
    "/control/customers/:username",
    {
      schema: {
        body: {
          type: "object",
          additionalProperties: false,
          properties: {
            password: { type: "string", minLength: 1, maxLength: 100 },
            unlock: { type: "boolean" },
          },
        },
      },
    },
    ({ params, body }, reply) => {
      const customer = world.customers.get(params.username);
      if (customer === undefined) return refused(reply, "username: there is no such customer", 404);
      if (body.password !== undefined) customer.password = body.password;
      if (body.unlock === true) logins.unlock(params.username);
      return { username: customer.username, password: customer.password };
    },
  );
  app.get<{ Querystring: { customer?: string } }>("/control/invoices", ({ query }) => ({
    invoices: [...world.customers.values()]
      .filter(({ username }) => query.customer === undefined || username === query.customer)
      .flatMap((customer) =>
        invoicesOf(utility, customer).map((invoice) => ({ username: customer.username, ...invoice })),
      ),
  }));
  truthControl(app, utility);
}

const refused = (reply: FastifyReply, message: string, status = 400) =>
  reply.status(status).send({ message });

interface DrawBody {
  seed: number;
  from?: string;
  until: string;
  count: number;
  usernames?: string[];
  kinds?: FaultKind[];
}

function faultControl(app: FastifyInstance, { clock, faults, world }: Utility, outside: Outside): void {
  app.get("/control/faults", () => ({ faults: faults.list().map(faultView) }));
  app.post<{ Body: Omit<FaultOrder, "from" | "until"> & { from?: string; until?: string } }>(
    "/control/faults",
    { schema: { body: faultSchema } },
    async ({ body }, reply) => {
      const { from, until, ...rest } = body;
      const now = clock.now();
      const start = from === undefined ? now : Date.parse(from);
      // What was published stays published, so nothing begins in the past.
      if (start < now) return refused(reply, "from: lies in the past of the utility's clock");
      if (until !== undefined && Date.parse(until) <= start) return refused(reply, "until: lies before from");
      if (rest.username != null && !world.customers.has(rest.username)) {
        return refused(reply, "username: there is no such customer");
      }
      if (rest.kind === "layout" && rest.variant === undefined) {
        return refused(reply, `variant: choose one of ${layoutVariants.join(", ")}`);
      }
      if (rest.kind === "gone") {
        if (from !== undefined || until !== undefined || rest.username != null) {
          return refused(reply, "kind: gone begins at once, for everybody, and lasts for seconds");
        }
        // It lasts by the machine's clock, so when it ends on the utility's is known when it has.
        const fault = faults.add({ ...rest, from: start });
        await outside.goAway(rest.seconds ?? 5, () => faults.end(fault.id));
        return reply.status(201).send(faultView(fault));
      }
      const fault = faults.add({
        ...rest,
        from: start,
        until: until === undefined ? null : Date.parse(until),
      });
      return reply.status(201).send(faultView(fault));
    },
  );
  app.post<{ Body: DrawBody }>(
    "/control/faults/draw",
    { schema: { body: drawSchema } },
    ({ body }, reply) => {
      const from = Math.max(clock.now(), body.from === undefined ? 0 : Date.parse(body.from));
      const until = Date.parse(body.until);
      if (until <= from) return refused(reply, "until: lies before from");
      const usual = [...world.customers.values()].filter(({ situation }) => situation === null);
      const usernames = body.usernames ?? usual.map(({ username }) => username);
      if (usernames.length === 0) return refused(reply, "usernames: there are no ordinary customers");
      const orders = drawFaults({ ...body, from, until }, usernames);
      return reply.status(201).send({ faults: orders.map((order) => faultView(faults.add(order))) });
    },
  );
  app.delete<{ Params: { id: string } }>("/control/faults/:id", ({ params }, reply) =>
    faults.end(params.id) ? reply.status(204).send() : refused(reply, "there is no such fault to end", 404),
  );
}

interface TruthQuery {
  customer?: string;
  meter?: string;
  granularity?: "15min" | "hour" | "month";
  from?: string;
  to?: string;
  at?: string;
  detail?: boolean;
}

const truthSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    customer: { type: "string" },
    meter: { type: "string" },
    granularity: { enum: ["15min", "hour", "month"] },
    from: { type: "string", format: "date" },
    to: { type: "string", format: "date" },
    at: instant,
    detail: { type: "boolean" },
  },
};

function truthControl(app: FastifyInstance, utility: Utility): void {
  app.get<{ Querystring: TruthQuery }>(
    "/control/truth",
    { schema: { querystring: truthSchema } },
    (request, reply) => {
      const { query } = request;
      const at = query.at === undefined ? utility.clock.now() : Date.parse(query.at);
      if (at > utility.clock.now()) return refused(reply, "at: lies in the future of the utility's clock");
      const meters = [...utility.world.meters.values()].filter(
        ({ id, username }) =>
          (query.meter === undefined || id === query.meter) &&
          (query.customer === undefined || username === query.customer),
      );
      return reply
        .type("application/x-ndjson")
        .send(Readable.from(truthLines(utility, meters, { query, at })));
    },
  );
}

/** A line per metering point and granularity: thousands of metering points never stand in memory at once. */
function* truthLines(
  utility: Utility,
  meters: readonly Meter[],
  { query, at }: { query: TruthQuery; at: number },
): Generator<string> {
  for (const meter of meters) {
    const span = { first: parseDay(query.from) ?? meter.from, last: parseDay(query.to) ?? dayOf(at), at };
    for (const granularity of [...meter.resolutions, "month"] as const) {
      if (query.granularity !== undefined && query.granularity !== granularity) continue;
      const values: readonly PublishedValue[] =
        granularity === "month"
          ? monthsOf(utility, meter, span)
          : valuesOf(utility, meter, { ...span, resolution: granularity });
      yield `${JSON.stringify({
        ...truthOf(meter, { granularity, values, at }),
        // The first and the last one may be parts of a month.
        ...(granularity === "month" && { ends: values.map(({ end }) => end) }),
        ...(query.detail === true && {
          changed: values.map(({ changedAt }) => changedAt),
          status: values.map(({ status }) => status),
        }),
      })}\n`;
    }
  }
}

function truthOf(
  meter: Meter,
  { granularity, values, at }: { granularity: string; values: readonly PublishedValue[]; at: number },
): Record<string, unknown> {
  return {
    meter: meter.id,
    ean: eanOn(meter, dayOf(at)),
    username: meter.username,
    metric: meter.metric,
    unit: meter.unit,
    granularity,
    at: new Date(at).toISOString(),
    starts: values.map(({ start }) => start),
    values: values.map(({ milli }) => milli / 1000),
  };
}
