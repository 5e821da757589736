import type { FastifyInstance, FastifyReply } from "fastify";
import { reservedCode } from "./logins.ts";
import { alert, escaped } from "./page.ts";
import type { Sessions } from "./sessions.ts";
import { type Look, type TextKey, textOf } from "./texts.ts";
import type { Utility } from "./utility.ts";
import { cookiesOf, giveSession, lookOf, show } from "./visit.ts";

interface Form {
  csrf: string;
  message?: TextKey;
}

/** Names of the fields: they change with the labels. */
const fieldsOf = ({ variant }: Look) =>
  variant === "labels"
    ? { username: "account", password: "secret" }
    : { username: "username", password: "password" };

function loginBody(look: Look, { csrf, message }: Form): string {
  const t = (key: TextKey) => escaped(textOf(look, key));
  const names = fieldsOf(look);
  return `${message === undefined ? "" : alert(textOf(look, message))}
<form method="post" action="/login">
<input type="hidden" name="csrf" value="${csrf}">
<label for="username">${t("username")}</label>
<input id="username" name="${names.username}" autocomplete="username" required>
<label for="password">${t("password")}</label>
<input id="password" name="${names.password}" type="password" autocomplete="current-password" required>
<div><button>${t("enter")}</button></div>
</form>`;
}

function codeBody(look: Look, { csrf, message }: Form): string {
  const t = (key: TextKey) => escaped(textOf(look, key));
  return `${message === undefined ? `<p>${t("codeHint")}</p>` : alert(textOf(look, message))}
<form method="post" action="/code">
<input type="hidden" name="csrf" value="${csrf}">
<label for="code">${t("code")}</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" required>
<div><button>${t("next")}</button></div>
</form>`;
}

/** Pages that only a person passes; both forms lead back to them. */
function personBody(look: Look, kind: "captcha" | "consent"): string {
  const t = (key: TextKey) => escaped(textOf(look, key));
  if (kind === "consent") {
    return `<p>${t("consentHint")}</p><form method="post" action="/login"><button name="consent">${t("accept")}</button></form>`;
  }
  const picture = `<svg role="img" aria-label="captcha" width="160" height="50"><rect width="160" height="50" fill="#e8eff5"/>
<path d="M10 40L25 10L40 40M50 10v30h20M80 25a12 12 0 1 0 24 0a12 12 0 1 0 -24 0M115 40V10l20 30V10" stroke="#1d4f76" stroke-width="4" fill="none"/></svg>`;
  return `<p>${t("captchaHint")}</p>${picture}
<form id="captcha" method="post" action="/login"><label for="letters">${t("captchaHint")}</label>
<input id="letters" name="captcha" required><div><button>${t("next")}</button></div></form>`;
}

/** Login, code and logout. */
export function loginPages(app: FastifyInstance, utility: Utility, sessions: Sessions): void {
  const showLogin = (reply: FastifyReply, look: Look, form: Form & { status?: number }) =>
    show(reply, look, { title: "login", body: loginBody(look, form), status: form.status ?? 200 });

  app.get("/login", (request, reply) => {
    const look = lookOf(utility, request, null);
    const session = sessions.open(cookiesOf(request).get("session"));
    giveSession(reply, session);
    return showLogin(reply, look, { csrf: session.csrf });
  });

  app.post<{ Body: Record<string, string> }>("/login", (request, reply) => {
    const session = sessions.open(cookiesOf(request).get("session"));
    const strangerLook = lookOf(utility, request, null);
    const {
      csrf,
      [fieldsOf(strangerLook).username]: username = "",
      [fieldsOf(strangerLook).password]: password = "",
    } = request.body ?? {};
    if (csrf !== session.csrf) {
      const fresh = sessions.begin("new", null);
      giveSession(reply, fresh);
      return showLogin(reply, strangerLook, { csrf: fresh.csrf, message: "stale", status: 403 });
    }
    const { end } = utility.logins.attempt(username, password);
    if (end === "wrong" || end === "locked") {
      return showLogin(reply, strangerLook, { csrf: session.csrf, message: end });
    }
    sessions.end(session.id);
    const next = sessions.begin(end === "in" ? "in" : end === "code" ? "code" : "blocked", username);
    giveSession(reply, next);
    if (end === "in") return reply.redirect("/overview", 303);
    if (end === "code") return reply.redirect("/code", 303);
    const title = end === "captcha" ? "captchaTitle" : "consentTitle";
    return show(reply, lookOf(utility, request, username), { title, body: personBody(strangerLook, end) });
  });

  codePages(app, utility, sessions);
}

function codePages(app: FastifyInstance, utility: Utility, sessions: Sessions): void {
  app.get("/code", (request, reply) => {
    const session = sessions.open(cookiesOf(request).get("session"));
    if (session.stage !== "code") return reply.redirect("/login", 303);
    const look = lookOf(utility, request, session.username);
    return show(reply, look, { title: "codeTitle", body: codeBody(look, { csrf: session.csrf }) });
  });

  app.post<{ Body: Record<string, string> }>("/code", (request, reply) => {
    const session = sessions.open(cookiesOf(request).get("session"));
    if (session.stage !== "code" || request.body?.csrf !== session.csrf) return reply.redirect("/login", 303);
    if (request.body.code !== reservedCode) {
      const look = lookOf(utility, request, session.username);
      // Three codes, as at many companies, then the password again.
      if (++session.requests >= 3) {
        sessions.end(session.id);
        return reply.redirect("/login", 303);
      }
      const body = codeBody(look, { csrf: session.csrf, message: "codeWrong" });
      return show(reply, look, { title: "codeTitle", body });
    }
    sessions.end(session.id);
    giveSession(reply, sessions.begin("in", session.username));
    return reply.redirect("/overview", 303);
  });

  app.post<{ Body: Record<string, string> }>("/logout", (request, reply) => {
    const session = sessions.open(cookiesOf(request).get("session"));
    if (request.body?.csrf === session.csrf) sessions.end(session.id);
    return reply.redirect("/login", 303);
  });
}
