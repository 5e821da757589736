import { z } from "zod";
import { line, optional, secret, titled } from "../../collection/connector.ts";
import type { OAuthClient } from "../oauth.ts";

const address = () =>
  z
    .url({ protocol: /^https?$/, error: "must be an address such as https://example.com/DataCustodian" })
    .transform((url) => url.replace(/\/+$/, ""));

const zone = line(100).refine(
  (name) => Intl.supportedValuesOf("timeZone").includes(name),
  "must be an IANA time zone such as America/New_York",
);

/** What an operator sets up for a custodian: a utility, or who holds its data. */
export const custodianSchema = z.object({
  authorization_endpoint: titled(
    address(),
    { en: "Where customers give consent", sv: "Där kunder ger sitt medgivande" },
    {
      en: "UtilityAPI: https://utilityapi.com/DataCustodian/UTILITY/oauth/authorize",
      sv: "UtilityAPI: https://utilityapi.com/DataCustodian/UTILITY/oauth/authorize",
    },
  ),
  token_endpoint: titled(
    address(),
    { en: "Where tokens are made", sv: "Där nycklar skapas" },
    {
      en: "Such as https://utilityapi.com/DataCustodian/oauth/token",
      sv: "Till exempel https://utilityapi.com/DataCustodian/oauth/token",
    },
  ),
  resource_endpoint: titled(
    address(),
    { en: "Where data are", sv: "Där data finns" },
    {
      en: "Such as https://utilityapi.com/DataCustodian/espi/1_1/resource. Tokens are sent to this host alone.",
      sv: "Till exempel https://utilityapi.com/DataCustodian/espi/1_1/resource. Nycklar skickas bara till denna värd.",
    },
  ),
  client_id: titled(line(500), { en: "Our name there", sv: "Vårt namn där" }),
  client_secret: titled(secret(), { en: "Our secret there", sv: "Vår hemlighet där" }),
  timezone: titled(
    zone,
    { en: "Zone of its days", sv: "Tidszon för dess dygn" },
    { en: "America/New_York", sv: "America/New_York" },
  ),
  scope: titled(
    optional(line(2_000)),
    { en: "Scope", sv: "Omfattning (scope)" },
    { en: "As it was agreed at the registration: FB=4_5_15", sv: "Enligt registreringen: FB=4_5_15" },
  ),
  published: titled(
    z.enum(["values", "entries"]).default("values"),
    { en: "What published-min and -max are about", sv: "Vad published-min och -max avser" },
    {
      en: "values: the time of the values (most custodians). entries: when the custodian published them, as the standard says.",
      sv: "values: värdenas tid (de flesta). entries: när de publicerades, som standarden säger.",
    },
  ),
  pkce: titled(
    z.boolean().default(true),
    { en: "PKCE", sv: "PKCE" },
    { en: "false for a server that refuses it", sv: "false för en server som inte tillåter det" },
  ),
});
export type Custodian = z.output<typeof custodianSchema>;

/** The authorization server of a custodian. */
export function clientOf(custodian: Custodian): OAuthClient {
  const { authorization_endpoint, token_endpoint, client_id, client_secret, pkce } = custodian;
  return {
    authorizationEndpoint: authorization_endpoint,
    tokenEndpoint: token_endpoint,
    id: client_id,
    secret: client_secret,
    hasPkce: pkce,
  };
}
