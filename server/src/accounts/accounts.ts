/** Accounts, people and credentials: what other slices may use of them. */
export {
  type Account,
  type AccountRef,
  accountById,
  accountByUsername,
  accountRefs,
  createAccount,
  firstParts,
  managerOf,
  manages,
  type NewAccount,
  partRange,
  partsOf,
  subaccountsOf,
  timezoneOf,
  updateAccount,
} from "./account.ts";
export { accountView, viewAccount } from "./account-view.ts";
export { type AuditEntry, actorOf, audit, brokenAudit } from "./audit.ts";
export { actIn, authenticate } from "./authenticate.ts";
export { assertMayDelete, markDeleted, removeAccount } from "./deletion.ts";
export { accountChange, accountCreation, accountRefView, emailText, nameText } from "./fields.ts";
export { addCollaborator, type Collaborator, personsToTell } from "./members.ts";
export { accountNamed, allAccounts, allParts, hasNoAccounts, tokensOf } from "./overview.ts";
export { setPassword } from "./password-check.ts";
export { newPasswordHash } from "./password-rules.ts";
export { reach, reachNamed } from "./reach.ts";
export {
  addSubscriber,
  listSubscribers,
  removeSubscriber,
  type Subscriber,
  subscriberById,
} from "./subscribers.ts";
export { createToken, type NewToken, revokeToken, type Token } from "./tokens.ts";
