-- Credentials that are not sent again, and invoices that connections brought. Local tables.

-- Credentials that a provider refused, of an account rather than of a connection: whoever deletes a connection and makes it
-- again must not send them once more. Only a person may have them tried again, one time.
create table refused_credentials (
  account_id text collate "C" not null references account (id) on delete cascade,
  provider text collate "C" not null,
  -- Keyed hash of everything that was entered.
  fingerprint bytea not null,
  -- When they were last sent in vain.
  at timestamptz not null,
  -- The provider has said no. Otherwise its answers to the login were not understood: so many times.
  is_refused boolean not null,
  unclear smallint not null default 0,
  -- A person has asked for another attempt, and none has begun since.
  again boolean not null default false,
  primary key (account_id, provider, fingerprint)
);
alter table connection drop column refused;

-- When invoices were last looked for.
alter table connection add column invoiced timestamptz;

-- Invoices that a connection has brought, by the provider's key. One that somebody deleted stays here, so that it does not
-- come back.
create table collected_invoice (
  connection_id text collate "C" not null references connection (id) on delete cascade,
  key text collate "C" not null,
  invoice_id text collate "C" not null,
  -- The account did not have the document before.
  is_new boolean not null,
  at timestamptz not null,
  primary key (connection_id, key)
);
create index collected_invoice_invoice on collected_invoice (invoice_id);
