import type { FastifyReply, FastifyRequest } from "fastify";
import { type Content, page } from "./page.ts";
import type { Session } from "./sessions.ts";
import { type Language, type Look, textOf } from "./texts.ts";
import type { Utility } from "./utility.ts";

/** Cookies of a request by name. */
export function cookiesOf(request: FastifyRequest): Map<string, string> {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return new Map(pairs.map(([name = "", value = ""]) => [name, value]));
}

/** Sends the cookie of a session; a browser forgets it when it closes. */
export function giveSession(reply: FastifyReply, { id }: Session): void {
  reply.header("set-cookie", `session=${id}; Path=/; HttpOnly; SameSite=Lax`);
}

/** How a visitor sees the pages: the language that was chosen, else the browser's, and the layout of the day. */
export function lookOf({ faults }: Utility, request: FastifyRequest, username: string | null): Look {
  const chosen = (request.query as { lang?: unknown }).lang ?? cookiesOf(request).get("lang");
  const accepted = /^en\b/.test(request.headers["accept-language"] ?? "") ? "en" : "sv";
  const language: Language = chosen === "sv" || chosen === "en" ? chosen : accepted;
  return { language, variant: faults.meet("layout", username)?.variant ?? null };
}

/** Sends a page. */
export function show(reply: FastifyReply, look: Look, content: Content & { status?: number }): FastifyReply {
  return reply
    .status(content.status ?? 200)
    .type("text/html; charset=utf-8")
    .header("cache-control", "no-store")
    .send(page(look, content));
}

/** The page of something that is not there, or not the visitor's. */
export function showMissing(reply: FastifyReply, look: Look): FastifyReply {
  return show(reply, look, { title: "errorTitle", body: `<p>${textOf(look, "missing")}</p>`, status: 404 });
}
