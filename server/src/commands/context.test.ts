import { expect, test } from "vitest";
import { printable } from "./context.ts";

test("what a stranger has written gives a terminal no orders", () => {
  const page = "<p>\u001b]0;owned\u0007 \u009b2J\r hidden</p>\n\tåäö";
  expect(printable(page)).toBe("<p>\ufffd]0;owned\ufffd \ufffd2J\ufffd hidden</p>\n\tåäö");
});
