import { sqlState } from "../db.ts";
import { Problem } from "../problem.ts";

/**
 * Waits for a write to a table whose names are unique in an account. @throws Problem `conflict` that tells that the
 * name is that of another `noun`
 */
export async function unlessTaken(noun: string, write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (sqlState(error) !== "23505") throw error;
    const message = `is the name of another ${noun}; choose another one`;
    throw new Problem("conflict", `name: ${message}`, { errors: { name: [message] } });
  }
}
