import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { dayOf, dayText, offsetText, parseDay } from "./calendar.ts";
import { obstacleOf } from "./gate.ts";
import { contractsOf, meterOf, metersOf } from "./holdings.ts";
import { reservedCode } from "./logins.ts";
import type { Utility } from "./utility.ts";
import { isAllowed, monthsOf, valuesOf } from "./values.ts";
import type { Contract, Customer, Meter } from "./world.ts";

const tokenMs = 3600_000;
const tokensMax = 10_000;
const metersPerPage = 20;

type Query = Record<string, string | undefined>;
type Asked = FastifyRequest<{ Params: { id: string }; Querystring: Query }>;

const refuse = (reply: FastifyReply, status: number, error: string) => reply.status(status).send({ error });

/** The same as the pages, as JSON with a token of one hour. */
export function api(app: FastifyInstance, utility: Utility): void {
  const tokens = new Map<string, { username: string; expiresAt: number }>();
  app.post<{ Body: { username?: unknown; password?: unknown; code?: unknown } }>(
    "/api/token",
    async (request, reply) => {
      const { username, password, code } = request.body ?? {};
      if (typeof username !== "string" || typeof password !== "string")
        return refuse(reply, 400, "invalid_request");
      const { end } = utility.logins.attempt(username, password);
      if (end === "code" && code !== reservedCode) return refuse(reply, 401, "code_required");
      if (end === "wrong") return refuse(reply, 401, "wrong_credentials");
      if (end !== "in" && end !== "code") return refuse(reply, 403, end);
      const token = randomBytes(24).toString("base64url");
      if (tokens.size >= tokensMax) tokens.delete(tokens.keys().next().value!);
      tokens.set(token, { username, expiresAt: utility.clock.lived() + tokenMs });
      return { access_token: token, token_type: "Bearer", expires_in: tokenMs / 1000 };
    },
  );

  const inside =
    (handle: (customer: Customer, request: Asked, reply: FastifyReply) => unknown) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const token = tokens.get(request.headers.authorization?.replace(/^Bearer /, "") ?? "");
      if (token === undefined || token.expiresAt <= utility.clock.lived())
        return refuse(reply, 401, "invalid_token");
      const obstacle = await obstacleOf(utility, token.username);
      if (obstacle?.kind === "busy") reply.header("retry-after", String(obstacle.retryAfterSeconds));
      if (obstacle !== null) {
        return refuse(reply, { maintenance: 503, busy: 429, error: 500 }[obstacle.kind], obstacle.kind);
      }
      return await handle(utility.world.customers.get(token.username)!, request as Asked, reply);
    };

  app.get(
    "/api/meters",
    inside((customer, { query }) => listMeters(utility, customer, query)),
  );
  app.get(
    "/api/meters/:id/values",
    inside((customer, request, reply) => {
      const meter = meterOf(utility, customer, request.params.id);
      return meter === undefined
        ? refuse(reply, 404, "not_found")
        : sendValues(utility, meter, { query: request.query, reply });
    }),
  );
}

function listMeters(utility: Utility, customer: Customer, query: Query): unknown {
  const all = contractsOf(utility, customer).flatMap((contract) =>
    metersOf(utility, contract, customer.username).map((meter) => viewOf(utility, contract, meter)),
  );
  const offset = Math.max(0, Number.parseInt(query.offset ?? "0", 10) || 0);
  const end = offset + metersPerPage;
  return {
    customer: { number: customer.number, name: customer.name },
    meters: all.slice(offset, end),
    next: end < all.length ? `/api/meters?offset=${end}` : null,
  };
}

function viewOf({ clock }: Utility, contract: Contract, meter: Meter): unknown {
  const today = dayOf(clock.now());
  const isMerged = meter.formerEan === null || meter.formerEan.until <= today;
  return {
    id: meter.id,
    ean: isMerged ? meter.ean : meter.formerEan!.ean,
    former_ean: isMerged ? (meter.formerEan?.ean ?? null) : null,
    name: meter.name,
    address: meter.address,
    type: meter.type,
    representation: meter.representation,
    unit: meter.unit,
    resolutions: [...meter.resolutions, "month"],
    contract: contract.id,
    from: dayText(meter.from),
    to: meter.to === null ? null : dayText(meter.to - 1),
  };
}

function sendValues(
  utility: Utility,
  meter: Meter,
  { query, reply }: { query: Query; reply: FastifyReply },
): unknown {
  const first = parseDay(query.from);
  const last = parseDay(query.to);
  if (first === undefined || last === undefined) return refuse(reply, 400, "invalid_period");
  const resolution = meter.resolutions.find((each) => each === query.resolution);
  if (resolution === undefined && query.resolution !== "month")
    return refuse(reply, 400, "invalid_resolution");
  if (!isAllowed({ first, last }, resolution ?? "hour")) return refuse(reply, 400, "invalid_period");
  const values =
    resolution === undefined
      ? monthsOf(utility, meter, { first, last })
      : valuesOf(utility, meter, { first, last, resolution });
  return {
    id: meter.id,
    unit: meter.unit,
    values: values.map(({ start, end, milli, status }) => ({
      start: offsetText(start),
      end: offsetText(end),
      value: milli / 1000,
      status,
    })),
  };
}
