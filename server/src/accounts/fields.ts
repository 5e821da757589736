import { z } from "zod";
import { boolean } from "../platform/http/schema.ts";
import { isZone } from "../platform/time/zone.ts";
import { entityTypes } from "./account.ts";

const controlCharacters = /[\u0000-\u001f\u007f]/;
const noControls = [
  (text: string) => !controlCharacters.test(text),
  "must not contain line breaks or other control characters",
] as const;

/** A name, given by people: trimmed, one line. */
export const nameText = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .refine(...noControls);

/** Text that may be absent; forms send an empty one for that. */
const optionalText = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine(...noControls)
    .nullable()
    .transform((text) => (text === "" ? null : text));

/** `somebody@somewhere`; more is known only when a mail arrives. 254 is the longest that mail can carry. */
export const emailText = z.string().trim().max(254).refine(isEmail, "must be an e-mail address");

/** An e-mail address, or null for nobody who logs in. */
const usernameText = z
  .string()
  .trim()
  .max(254)
  .nullable()
  .transform((text) => (text === "" ? null : text))
  .refine((text) => text === null || isEmail(text), "must be an e-mail address, or null");

function isEmail(text: string): boolean {
  const at = text.lastIndexOf("@");
  return at > 0 && at < text.length - 1 && !/[\s\u0000-\u001f\u007f]/.test(text);
}

const languageNames = new Intl.DisplayNames("en", { type: "language", fallback: "none" });
const currencies = new Set(Intl.supportedValuesOf("currency"));

function isLanguage(text: string): boolean {
  return /^[a-z]{2,3}$/.test(text) && languageNames.of(text) !== undefined;
}

/** `sv-SE`; `sv_SE` means the same. */
function isLocale(text: string | null): boolean {
  return (
    text === null ||
    (/^[a-z]{2,3}-([A-Z][a-z]{3}-)?[A-Z]{2}$/.test(text) && isLanguage(text.split("-", 1)[0]!))
  );
}

/** What may be written of an account. Everything else in a body is not read: views can be sent back as they are. */
const members = {
  name: nameText,
  username: usernameText,
  custom_identifier: optionalText(200),
  locale_string: optionalText(35)
    .transform((text) => text?.replaceAll("_", "-") ?? null)
    .refine(isLocale, "must be a language and a country, such as sv-SE"),
  language: z.string().max(8).refine(isLanguage, "must be the two letters of a language, such as sv"),
  is_organization: boolean(),
  entity_type: z.enum(entityTypes).nullable(),
  timezone: z
    .string()
    .max(64)
    .refine(isZone, "must be a time zone of the IANA database, such as Europe/Stockholm"),
  currency: z
    .string()
    .max(3)
    .refine(
      (text) => currencies.has(text),
      "must be the three letters of a currency (ISO 4217), such as SEK",
    ),
};

/** Body of `PUT`: what is absent stays. */
export const accountChange = z.object(members).partial();
/** Body of `POST`. */
export const accountCreation = accountChange.required({ name: true });
export type AccountChange = z.output<typeof accountChange>;

/** A reference to an account, as answers carry it. */
export const accountRefView = z.object({
  _id: z.string(),
  name: z.string(),
  username: z.string().nullable(),
});
