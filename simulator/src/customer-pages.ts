import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { dayOf, dayText, parseDay } from "./calendar.ts";
import { csvOf, monthsJson, xlsxOf } from "./files.ts";
import { isLost, obstacleOf } from "./gate.ts";
import { contractsOf, hasRunning, meterOf, metersOf } from "./holdings.ts";
import { alert, escaped, facts, table } from "./page.ts";
import type { Session, Sessions } from "./sessions.ts";
import { type Look, type TextKey, textOf } from "./texts.ts";
import type { Utility } from "./utility.ts";
import { isAllowed, monthsOf, rowsOf } from "./values.ts";
import { cookiesOf, lookOf, show, showMissing } from "./visit.ts";
import { type Contract, type Customer, eanOn, type Meter, serialOn } from "./world.ts";

/** Metering points on one page of the list. */
export const pageSize = 5;

/** Who asks for a page that needs a login, and how they see it. */
export interface Visitor {
  customer: Customer;
  session: Session;
  look: Look;
}

/** Lets customers in who are logged in, and everybody else go to the login. */
export async function visitorOf(
  utility: Utility,
  sessions: Sessions,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): Promise<Visitor | null> {
  const session = sessions.open(cookiesOf(request).get("session"));
  const username = session.stage === "in" ? session.username! : null;
  if (username !== null && isLost(utility, username, ++session.requests)) {
    sessions.end(session.id);
    reply.redirect("/login", 303);
    return null;
  }
  const obstacle = await obstacleOf(utility, username);
  const look = lookOf(utility, request, username);
  if (obstacle !== null) {
    showObstacle(reply, look, obstacle);
    return null;
  }
  if (username === null) {
    reply.redirect("/login", 303);
    return null;
  }
  return { customer: utility.world.customers.get(username)!, session, look };
}

/** The page of what stands in the way. */
export function showObstacle(
  reply: FastifyReply,
  look: Look,
  obstacle: NonNullable<Awaited<ReturnType<typeof obstacleOf>>>,
): void {
  if (obstacle.kind === "busy") reply.header("retry-after", String(obstacle.retryAfterSeconds));
  const isMaintenance = obstacle.kind === "maintenance";
  show(reply, look, {
    title: isMaintenance ? "maintenanceTitle" : "errorTitle",
    body: `<p>${textOf(look, isMaintenance ? "maintenance" : "error")}</p>`,
    status: isMaintenance ? 200 : obstacle.kind === "busy" ? 429 : 500,
  });
}

const link = (path: string, text: string) => `<a href="${path}">${escaped(text)}</a>`;

function overviewBody(utility: Utility, { customer, look }: Visitor): string {
  const t = (key: TextKey) => textOf(look, key);
  const rows = contractsOf(utility, customer);
  const columns = [
    { label: t("contract"), cell: ({ id }: Contract) => link(`/contracts/${id}`, id) },
    { label: t("kind"), cell: ({ kind }: Contract) => escaped(t(kind)) },
    { label: t("address"), cell: ({ address }: Contract) => escaped(address) },
    { label: t("since"), cell: ({ from }: Contract) => dayText(from) },
    { label: t("until"), cell: ({ to }: Contract) => (to === null ? "" : dayText(to - 1)) },
  ];
  return `${hasRunning(utility, customer) ? "" : alert(t("noContract"))}
${facts([
  [t("customer"), customer.name],
  [t("customerNumber"), customer.number],
])}
${table(look, { id: "contracts", caption: t("overview"), columns, rows })}`;
}

function listBody(meters: readonly Meter[], { look }: Visitor, { path, at, today }: ListPlace): string {
  const t = (key: TextKey) => textOf(look, key);
  const pages = Math.max(1, Math.ceil(meters.length / pageSize));
  if (meters.length === 0) return `<p id="none">${escaped(t("none"))}</p>`;
  const columns = [
    { label: t("ean"), cell: (meter: Meter) => link(`/meters/${meter.id}`, eanOn(meter, today)) },
    { label: t("name"), cell: ({ name }: Meter) => escaped(name) },
    { label: t("address"), cell: ({ address }: Meter) => escaped(address) },
    { label: t("type"), cell: (meter: Meter) => escaped(measures(look, meter)) },
    { label: t("until"), cell: ({ to }: Meter) => (to === null ? "" : dayText(to - 1)) },
  ];
  const rows = meters.slice((at - 1) * pageSize, at * pageSize);
  const steps = [
    at > 1 ? `<a rel="prev" href="${path}?page=${at - 1}">${escaped(t("previousPage"))}</a>` : "",
    `<span>${escaped(t("page"))} ${at} / ${pages}</span>`,
    at < pages ? `<a rel="next" href="${path}?page=${at + 1}">${escaped(t("nextPage"))}</a>` : "",
  ];
  return `${table(look, { id: "meters", caption: t("meters"), columns, rows })}
<nav aria-label="${escaped(t("page"))}">${steps.join(" ")}</nav>`;
}

interface ListPlace {
  path: string;
  /** The page, from 1. */
  at: number;
  today: number;
}

const measures = (look: Look, { type, representation }: Meter) =>
  textOf(look, type) +
  (representation === "production" ? `, ${textOf(look, "production").toLowerCase()}` : "");

function meterBody(meter: Meter, { look }: Visitor, today: number): string {
  const t = (key: TextKey) => textOf(look, key);
  const told: [string, string][] = [
    [t("ean"), eanOn(meter, today)],
    [t("name"), meter.name],
    [t("address"), meter.address],
    [t("type"), measures(look, meter)],
    [t("serial"), serialOn(meter, today)],
    [t("since"), dayText(meter.from)],
  ];
  if (meter.to !== null) told.push([t("until"), dayText(meter.to - 1)]);
  if (meter.formerEan !== null && meter.formerEan.until <= today) {
    told.push([t("formerEan"), `${meter.formerEan.ean} (${dayText(meter.formerEan.until - 1)})`]);
  }
  if (meter.exchange !== null && meter.exchange.day <= today) {
    const { day, serial } = meter.exchange;
    told.push([t("exchange"), `${dayText(day)}: ${meter.serial} → ${serial}`]);
  }
  return `${facts(told)}
<section aria-labelledby="files"><h2 id="files">${escaped(t("downloads"))}</h2>
${downloads(meter, look, today)}</section>`;
}

function downloads(meter: Meter, look: Look, today: number): string {
  const t = (key: TextKey) => textOf(look, key);
  const forms = meter.resolutions.map((resolution) => {
    const days = resolution === "hour" ? 30 : 7;
    const field = (name: "from" | "to", label: TextKey, day: number) =>
      `<label for="${resolution}-${name}">${escaped(t(label))}</label>
<input id="${resolution}-${name}" name="${name}" type="date" value="${dayText(day)}" required>`;
    const action = `/meters/${meter.id}/values`;
    return `<form method="get" action="${action}.csv"><h3>${escaped(t(resolution === "hour" ? "hours" : "quarters"))}</h3>
<input type="hidden" name="resolution" value="${resolution}">
${field("from", "since", today - days)}
${field("to", "until", today - 1)}
<div><button>CSV</button> <button formaction="${action}.xlsx">XLSX</button></div></form>`;
  });
  const { id } = meter;
  return `${forms.join("\n")}<h3>${escaped(t("months"))}</h3><p><a href="/meters/${id}/months.json">JSON</a></p>`;
}

/** Contracts, metering points and their values, for those who are logged in. */
export function customerPages(app: FastifyInstance, utility: Utility, sessions: Sessions): void {
  const today = () => dayOf(utility.clock.now());
  type Asked = FastifyRequest<{ Params: { id: string }; Querystring: Record<string, string | undefined> }>;
  const inside =
    (handle: (visitor: Visitor, request: Asked, reply: FastifyReply) => unknown) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const visitor = await visitorOf(utility, sessions, { request, reply });
      return visitor === null ? reply : await handle(visitor, request as Asked, reply);
    };

  app.get("/", (_request, reply) => reply.redirect("/overview", 303));
  app.get(
    "/overview",
    inside((visitor, _request, reply) =>
      show(reply, visitor.look, {
        title: "overview",
        body: overviewBody(utility, visitor),
        menu: visitor.session.csrf,
      }),
    ),
  );
  app.get(
    "/contracts/:id",
    inside((visitor, { params, query }, reply) => {
      const { customer, look, session } = visitor;
      const contract = contractsOf(utility, customer).find(({ id }) => id === params.id);
      if (contract === undefined) return showMissing(reply, look);
      const meters = metersOf(utility, contract, customer.username);
      const at = Math.min(Math.max(1, Number.parseInt(query.page ?? "1", 10) || 1), 10_000);
      const body = listBody(meters, visitor, { path: `/contracts/${contract.id}`, at, today: today() });
      return show(reply, look, { title: "meters", body, menu: session.csrf });
    }),
  );
  app.get(
    "/meters/:id",
    inside((visitor, { params }, reply) => {
      const meter = meterOf(utility, visitor.customer, params.id);
      if (meter === undefined) return showMissing(reply, visitor.look);
      const body = meterBody(meter, visitor, today());
      return show(reply, visitor.look, { title: "meter", body, menu: visitor.session.csrf });
    }),
  );
  for (const ending of ["csv", "xlsx"] as const) {
    app.get(
      `/meters/:id/values.${ending}`,
      inside((visitor, request, reply) => sendValues(utility, visitor, { request, reply, ending })),
    );
  }
  app.get(
    "/meters/:id/months.json",
    inside((visitor, { params, query }, reply) => {
      const meter = meterOf(utility, visitor.customer, params.id);
      if (meter === undefined) return showMissing(reply, visitor.look);
      const first = parseDay(query.from) ?? meter.from;
      const months = monthsOf(utility, meter, { first, last: parseDay(query.to) ?? today() });
      return reply.header("cache-control", "no-store").send(monthsJson(visitor.look, meter, months));
    }),
  );
}

async function sendValues(
  utility: Utility,
  { customer, look }: Visitor,
  {
    request: { params, query },
    reply,
    ending,
  }: {
    request: { params: { id: string }; query: Record<string, string | undefined> };
    reply: FastifyReply;
    ending: "csv" | "xlsx";
  },
): Promise<unknown> {
  const meter = meterOf(utility, customer, params.id);
  const resolution = meter?.resolutions.find((each) => each === query.resolution);
  if (meter === undefined || resolution === undefined) return showMissing(reply, look);
  const first = parseDay(query.from);
  const last = parseDay(query.to);
  if (first === undefined || last === undefined || !isAllowed({ first, last }, resolution)) {
    return show(reply, look, { title: "errorTitle", body: alert(textOf(look, "badPeriod")), status: 400 });
  }
  const rows = rowsOf(utility, meter, { first, last, resolution });
  const content = { meter, rows, day: Math.min(last, dayOf(utility.clock.now())), now: utility.clock.now() };
  const name = `${meter.id}-${resolution}-${query.from}-${query.to}.${ending}`;
  reply.header("content-disposition", `attachment; filename="${name}"`).header("cache-control", "no-store");
  if (ending === "csv") return reply.type("text/csv; charset=utf-8").send(csvOf(look, content));
  const type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
  return reply.type(type).send(await xlsxOf(look, content));
}
