-- Webhooks: where events are posted to, and every delivery. Local tables: they stay on one machine.

-- Which process does what only one may do at a time. Owned by platform/.
create table steady_lease (
  name text primary key,
  owner text not null,
  until timestamptz not null
);

-- What accounts got and lost, until it was told: written with the meters in one transaction, and taken out with the
-- deliveries that tell it in another. No cursor can pass a row by that is committed late. Owned by meters/.
create table meter_news (
  id bigint generated always as identity primary key,
  account_id text collate "C" not null,
  -- The account's own reference. No foreign key: what is lost by deletion is told too.
  meter_id text collate "C" not null,
  -- found, lost.
  kind text not null,
  at timestamptz not null default now()
);

create table webhook (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  -- OAuth client that made it, and alone sees it; null for tokens and people.
  client_id text collate "C",
  name text,
  url text not null,
  events text[] not null,
  -- False: nothing is sent; what happens waits.
  enabled boolean not null,
  -- Set when the server, not the owner, turned it off.
  paused timestamptz,
  paused_reason text,
  -- First failed attempt since the last success.
  failing_since timestamptz,
  -- When data.new was asked for; null when it is not, and once its parts are looked for again: see webhooks/follow.ts.
  data_since timestamptz,
  -- When data.new was last said.
  data_told timestamptz,
  created timestamptz not null,
  updated timestamptz not null
);
create index webhook_account on webhook (account_id, created, id);

-- Secrets that sign at present: one, or two after a rotation.
create table webhook_secret (
  id text collate "C" primary key,
  webhook_id text collate "C" not null references webhook (id) on delete cascade,
  sealed bytea not null,
  created timestamptz not null,
  -- Signs until then; null for the newest.
  expires timestamptz
);
create index webhook_secret_webhook on webhook_secret (webhook_id);

-- How far a webhook has told the changes of a part: an offset of the log of changes.
create table webhook_part (
  webhook_id text collate "C" not null references webhook (id) on delete cascade,
  part int not null,
  off bigint not null,
  primary key (webhook_id, part)
);

create table webhook_delivery (
  -- Also the webhook-id that is sent, the same at every attempt.
  id text collate "C" primary key,
  webhook_id text collate "C" not null references webhook (id) on delete cascade,
  event text not null,
  -- Exactly what is signed and sent, at every attempt.
  body text not null,
  created timestamptz not null,
  -- waiting, delivered, failed.
  status text not null,
  -- Failed attempts since it was made, or last sent again by hand.
  failures smallint not null default 0,
  -- [{at, response_status, reason}]: the last ones.
  attempts jsonb not null default '[]',
  response_status smallint,
  reason text,
  -- Null unless it waits.
  next_attempt timestamptz
);
create index webhook_delivery_list on webhook_delivery (webhook_id, created, id);
create index webhook_delivery_due on webhook_delivery (webhook_id, next_attempt) where status = 'waiting';
create index webhook_delivery_failed on webhook_delivery (created) where status = 'failed';
create index webhook_delivery_created on webhook_delivery (created);
