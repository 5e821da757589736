import type { Command } from "commander";
import { rotateMaster } from "../platform/secrets.ts";
import { adminCommand } from "./context.ts";

/** `metertree keys …`: the keys that secrets are encrypted with. */
export function registerKeys(program: Command): void {
  const keys = program.command("keys").description("keys that secrets in the database are encrypted with");
  const rotate = keys
    .command("rotate")
    .description("begin to use a new key, beside a running server; an interrupted rotation goes on");
  adminCommand(rotate, async ({ db, clock, keySource }) => {
    const { masterId, wrapped } = await rotateMaster({ db, clock, source: keySource });
    const where = "file" in keySource ? ` Back up ${keySource.file} again.` : "";
    return {
      json: { key: masterId, accounts: wrapped, file: "file" in keySource ? keySource.file : null },
      text: `Key ${masterId} is in use; the keys of ${wrapped} accounts are under it now.${where}`,
    };
  });
}
