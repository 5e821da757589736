import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance } from "fastify";
import { api } from "./api.ts";
import { control } from "./control.ts";
import { customerPages, showObstacle } from "./customer-pages.ts";
import { obstacleOf } from "./gate.ts";
import { invoicePages } from "./invoice-pages.ts";
import { loginPages } from "./login-pages.ts";
import { Sessions } from "./sessions.ts";
import { makeUtility, type Utility, type UtilityOptions } from "./utility.ts";
import { lookOf, showMissing } from "./visit.ts";

export type { UtilityOptions } from "./utility.ts";

export interface SimulatorOptions extends UtilityOptions {
  host?: string;
  /** Of the pages and the API; 0 or absent: any. */
  port?: number;
  /** Of the control; 0 or absent: any. */
  controlPort?: number;
}

export interface Simulator {
  /** Pages and API, without a slash at the end. */
  url: string;
  /** The control, without a slash at the end. */
  controlUrl: string;
  close(): Promise<void>;
}

/** Starts a utility company. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, controlPort = 0 } = options;
  const utility = makeUtility(options);
  const pages = await FrontDoor.open(() => site(utility), { host, port });
  const desk = fastify({ forceCloseConnections: true });
  control(desk, utility, { goAway: (seconds, isBack) => pages.goAway(seconds, isBack) });
  await desk.listen({ host, port: controlPort });
  return {
    url: urlOf(host, pages.port),
    controlUrl: urlOf(host, (desk.server.address() as AddressInfo).port),
    async close() {
      await Promise.all([pages.close(), desk.close()]);
    },
  };
}

const urlOf = (host: string, port: number) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;

/** The pages' listener, which can be gone for a while: then connections are refused. */
class FrontDoor {
  readonly port: number;
  readonly #make: () => FastifyInstance;
  readonly #host: string;
  #app: FastifyInstance | null;
  #back: NodeJS.Timeout | undefined;
  readonly #waiting: (() => void)[] = [];

  static async open(
    make: () => FastifyInstance,
    { host, port }: { host: string; port: number },
  ): Promise<FrontDoor> {
    const app = make();
    await app.listen({ host, port });
    return new FrontDoor(make, { host, app });
  }

  private constructor(make: () => FastifyInstance, { host, app }: { host: string; app: FastifyInstance }) {
    this.#make = make;
    this.#host = host;
    this.#app = app;
    this.port = (app.server.address() as AddressInfo).port;
  }

  /** Refuses connections for a while, and longer when that is asked for meanwhile; `isBack` is told when it is over. */
  async goAway(seconds: number, isBack: () => void): Promise<void> {
    clearTimeout(this.#back);
    this.#waiting.push(isBack);
    await this.#app?.close();
    this.#app = null;
    this.#back = setTimeout(() => void this.#return(), seconds * 1000);
  }

  async #return(): Promise<void> {
    this.#app = this.#make();
    await this.#app.listen({ host: this.#host, port: this.port });
    for (const isBack of this.#waiting.splice(0)) isBack();
  }

  async close(): Promise<void> {
    clearTimeout(this.#back);
    await this.#app?.close();
  }
}

/** Pages and API of a utility. Sessions end when it goes away. */
function site(utility: Utility): FastifyInstance {
  const app = fastify({ forceCloseConnections: true, bodyLimit: 64 * 1024 });
  const sessions = new Sessions(utility.clock.lived);
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string" },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
  app.addHook("onRequest", async (request, reply) => {
    const { lang } = request.query as { lang?: unknown };
    if (lang === "sv" || lang === "en") reply.header("set-cookie", `lang=${lang}; Path=/; SameSite=Lax`);
    // Before somebody is known, only what concerns everybody stands in the way.
    const isOpen = /^\/(login|code|logout|api\/token)\b/.test(request.url);
    const obstacle = isOpen ? await obstacleOf(utility, null) : null;
    if (obstacle === null) return;
    showObstacle(reply, lookOf(utility, request, null), obstacle);
    return reply;
  });
  app.setNotFoundHandler((request, reply) => showMissing(reply, lookOf(utility, request, null)));
  loginPages(app, utility, sessions);
  customerPages(app, utility, sessions);
  invoicePages(app, utility, sessions);
  api(app, utility);
  return app;
}
