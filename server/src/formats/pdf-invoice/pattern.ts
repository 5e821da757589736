import type { Budget } from "./budget.ts";

/**
 * Regular expressions of users, matched in time that grows with pattern × text: no pattern can make the server slow.
 * The matcher follows all ways through the pattern at once (Thompson's construction, with the priorities of
 * JavaScript), instead of trying one after the other. It knows literals, `.`, classes such as `[0-9a-f]` and
 * `[^,]`, `\d \w \s` and their capital forms, `^ $`, alternatives, groups (plain, `(?:…)`, `(?<name>…)`), and the
 * quantifiers `* + ? {n} {n,} {n,m}`, each also lazy. It knows no references back and no looking around.
 */

/** A pattern that cannot be used; the message says why and where. */
export class PatternError extends Error {}

type Test = (code: number) => boolean;

type Step =
  | { do: "sign"; test: Test }
  | { do: "start" | "end" | "done" }
  | { do: "save"; slot: number }
  /** Goes on at each place, the first preferred. */
  | { do: "split"; to: [number, number] }
  | { do: "jump"; to: number };

type Node =
  | { is: "sign"; test: Test }
  | { is: "start" | "end" }
  | { is: "group"; slot: number | undefined; inner: Node }
  | { is: "all" | "either"; parts: Node[] }
  | { is: "repeat"; inner: Node; min: number; max: number; lazy: boolean };

const patternLengthMax = 200;
const stepsMax = 1_000;
const countMax = 100;
const depthMax = 20;
/** Longer texts match nothing: no line of an invoice is as long. */
const textLengthMax = 1_000;

/** A pattern ready to be matched. */
export class Pattern {
  readonly source: string;
  readonly names: readonly string[];
  readonly #steps: readonly Step[];

  /** @throws PatternError */
  constructor(source: string) {
    if (source.length > patternLengthMax) {
      throw new PatternError(`has ${source.length} signs, more than ${patternLengthMax}`);
    }
    const parsed = new Parser(source).parse();
    this.source = source;
    this.names = parsed.names;
    const program = new Program();
    program.add(parsed.node);
    program.steps.push({ do: "done" });
    this.#steps = program.steps;
  }

  /**
   * The named groups of the first match in the text; `undefined` when nothing matches. A group that took no part
   * is left out. `""` names the whole match.
   */
  match(text: string, budget: Budget): Record<string, string> | undefined {
    if (text.length > textLengthMax) return undefined;
    budget.spend(text.length * this.#steps.length);
    const slots = this.#run(text);
    if (slots === undefined) return undefined;
    const found: Record<string, string> = { "": text.slice(slots[0], slots[1]) };
    this.names.forEach((name, i) => {
      const from = slots[2 + 2 * i];
      const to = slots[3 + 2 * i];
      if (from !== undefined && to !== undefined) found[name] = text.slice(from, to);
    });
    return found;
  }

  #run(text: string): (number | undefined)[] | undefined {
    let threads: Thread[] = [];
    let matched: (number | undefined)[] | undefined;
    for (let at = 0; at <= text.length; at++) {
      const seen = new Set<number>();
      const here: Thread[] = [];
      for (const { pc, slots } of threads) this.#follow({ pc, slots }, { at, text, seen, here });
      // A match that began earlier is preferred.
      if (matched === undefined) this.#follow({ pc: 0, slots: [at] }, { at, text, seen, here });
      threads = [];
      for (const { pc, slots } of here) {
        const step = this.#steps[pc]!;
        if (step.do === "done") {
          matched = slots.with(1, at);
          break;
        }
        if (step.do === "sign" && at < text.length && step.test(text.charCodeAt(at))) {
          threads.push({ pc: pc + 1, slots });
        }
      }
      if (matched !== undefined && threads.length === 0) break;
    }
    return matched;
  }

  /** All steps that need a sign or end, reached from here without one, in the order of preference. */
  #follow(
    from: Thread,
    { at, text, seen, here }: { at: number; text: string; seen: Set<number>; here: Thread[] },
  ): void {
    const waiting = [from];
    for (let thread = waiting.pop(); thread !== undefined; thread = waiting.pop()) {
      const { pc, slots } = thread;
      if (seen.has(pc)) continue;
      seen.add(pc);
      const step = this.#steps[pc]!;
      if (step.do === "jump") waiting.push({ pc: step.to, slots });
      else if (step.do === "split") {
        waiting.push({ pc: step.to[1], slots }, { pc: step.to[0], slots });
      } else if (step.do === "save") {
        const saved = [...slots];
        saved[step.slot] = at;
        waiting.push({ pc: pc + 1, slots: saved });
      } else if (step.do === "start" || step.do === "end") {
        if (at === (step.do === "start" ? 0 : text.length)) waiting.push({ pc: pc + 1, slots });
      } else here.push(thread);
    }
  }
}

interface Thread {
  pc: number;
  /** Begin and end of the whole match, then of each named group. */
  slots: (number | undefined)[];
}

class Program {
  readonly steps: Step[] = [];

  add(node: Node): void {
    if (this.steps.length > stepsMax) {
      throw new PatternError("repeats too much: use smaller numbers in { }");
    }
    switch (node.is) {
      case "sign":
        this.steps.push({ do: "sign", test: node.test });
        break;
      case "start":
      case "end":
        this.steps.push({ do: node.is });
        break;
      case "group":
        if (node.slot !== undefined) this.steps.push({ do: "save", slot: 2 + 2 * node.slot });
        this.add(node.inner);
        if (node.slot !== undefined) this.steps.push({ do: "save", slot: 3 + 2 * node.slot });
        break;
      case "all":
        for (const part of node.parts) this.add(part);
        break;
      case "either":
        this.#either(node.parts);
        break;
      case "repeat":
        this.#repeat(node);
    }
  }

  #either(parts: readonly Node[]): void {
    const ends: number[] = [];
    parts.forEach((part, i) => {
      if (i === parts.length - 1) {
        this.add(part);
        return;
      }
      const split = this.steps.push({ do: "split", to: [0, 0] }) - 1;
      this.add(part);
      ends.push(this.steps.push({ do: "jump", to: 0 }) - 1);
      this.steps[split] = { do: "split", to: [split + 1, this.steps.length] };
    });
    for (const end of ends) this.steps[end] = { do: "jump", to: this.steps.length };
  }

  #repeat({ inner, min, max, lazy }: Node & { is: "repeat" }): void {
    for (let i = 0; i < min; i++) this.add(inner);
    const splits: number[] = [];
    const split = (): void => {
      splits.push(this.steps.push({ do: "split", to: [0, 0] }) - 1);
    };
    if (max === Number.POSITIVE_INFINITY) {
      const again = this.steps.length;
      split();
      this.add(inner);
      this.steps.push({ do: "jump", to: again });
    } else {
      for (let i = min; i < max; i++) {
        split();
        this.add(inner);
      }
    }
    const after = this.steps.length;
    for (const at of splits) {
      this.steps[at] = { do: "split", to: lazy ? [after, at + 1] : [at + 1, after] };
    }
  }
}

const inRange =
  (from: number, to: number): Test =>
  (code) =>
    code >= from && code <= to;
const isDigit: Test = inRange(48, 57);
const isWord: Test = (code) => /[\p{L}\p{N}_]/u.test(String.fromCharCode(code));
const isBlank: Test = (code) => /\s/.test(String.fromCharCode(code));
const not =
  (test: Test): Test =>
  (code) =>
    !test(code);

const escapes: Readonly<Record<string, Test>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isBlank,
  S: not(isBlank),
};

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  readonly #names: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  parse(): { node: Node; names: string[] } {
    const node = this.#either();
    if (this.#at < this.#text.length) throw this.#error(`the "${this.#text[this.#at]}" closes nothing`);
    return { node, names: this.#names };
  }

  #error(message: string): PatternError {
    return new PatternError(`at sign ${this.#at + 1}: ${message}`);
  }

  #takes(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #either(): Node {
    const parts = [this.#all()];
    while (this.#takes("|")) parts.push(this.#all());
    return parts.length === 1 ? parts[0]! : { is: "either", parts };
  }

  #all(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#text[this.#at]!))
      parts.push(this.#repeated());
    return { is: "all", parts };
  }

  #repeated(): Node {
    const inner = this.#one();
    const count = this.#count();
    if (count === undefined) return inner;
    if (inner.is === "start" || inner.is === "end") throw this.#error("^ and $ cannot be repeated");
    const lazy = this.#takes("?");
    const next = this.#text[this.#at];
    if (next !== undefined && "*+?{".includes(next)) {
      throw this.#error(`"${next}" repeats what is repeated already`);
    }
    if (mayBeEmpty(inner)) throw this.#error("what is repeated must not match an empty text");
    return { is: "repeat", inner, ...count, lazy };
  }

  #count(): { min: number; max: number } | undefined {
    if (this.#takes("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#takes("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#takes("?")) return { min: 0, max: 1 };
    if (this.#text[this.#at] !== "{") return undefined;
    const told = /^\{(\d{1,6})(,(\d{1,6})?)?\}/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (told === null) throw this.#error('write "{" as "\\{", or a number as in {2}, {2,} or {2,4}');
    const min = Number(told[1]);
    const max =
      told[2] === undefined ? min : told[3] === undefined ? Number.POSITIVE_INFINITY : Number(told[3]);
    if (max < min) throw this.#error("the second number in { } is smaller than the first");
    if (min > countMax || (max > countMax && max !== Number.POSITIVE_INFINITY)) {
      throw this.#error(`numbers in { } go up to ${countMax}`);
    }
    this.#at += told[0].length;
    return { min, max };
  }

  #one(): Node {
    if (this.#takes("^")) return { is: "start" };
    if (this.#takes("$")) return { is: "end" };
    if (this.#takes(".")) return { is: "sign", test: not((code) => code === 10 || code === 13) };
    if (this.#takes("(")) return this.#group();
    if (this.#takes("[")) return { is: "sign", test: this.#class() };
    if (this.#takes("\\")) return { is: "sign", test: this.#escape() };
    const sign = this.#text[this.#at]!;
    if ("*+?{".includes(sign)) throw this.#error(`there is nothing to repeat before "${sign}"`);
    if ("]}".includes(sign)) throw this.#error(`write "${sign}" as "\\${sign}"`);
    this.#at += 1;
    return literal(sign);
  }

  #group(): Node {
    this.#depth += 1;
    if (this.#depth > depthMax) throw this.#error(`groups lie deeper than ${depthMax}`);
    let slot: number | undefined;
    if (this.#takes("?<")) {
      const name = /^[A-Za-z][A-Za-z0-9_]{0,40}>/.exec(this.#text.slice(this.#at, this.#at + 42));
      if (name === null) throw this.#error("a group's name has letters and digits, as in (?<value>…)");
      this.#at += name[0].length;
      const told = name[0].slice(0, -1);
      if (this.#names.includes(told)) throw this.#error(`the group ${told} is there twice`);
      slot = this.#names.push(told) - 1;
    } else if (this.#text[this.#at] === "?" && !this.#takes("?:")) {
      throw this.#error("looking around is not possible: only (…), (?:…) and (?<name>…)");
    }
    const inner = this.#either();
    if (!this.#takes(")")) throw this.#error('a ")" is missing');
    this.#depth -= 1;
    return { is: "group", slot, inner };
  }

  #escape(): Test {
    const sign = this.#text[this.#at];
    if (sign === undefined) throw this.#error('nothing follows the last "\\"');
    this.#at += 1;
    if (Object.hasOwn(escapes, sign)) return escapes[sign]!;
    if (/[A-Za-z0-9]/.test(sign)) {
      throw this.#error(`"\\${sign}" is not known: there are \\d \\w \\s \\D \\W \\S and escaped signs`);
    }
    return inRange(sign.charCodeAt(0), sign.charCodeAt(0));
  }

  #class(): Test {
    const isNot = this.#takes("^");
    const tests: Test[] = [];
    while (!this.#takes("]")) {
      if (this.#at >= this.#text.length) throw this.#error('a "]" is missing');
      const from = this.#classSign();
      if (typeof from === "number" && this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at += 1;
        const to = this.#classSign();
        if (typeof to !== "number" || to < from) throw this.#error("the range ends before it begins");
        tests.push(inRange(from, to));
      } else tests.push(typeof from === "number" ? inRange(from, from) : from);
    }
    const any: Test = (code) => tests.some((test) => test(code));
    return isNot ? not(any) : any;
  }

  #classSign(): number | Test {
    if (this.#takes("\\")) {
      const sign = this.#text[this.#at] ?? "";
      const test = this.#escape();
      return /[A-Za-z]/.test(sign) ? test : sign.charCodeAt(0);
    }
    const sign = this.#text[this.#at];
    if (sign === undefined) throw this.#error('a "]" is missing');
    this.#at += 1;
    return sign.charCodeAt(0);
  }
}

function literal(sign: string): Node {
  return { is: "sign", test: inRange(sign.charCodeAt(0), sign.charCodeAt(0)) };
}

function mayBeEmpty(node: Node): boolean {
  switch (node.is) {
    case "sign":
      return false;
    case "start":
    case "end":
      return true;
    case "group":
      return mayBeEmpty(node.inner);
    case "all":
      return node.parts.every(mayBeEmpty);
    case "either":
      return node.parts.some(mayBeEmpty);
    case "repeat":
      return node.min === 0 || mayBeEmpty(node.inner);
  }
}
