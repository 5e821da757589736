import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { treeEndpoints } from "../trees/api.ts";
import { collectionEndpoints } from "./api.ts";
import { eventKinds } from "./meter-event.ts";
import { conditionFields } from "./rule.ts";

const page = readFileSync(new URL("../../../docs/inbox.md", import.meta.url), "utf8");
const endpoints = [...treeEndpoints, ...collectionEndpoints([])];
const requests = [...page.matchAll(/```text\n(GET|POST|PUT) \/api\/v2(\S+)\n([\s\S]*?)```/g)];

test.for(requests.map(([, method, path, body]) => [method!, path!, body!] as const))(
  "the request %s %s of the page is one that the API takes",
  ([method, path, body]) => {
    const shape = path.replace("/me/", "/:id/");
    const endpoint = endpoints.find((one) => one.method === method && one.path === shape);
    const sent = JSON.parse(body.replaceAll("…", "0".repeat(24)));
    expect(endpoint?.body.safeParse(sent)).toMatchObject({ success: true });
  },
);

test("the page has requests, and names every condition and kind of event", () => {
  expect(requests.length).toBeGreaterThan(2);
  for (const name of [...Object.keys(conditionFields.shape), ...eventKinds])
    expect(page).toContain(`\`${name}\``);
});
