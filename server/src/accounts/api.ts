import type { Endpoint } from "../platform/http/endpoint.ts";
import { accountEndpoints as accounts } from "./account-api.ts";
import { collaboratorEndpoints } from "./collaborator-api.ts";
import { invitationEndpoints } from "./invitation-api.ts";
import { sessionEndpoints } from "./session-api.ts";
import { tokenEndpoints } from "./token-api.ts";

/** Accounts, tokens, sessions, people. Deleting an account is the work of a later slice, which also knows its data. */
export const accountEndpoints: Endpoint[] = [
  ...sessionEndpoints,
  ...accounts,
  ...tokenEndpoints,
  ...collaboratorEndpoints,
  ...invitationEndpoints,
];
