import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type Answer, type TestApi, testApi, testClock } from "../../../test/harness/api.ts";
import { type FormPart, formOf } from "../../../test/harness/form.ts";
import { authenticate } from "../accounts/accounts.ts";
import { accountEndpoints } from "../accounts/api.ts";
import { meterEndpoints } from "../meters/api.ts";
import type { Settings } from "../platform/deps.ts";
import { seriesEndpoints } from "../series/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { importEndpoints } from "./api.ts";
import { importJobs } from "./imports.ts";

/** The API of imports over a database and a folder of its own. */
export interface ImportWorld {
  api: TestApi;
  /** Folder of the server's data. */
  dataDir: string;
  owner: TestAccount;
  /** Another account that has nothing to do with the owner. */
  stranger: TestAccount;
  /** Uploads; nothing is read yet. */
  upload(parts: readonly FormPart[], token?: string): Promise<Answer>;
  /** Uploads, and does the jobs; answers the import afterwards. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  settle(parts: readonly FormPart[], token?: string): Promise<any>;
  /** Does the jobs that wait, and those that they send. */
  work(): Promise<void>;
  get(path: string, token?: string): Promise<Answer>;
  close(): Promise<void>;
}

/** Opens one. Call it in `beforeAll`, and `close` in `afterAll`. */
export async function importWorld(settings: Partial<Settings> = {}): Promise<ImportWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-imports-"));
  const api = await testApi({
    endpoints: [
      ...accountEndpoints,
      ...meterEndpoints,
      ...treeEndpoints,
      ...seriesEndpoints,
      ...importEndpoints,
    ],
    authenticate,
    clock: testClock(Date.UTC(2026, 0, 15, 12)),
    settings: { dataDir, ...settings },
  });
  const [owner, stranger] = [await newAccount(api.deps), await newAccount(api.deps)];
  const upload: ImportWorld["upload"] = (parts, token = owner.token) =>
    api.call("POST", "/imports", { token, ...formOf(parts) });
  const work = async () => {
    for (let job = api.sentJobs.shift(); job !== undefined; job = api.sentJobs.shift()) {
      const kind = importJobs.find(({ name }) => name === job!.name);
      await kind?.run(job.data, api.deps, new AbortController().signal);
    }
  };
  return {
    api,
    dataDir,
    owner,
    stranger,
    upload,
    work,
    async settle(parts, token = owner.token) {
      const answer = await upload(parts, token);
      if (answer.status !== 200) throw new Error(`the upload was answered ${answer.status}: ${answer.text}`);
      await work();
      return (await api.call("GET", `/imports/${answer.json.data._id}`, { token })).json.data;
    },
    get: (path, token = owner.token) => api.call("GET", path, { token }),
    async close() {
      await api.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
