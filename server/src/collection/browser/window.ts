import { readFile, stat } from "node:fs/promises";
import type { CDPSession, Download, Frame, Locator, Page, Request, Response } from "playwright-core";
import { BrowserFault } from "./fault.ts";
import type { Exchanged, Seen, Wait } from "./protocol.ts";

/** Requests of these kinds are told; pictures, styles and scripts are not. */
const told = new Set(["document", "xhr", "fetch"]);
/** Something that scripts add to a page is waited for so long before it counts as missing. */
const elementMs = 5_000;
/** A file that the browser has announced is there after so long, or never. */
const fileMs = 60_000;

/** How it was before a step. */
interface Before {
  wait: Wait;
  isAnswered: boolean;
  errorPages: number;
}

/** The one window of a browser: what a person does with it, and what comes to be seen. */
export class Window {
  readonly #page: Page;
  readonly #devtools: CDPSession;
  /** The last answer that was meant for the window itself: a page, or a file. */
  #answer: Response | undefined;
  /** That of the page that is shown. */
  #shownAnswer: Response | undefined;
  /** The request for the next page or file, as long as it has no answer. */
  #waitingFor: Request | undefined;
  /** How often the browser has shown its own page about a failure. */
  #errorPages = 0;
  /** Takes the file that comes; nobody has asked for others. */
  #downloaded: ((download: Download) => void) | undefined;

  constructor(page: Page, devtools: CDPSession, exchanged: (exchange: Exchanged) => void) {
    this.#page = page;
    this.#devtools = devtools;
    page.on("request", (request) => {
      if (this.#isForWindow(request)) this.#waitingFor = request;
    });
    page.on("response", (response) => {
      if (!this.#isForWindow(response.request())) return;
      this.#answer = response;
      this.#waitingFor = undefined;
    });
    const tell = (request: Request) => {
      if (told.has(request.resourceType())) exchanged(exchangeOf(request));
    };
    page.on("requestfinished", tell).on("requestfailed", tell);
    page.on("download", (download) => {
      if (this.#downloaded === undefined) void download.cancel().catch(() => undefined);
      else this.#downloaded(download);
    });
    page.on("framenavigated", (frame) => {
      if (this.#isErrorPage(frame)) this.#errorPages++;
    });
    // Nobody answers what a page asks, and it must not wait for that.
    page.on("dialog", (dialog) => void dialog.dismiss().catch(() => undefined));
  }

  #isForWindow(request: Request): boolean {
    return request.isNavigationRequest() && request.frame() === this.#page.mainFrame();
  }

  #isErrorPage(frame: Frame): boolean {
    return frame === this.#page.mainFrame() && frame.url().startsWith("chrome-error:");
  }

  /** Opens an address. */
  open(url: string, wait: Wait): Promise<Seen> {
    return this.#follow(wait, () => this.#page.goto(url, { waitUntil: "load", timeout: wait.timeoutMs }));
  }

  /** Presses what a selector finds. */
  async press(selector: string, wait: Wait): Promise<Seen> {
    const element = await this.#one(selector);
    const timeout = wait.timeoutMs;
    return this.#follow(wait, async () => {
      // With something to wait for there need not be another page.
      const next =
        wait.until === undefined
          ? this.#page.waitForNavigation({ waitUntil: "load", timeout })
          : Promise.resolve();
      next.catch(() => undefined);
      await element.click({ timeout, noWaitAfter: true });
      await next;
    });
  }

  /** Writes into the field that a selector finds. */
  async fill(selector: string, value: string, timeoutMs: number): Promise<void> {
    const element = await this.#one(selector);
    await element.fill(value, { timeout: timeoutMs }).catch(async (error: unknown) => {
      throw await this.#missing(`${selector} cannot be filled in: ${firstLine(error)}`);
    });
  }

  /** Values of all cookies. */
  async secrets(): Promise<string[]> {
    return (await this.#page.context().cookies()).map(({ value }) => value);
  }

  /** Cookies that would be sent to an address, by name. */
  async cookies(url: string): Promise<Record<string, string>> {
    const cookies = await this.#page.context().cookies(url);
    return Object.fromEntries(cookies.map(({ name, value }) => [name, value]));
  }

  async setCookie(cookie: { name: string; value: string; url: string }): Promise<void> {
    const { name, value, url } = cookie;
    await this.#page.context().addCookies([{ name, value, url }]);
  }

  /** What comes after `act`: a file, the next page, or something that is shown. */
  async #follow(wait: Wait, act: () => Promise<unknown>): Promise<Seen> {
    this.#waitingFor = undefined;
    const before = this.#answer;
    const errorPages = this.#errorPages;
    const file = new Promise<Seen>((resolve, reject) => {
      this.#downloaded = (download) => this.#file(download, wait).then(resolve, reject);
    });
    const page = act().then(
      async () => {
        if (wait.until !== undefined) await this.#shown(wait.until, wait.timeoutMs);
        return this.#shownPage(wait);
      },
      async (error: unknown) => {
        // The window stays where it was when a file comes instead of a page.
        if (/Download is starting|ERR_ABORTED/.test(firstLine(error)))
          await this.#page.waitForTimeout(fileMs);
        return this.#after(error, { wait, isAnswered: this.#answer !== before, errorPages });
      },
    );
    try {
      return await Promise.race([file, page]);
    } finally {
      this.#downloaded = undefined;
    }
  }

  /** What is made of a step that did not come to its end. */
  async #after(error: unknown, { wait, isAnswered, errorPages }: Before): Promise<Seen> {
    const message = firstLine(error);
    // An answer without a body, which the browser has a page of its own for.
    if (message.includes("ERR_HTTP_RESPONSE_CODE_FAILURE") && isAnswered) {
      return this.#seen(this.#answer!, Buffer.alloc(0), wait);
    }
    const url = this.#waitingFor?.url() ?? this.#page.url();
    if (message.includes("net::ERR_")) {
      // The browser's own page about it comes now; later it would break into the next step.
      if (this.#errorPages === errorPages) await this.#nextErrorPage();
      throw new BrowserFault("network", message, { url });
    }
    if (!isTimeout(error)) throw error;
    if (isAnswered || this.#waitingFor !== undefined) {
      // What comes after all would be taken for the answer to the next step.
      await this.#devtools.send("Page.stopLoading");
      throw new BrowserFault("slow", message, { url });
    }
    throw await this.#missing(`nothing follows: ${message}`);
  }

  async #nextErrorPage(): Promise<void> {
    const predicate = (frame: Frame) => this.#isErrorPage(frame);
    await this.#page.waitForEvent("framenavigated", { predicate, timeout: elementMs }).catch(() => undefined);
  }

  async #shown(selector: string, timeoutMs: number): Promise<void> {
    const element = this.#page.locator(selector).first();
    await element.waitFor({ state: "visible", timeout: timeoutMs }).catch(async () => {
      throw await this.#missing(`${selector} is not shown`);
    });
  }

  /** The element that a selector finds: exactly one. */
  async #one(selector: string): Promise<Locator> {
    const element = this.#page.locator(selector);
    await element
      .first()
      .waitFor({ state: "attached", timeout: elementMs })
      .catch(() => undefined);
    const count = await element.count();
    if (count === 1) return element;
    throw await this.#missing(`${selector} is there ${count} times`);
  }

  async #missing(message: string): Promise<BrowserFault> {
    return new BrowserFault("missing", message, { url: this.#page.url(), html: await this.#html() });
  }

  /** The elements as they are now. A page that is just left is read when the next one stands. */
  async #html(): Promise<string> {
    try {
      return await this.#page.content();
    } catch {
      await this.#page.waitForLoadState("load", { timeout: elementMs });
      return this.#page.content();
    }
  }

  async #shownPage(wait: Wait): Promise<Seen> {
    const answer = this.#answer;
    this.#shownAnswer = answer;
    if (answer === undefined) throw new BrowserFault("network", "no answer", { url: this.#page.url() });
    const isPage = /^(text\/html|application\/xhtml\+xml)/i.test(
      answer.headers()["content-type"] ?? "text/html",
    );
    const body = isPage ? Buffer.from(await this.#html()) : await answer.body();
    return { ...this.#seen(answer, body, wait), url: this.#page.url() };
  }

  async #file(download: Download, wait: Wait): Promise<Seen> {
    const url = download.url();
    const path = await download.path().catch((error: unknown) => {
      throw new BrowserFault("network", `the file broke off: ${firstLine(error)}`, { url });
    });
    const { size } = await stat(path);
    if (size > wait.bytesMax) throw tooLarge(size, wait);
    const body = await readFile(path);
    await download.delete();
    const answer = this.#answer;
    if (answer?.url() === url) {
      this.#answer = this.#shownAnswer;
      return this.#seen(answer, body, wait);
    }
    // Made by a script.
    const name = download.suggestedFilename().replace(/[^\w.-]/g, "_");
    const headers = { "content-disposition": `attachment; filename="${name}"` };
    return { url, status: 200, headers, body: body.toString("base64") };
  }

  #seen(answer: Response, body: Buffer, wait: Wait): Seen {
    if (body.length > wait.bytesMax) throw tooLarge(body.length, wait);
    const headers = answer.headers();
    return { url: answer.url(), status: answer.status(), headers, body: body.toString("base64") };
  }
}

const tooLarge = (bytes: number, { bytesMax }: Wait) =>
  new BrowserFault("too_large", `${bytes} bytes are more than ${bytesMax}`);

function exchangeOf(request: Request): Exchanged {
  const response = request.existingResponse();
  return {
    method: request.method(),
    url: request.url(),
    status: response?.status() ?? null,
    ms: Math.max(0, Math.round(request.timing().responseEnd)),
    bytes: Number(response?.headers()["content-length"]) || 0,
  };
}

const isTimeout = (error: unknown) => error instanceof Error && error.name === "TimeoutError";
const firstLine = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
