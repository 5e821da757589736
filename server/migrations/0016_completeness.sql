-- Complaints about missing values, and the cases in which they are followed up. Local tables.
create table complaint_case (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  -- check: the daily check made it; person.
  origin text not null,
  -- The connection that the values are missing from; '' when there is none, and for cases that a person made.
  connection_id text collate "C" not null default '',
  title text,
  note text,
  opened timestamptz not null,
  closed timestamptz,
  -- check: nothing is missing any more; person.
  closed_by text,
  actor_id text collate "C"
);
create index complaint_case_account on complaint_case (account_id, opened, id);
create unique index complaint_case_open on complaint_case (account_id, connection_id)
  where origin = 'check' and closed is null;

create table complaint (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  -- The account's reference; the root meter for complaints of the daily check.
  meter_id text collate "C" not null references meter (id) on delete cascade,
  root_id text collate "C" not null,
  metric text collate "C" not null,
  granularity text collate "C" not null,
  -- Values are missing in [begins, ends).
  begins timestamptz not null,
  ends timestamptz not null,
  -- How many, when it was last checked, and why most of them.
  missing int not null,
  reason text,
  note text,
  -- check, person.
  origin text not null,
  case_id text collate "C" references complaint_case (id) on delete set null,
  opened timestamptz not null,
  checked timestamptz not null,
  ended timestamptz,
  -- resolved: the values came. closed: its case was. deleted: nobody sees it any more, but the values it is about are not
  -- complained about again.
  outcome text,
  actor_id text collate "C"
);
create index complaint_account on complaint (account_id, opened, id);
create index complaint_root on complaint (root_id);
create index complaint_meter on complaint (meter_id);
create index complaint_case_complaints on complaint (case_id);
create index complaint_unchecked on complaint (id) where ended is null;
-- The daily check has one complaint of a series, which grows and shrinks with what is missing.
create unique index complaint_open on complaint (root_id, metric, granularity) where origin = 'check' and ended is null;
