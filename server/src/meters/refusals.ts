import { type FieldErrors, Problem } from "../platform/problem.ts";

/** Gathers what is wrong with the entries of a list. What hides most goes first: 404, then 403, then 400. */
export class Refusals {
  #errors: FieldErrors = {};
  #codes = new Set<"not_found" | "forbidden" | "invalid">();

  add(code: "not_found" | "forbidden" | "invalid", field: string, message: string): void {
    this.#codes.add(code);
    (this.#errors[field] ??= []).push(message);
  }

  throwIfAny(): void {
    const code = (["not_found", "forbidden", "invalid"] as const).find((one) => this.#codes.has(one));
    if (code === undefined) return;
    const [field, messages] = Object.entries(this.#errors)[0]!;
    const message = code === "not_found" ? "Resource not found" : `${field}: ${messages[0]}`;
    throw new Problem(code, message, { errors: this.#errors });
  }
}
