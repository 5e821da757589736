-- Accounts, people, credentials. Local tables: they stay on one machine (see docs/decisions).

create sequence part_seq as int;

create table account (
  id text collate "C" primary key,
  -- The account that manages this one; such an account is a subaccount.
  manager_id text collate "C" references account (id) on delete cascade,
  name text not null,
  -- As filters compare it: composed, lower case. Not left to the database, whose lower() depends on its locale.
  name_folded text not null,
  -- E-mail address to log in with; subaccounts may have none.
  username text,
  username_folded text,
  password_hash text,
  -- The "External ID" that the manager gave.
  custom_identifier text,
  locale_string text,
  language text not null default 'en',
  is_organization boolean not null default false,
  entity_type text,
  -- Zone of meters whose source states none. Etc/GMT-1 is UTC+1 all year: the Nordic market day.
  timezone text not null default 'Etc/GMT-1',
  currency text not null default 'SEK',
  -- Parts of the series store that the meters of this account are spread over: [part, part + parts).
  part int not null,
  parts int not null default 1,
  created timestamptz not null,
  -- Set at once when the account is deleted: nobody sees it from then on; its data is erased by a job.
  deleted timestamptz
);
create unique index account_username on account (username_folded) where deleted is null;
create index account_manager on account (manager_id, created, id);
create index account_external on account (manager_id, custom_identifier) where custom_identifier is not null;

-- People (accounts) who work in an organisation.
create table collaborator (
  id text collate "C" primary key,
  organization_id text collate "C" not null references account (id) on delete cascade,
  account_id text collate "C" not null references account (id) on delete cascade,
  role text not null,
  created timestamptz not null,
  unique (organization_id, account_id)
);
create index collaborator_account on collaborator (account_id);

create table invitation (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  email text not null,
  email_folded text not null,
  role text not null,
  token_hash bytea not null unique,
  created timestamptz not null,
  expires timestamptz not null,
  accepted timestamptz
);
create index invitation_account on invitation (account_id, created);

-- Private access tokens: the hash is compared, the sealed copy is shown again to an administrator.
create table access_token (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text,
  hash bytea not null unique,
  sealed bytea not null,
  -- Last characters, to tell tokens apart in lists.
  ending text not null,
  scopes text[] not null,
  created timestamptz not null,
  -- The person who made it; null for the command line.
  created_by text collate "C",
  expires timestamptz,
  last_used timestamptz,
  revoked timestamptz
);
create index access_token_account on access_token (account_id, created, id);

-- Sessions of people. The cookie holds a secret of which only the hash is here.
create table session (
  id text collate "C" primary key,
  hash bytea not null unique,
  account_id text collate "C" not null references account (id) on delete cascade,
  -- How the person proved who they are: password or login_token.
  method text not null,
  created timestamptz not null,
  expires timestamptz not null,
  last_used timestamptz not null
);
create index session_account on session (account_id);

-- One-off login tokens: each becomes one session.
create table login_token (
  id text collate "C" primary key,
  hash bytea not null unique,
  account_id text collate "C" not null references account (id) on delete cascade,
  created timestamptz not null,
  created_by text collate "C",
  expires timestamptz not null,
  used timestamptz
);
create index login_token_account on login_token (account_id, created, id);

-- How many passwords may still be tried: per address, per user name, and per both. `due_ms` is the instant
-- (epoch milliseconds) at which the budget is whole again; the rate is known to the program.
create table login_budget (
  key bytea primary key,
  due_ms bigint not null
);
create index login_budget_due on login_budget (due_ms);

-- One sealed word per master key that secrets may be under: a wrong key is found at start.
create table key_check (
  master_id text collate "C" primary key,
  sealed bytea not null,
  created timestamptz not null
);

-- Keys that secrets of an account are encrypted with, themselves encrypted with the master key of that id.
-- Removing the row makes every secret of the account unreadable.
create table account_key (
  account_id text collate "C" not null references account (id) on delete cascade,
  version int not null,
  master_id text collate "C" not null references key_check (master_id),
  wrapped bytea not null,
  created timestamptz not null,
  primary key (account_id, version)
);
create index account_key_master on account_key (master_id, account_id, version);

-- Accounts that get the meters of an account by themselves.
create table meter_subscriber (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  subscriber_id text collate "C" not null references account (id) on delete cascade,
  created timestamptz not null,
  unique (account_id, subscriber_id)
);
create index meter_subscriber_subscriber on meter_subscriber (subscriber_id);

-- Who did what. The server may only add rows, and each row holds a hash over itself and the row before it of the
-- same account, so that an edit behind the server's back shows.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  account_id text collate "C" not null,
  actor text collate "C",
  action text not null,
  subject text,
  -- json, not jsonb: the hash is over the text.
  detail json not null default '{}',
  hash bytea not null
);
create index audit_account on audit (account_id, id);
