import { createHash } from "node:crypto";
import fastify, { type FastifyInstance } from "fastify";
import { openApi, type ReferenceOptions } from "./openapi.ts";

/** `/openapi.json`, the reference page at `/docs/`, and `/` that leads there. */
export function referenceRoutes(app: FastifyInstance, options: ReferenceOptions): void {
  const description = once(() => {
    const text = JSON.stringify(openApi(options));
    return { text, tag: `W/"${hashOf(text)}"` };
  });
  app.get("/openapi.json", (request, reply) => {
    const { text, tag } = description();
    reply.header("etag", tag).header("cache-control", "no-cache");
    if (request.headers["if-none-match"] === tag) return reply.code(304).send();
    return reply.type("application/json; charset=utf-8").send(text);
  });
  const page = once(referencePage);
  app.get("/docs", async (_request, reply) => {
    const { html, policy } = await page();
    reply.header("content-security-policy", policy).header("cache-control", "no-cache");
    return reply.type("text/html; charset=utf-8").send(html);
  });
  app.get(scriptPath, async (_request, reply) => {
    const { script } = await page();
    reply.header("cache-control", "public, max-age=86400");
    return reply.type("text/javascript; charset=utf-8").send(script);
  });
  app.get("/", (_request, reply) => reply.redirect("/docs", 302));
}

const scriptPath = "/docs/js/scalar.js";

interface ReferencePage {
  html: string;
  script: string;
  /** Content-Security-Policy of the page: nothing from or to any other host. */
  policy: string;
}

/**
 * The reference page and its script. The package holds 5 MB of script and registers itself as routes, so it is loaded
 * on first use, into a server of its own that never listens.
 */
async function referencePage(): Promise<ReferencePage> {
  const { default: reference } = await import("@scalar/fastify-api-reference");
  const inner = fastify({ logger: false });
  await inner.register(reference, {
    routePrefix: "/docs",
    configuration: {
      url: "/openapi.json",
      cdn: scriptPath,
      pageTitle: "Metertree API",
      withDefaultFonts: false,
      telemetry: false,
      showDeveloperTools: "never",
      hideClientButton: true,
      agent: { disabled: true },
      mcp: { disabled: true },
    },
  });
  const html = (await inner.inject("/docs/")).payload;
  const script = (await inner.inject(scriptPath)).payload;
  await inner.close();
  return { html, script, policy: policyOf(html) };
}

function policyOf(html: string): string {
  const hashes = inlineScripts(html).map(
    (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`,
  );
  return [
    "default-src 'none'",
    `script-src 'self' ${hashes.join(" ")}`,
    // The page styles itself from its script.
    "style-src 'self' 'unsafe-inline'",
    "connect-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Texts of the scripts that stand in the page itself. */
function inlineScripts(html: string): string[] {
  const texts: string[] = [];
  for (let at = html.indexOf("<script"); at !== -1; at = html.indexOf("<script", at + 1)) {
    const open = html.indexOf(">", at);
    const close = html.indexOf("</script>", open);
    if (close > open + 1) texts.push(html.slice(open + 1, close));
  }
  return texts;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}

/** Makes a value when it is first asked for; a failed attempt is not kept. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    if (made === undefined) {
      const value = make();
      made = { value };
      if (value instanceof Promise) value.catch(() => (made = undefined));
    }
    return made.value;
  };
}
