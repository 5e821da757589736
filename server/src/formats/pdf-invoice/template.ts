import { z } from "zod";
import { DatePattern } from "../mapper/date-pattern.ts";
import { Pattern, PatternError } from "./pattern.ts";

/** Words as a document prints them; capitals and blanks do not matter when they are looked for. */
const words = z.string().trim().min(1).max(200);
const oneOrMore = z.union([words, z.array(words).min(1).max(20)]);
const points = z.tuple([z.number().min(0).max(20_000), z.number().min(0).max(20_000)]);

const pattern = z.string().superRefine((text, context) => {
  try {
    const { names } = new Pattern(text);
    if (!names.includes("value")) {
      context.addIssue({ code: "custom", message: "needs a group that marks what is taken: (?<value>…)" });
    }
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    context.addIssue({ code: "custom", message: error.message });
  }
});

const datePattern = z
  .string()
  .max(64)
  .refine(
    (text) => {
      try {
        return !new DatePattern(text).hasTime;
      } catch {
        return false;
      }
    },
    { error: "is no pattern of a day or month, as in dd.MM.yyyy, d MMMM yyyy or MMMM yyyy" },
  );

const placedField = z
  .strictObject({
    /** Words that stand before or above what is looked for; several are alternatives. */
    label: oneOrMore.optional(),
    place: z.enum(["right", "below"]).optional(),
    /** Takes a part of what is found, or, without a label, of a line. */
    match: pattern.optional(),
    /** A page's number, or the first or last one; every page unless stated. */
    page: z.union([z.int().min(1).max(200), z.enum(["first", "last"])]).optional(),
    /** Where on the page the label stands, or without one the text itself, in points from the upper left corner. */
    zone: z.strictObject({ x: points.optional(), y: points.optional() }).optional(),
    /** What the document does not print: always this. */
    value: words.optional(),
    /** Turns the sign of an amount: `1.200,00 paid` that is printed as `-1.200,00`. */
    negate: z.boolean().optional(),
    optional: z.boolean().optional(),
  })
  .superRefine(({ label, place, match, value, ...rest }, context) => {
    const add = (message: string): void => context.addIssue({ code: "custom", message });
    if ([label, match, value, rest.zone].every((way) => way === undefined)) {
      add('needs a "label" (words beside it), a "match" (a pattern of its line), a "zone" or a "value"');
    }
    if (value !== undefined && (label !== undefined || match !== undefined)) {
      add('has a fixed "value": leave out "label" and "match"');
    }
    if (label === undefined && place !== undefined)
      add('has a "place", which needs a "label" that it refers to');
    if (value !== undefined && (rest.zone !== undefined || rest.page !== undefined)) {
      add('has a fixed "value": leave out "page" and "zone"');
    }
  });

/** A text is short for the label to the left of the field. */
const field = z.union([words.transform((label) => ({ label })), placedField]);
/** Several fields are added. */
const amountField = z.union([field, z.array(field).min(1).max(10)]);

const column = z.union([
  words.transform((header) => ({ header })),
  z
    .strictObject({
      /** Words above the column, all of them on one line with those of the other columns. */
      header: words.optional(),
      /** Where the column's texts stand in points from the left edge, when headers do not show it. */
      x: points.optional(),
      /** The edge at which texts and header stand; numbers stand to the right unless stated. */
      align: z.enum(["left", "right"]).optional(),
      /** What printed texts mean, as in { "A": "25" }. */
      words: z.record(z.string().max(200), z.string().max(200)).optional(),
      /** Takes a part of the cell. */
      match: pattern.optional(),
    })
    .superRefine(({ header, x }, context) => {
      if (header === undefined && x === undefined) {
        context.addIssue({
          code: "custom",
          message: 'needs a "header" (words above it) or an "x" (its place)',
        });
      }
    }),
]);

const columns = z
  .strictObject({
    description: column,
    code: column.optional(),
    meteringPoint: column.optional(),
    period: column.optional(),
    from: column.optional(),
    to: column.optional(),
    quantity: column.optional(),
    quantityUnit: column.optional(),
    price: column.optional(),
    priceUnit: column.optional(),
    vatRate: column.optional(),
    amount: column,
  })
  .superRefine((all, context) => {
    if ((all.from === undefined) !== (all.to === undefined)) {
      context.addIssue({ code: "custom", message: 'has only one of "from" and "to"' });
    }
    if (all.period !== undefined && all.from !== undefined) {
      context.addIssue({
        code: "custom",
        message: 'has a "period" beside "from" and "to": keep one of the two',
      });
    }
    if (
      Object.values(all).every((one) => one !== undefined && !("header" in one && one.header !== undefined))
    ) {
      context.addIssue({
        code: "custom",
        message: "needs at least one column with a header, where the table begins",
      });
    }
  });

const decimal = z.string().regex(/^-?\d{1,6}(\.\d{1,6})?$/, { error: 'is no decimal as in "25" or "25.5"' });

const table = z.strictObject({
  /** For messages. */
  name: words.optional(),
  /** Words at the beginning of a line above the header, where several tables have the same one. */
  after: oneOrMore.optional(),
  columns,
  /** Words at the beginning of the line that ends the table. */
  end: oneOrMore,
  /** The line that ends the table prints the sum of its amounts, which must be right. */
  sum: z.boolean().optional(),
  /** Lines that begin with these words are no rows. */
  skip: z.array(words).max(50).optional(),
  /** The table stands several times: one per metering point. */
  repeat: z.boolean().optional(),
  optional: z.boolean().optional(),
  /** Looked for above each header and between the rows; holds for the rows that follow. */
  section: z.strictObject({ meteringPoint: field.optional(), period: field.optional() }).optional(),
  /** What all rows of the table have and no column says. */
  all: z
    .strictObject({
      quantityUnit: words.optional(),
      priceUnit: words.optional(),
      vatRate: decimal.optional(),
      kind: z.enum(["item", "allowance", "charge"]).optional(),
      contract: z.enum(["grid", "retail"]).optional(),
    })
    .optional(),
});

/**
 * How a layout of invoices is read from the text of its PDFs. The manual page `docs/invoice-templates.md` describes
 * each key.
 */
export const templateSchema = z.strictObject({
  version: z.literal(1),
  /** Stable; shown as the format of invoices: `pdf-template:<name>`. */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,59}$/, { error: "has lower-case letters, digits and -, as in my-utility" }),
  title: z.string().min(1).max(200).optional(),
  /** Which documents it is for. */
  document: z.strictObject({
    /** Words that must all stand in it. */
    all: z.array(words).min(1).max(20),
    /** Words that must not. */
    none: z.array(words).max(20).optional(),
  }),
  currency: z.string().regex(/^[A-Z]{3}$/, { error: "is no code of a currency, as in SEK" }),
  numbers: z
    .strictObject({ decimal: z.enum([".", ","]), thousands: z.enum(["", ".", ",", " ", "'"]) })
    .refine(({ decimal: mark, thousands }) => mark !== thousands, {
      error: "have the same sign for decimals and thousands",
    }),
  /** Notations of days and months, tried in this order. */
  dates: z.array(datePattern).min(1).max(10),
  /** Does the last day of a printed period belong to it? */
  periodEnd: z.enum(["included", "excluded"]).optional(),
  /** Heights of further pages between which the rows of tables lie, in points from the upper edge. */
  body: z
    .strictObject({ top: z.number().min(0).optional(), bottom: z.number().min(1).optional() })
    .optional(),
  seller: z.strictObject({ name: field, id: field.optional() }),
  buyer: z.strictObject({ name: field, id: field.optional() }).optional(),
  fields: z.strictObject({
    number: field,
    issued: field,
    due: field.optional(),
    period: field.optional(),
    meteringPoint: field.optional(),
    /** Number of the earlier invoice that the document refers to. */
    replaces: field.optional(),
  }),
  /** Documents with one of these words are credit notes. */
  credit: z
    .strictObject({
      words: z.array(words).min(1).max(20),
      /** `true` when a credit note prints what it gives back without a sign. */
      negate: z.boolean().optional(),
    })
    .optional(),
  /** Documents with one of these words correct an earlier one. */
  correction: z.strictObject({ words: z.array(words).min(1).max(20) }).optional(),
  tables: z.array(table).min(1).max(20),
  totals: z.strictObject({
    net: amountField,
    vat: amountField,
    gross: amountField.optional(),
    prepaid: amountField.optional(),
    rounding: amountField.optional(),
    payable: amountField,
  }),
  /** What the document prints per rate of VAT. */
  vatGroups: z
    .array(z.strictObject({ rate: decimal.nullable(), net: field, vat: field }))
    .min(1)
    .max(10)
    .optional(),
});

/** How a layout of invoices is read, checked. */
export type Template = z.infer<typeof templateSchema>;
export type TemplateField = z.infer<typeof placedField>;
export type TemplateTable = z.infer<typeof table>;
export type TemplateColumns = z.infer<typeof columns>;
export type ColumnRole = keyof TemplateColumns;

/** A template that cannot be used; the message names the place in the JSON and the remedy, a line per mistake. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TemplateError";
  }
}

const templateBytesMax = 100_000;
const mistakesMax = 10;

/**
 * Checks a template: JSON as text or already parsed.
 * @throws TemplateError
 */
export function parseTemplate(told: unknown): Template {
  const parsed = templateSchema.safeParse(typeof told === "string" ? jsonOf(told) : told);
  if (parsed.success) return parsed.data;
  const mistakes = parsed.error.issues.flatMap((issue) => mistakesOf(issue, []));
  const more = mistakes.length - mistakesMax;
  const lines = [...new Set(mistakes)].slice(0, mistakesMax);
  if (more > 0) lines.push(`… and ${more} more`);
  throw new TemplateError(lines.join("\n"));
}

function jsonOf(text: string): unknown {
  if (text.length > templateBytesMax) {
    throw new TemplateError(`The template is longer than ${templateBytesMax / 1000} kB.`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TemplateError(`The template is no JSON: ${(error as Error).message}`);
  }
}

type Issue = z.core.$ZodIssue;

/** An alternative tells the mistakes of the form that was meant: the object, unless the value is none. */
function mistakesOf(issue: Issue, above: readonly PropertyKey[]): string[] {
  const path = [...above, ...issue.path];
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const depth = (errors: readonly Issue[]) => Math.max(...errors.map((one) => reachOf(one)));
    const meant = issue.errors.toSorted((one, two) => depth(two) - depth(one))[0]!;
    return meant.flatMap((one) => mistakesOf(one, path));
  }
  const place = path.length === 0 ? "the template" : pathText(path);
  if (issue.code === "invalid_type" && issue.message.includes("received undefined")) {
    return [`${place}: is missing`];
  }
  return [`${place}: ${issue.message}`];
}

/** How far into the value an alternative was followed before it failed. */
function reachOf(issue: Issue): number {
  const isWrongKind = issue.code === "invalid_type" && issue.path.length === 0;
  const inner = issue.code === "invalid_union" ? Math.max(0, ...issue.errors.flat().map(reachOf)) : 0;
  return (isWrongKind ? 0 : 1) + issue.path.length + inner;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => (typeof key === "number" ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`))
    .join("");
}
