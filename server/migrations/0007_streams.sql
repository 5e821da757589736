-- Streams: cursors of accounts over the log of changes.

-- Entries of a part up to here may be gone: whoever has not read so far reads the present values again.
alter table head add column purged bigint not null default 0;

-- When a reference became one that its holder may read: new, moved to active, or shared again. Only ever compared
-- for equality: numbers are not in the order of commits.
create sequence meter_entered_seq as bigint;
alter table meter add column entered bigint not null default nextval('meter_entered_seq');
-- What an account may read, in the order in which streams take it up.
create index meter_readable on meter (holder_id, part, root_id) include (entered) where box = 'active' and not revoked;

-- Counts the changes of what an account may read, as the sum of its rows. Why not one row: every transaction that
-- shares meters would wait for all others of the account. Rows are added, and folded into one now and then.
create table meter_access (
  account_id text collate "C" not null,
  n bigint not null
);
create index meter_access_account on meter_access (account_id);

create table stream (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  -- The OAuth client that made it; null for the account's own credentials.
  client_id text collate "C",
  -- What of the server reads it: 'export'. Such a stream is not listed.
  owner text,
  resource text not null,
  granularity text,
  created timestamptz not null,
  -- Everything before this offset was processed by the consumer.
  last_offset bigint,
  -- The greatest offset that was issued, and the one that its last reset issued.
  issued bigint not null default 0,
  reset_offset bigint,
  -- Batches up to here may be gone.
  purged bigint not null default 0,
  -- Parts of the meters below.
  parts int[] not null default '{}',
  -- Last number given to a meter below.
  seq bigint not null default 0,
  -- Meters are taken up in the order of part and root: so far. Null when all were.
  filled_part int default -1,
  filled_root text collate "C" default '',
  -- Value of the account's meter_access that the meters below reflect.
  access bigint not null default -1,
  -- Who consumes it now, and until when without a sign of life.
  lease text,
  lease_until timestamptz
);
create index stream_account on stream (account_id, created, id);

-- Root meters whose values the stream carries. `seq` is their place in the history that is pushed: a meter that
-- comes back gets a new one.
create table stream_meter (
  stream_id text collate "C" not null references stream (id) on delete cascade,
  root_id text collate "C" not null,
  part int not null,
  seq bigint not null,
  -- meter.entered of the references at that time.
  entered bigint not null,
  -- Offset in the log of its part up to which its history holds everything.
  covered bigint not null,
  primary key (stream_id, root_id)
);
create unique index stream_meter_seq on stream_meter (stream_id, seq);

-- One row per offset that was issued. The batch that led to it holds what lies between two positions, read anew
-- each time; see streams/position.ts.
create table stream_batch (
  stream_id text collate "C" not null references stream (id) on delete cascade,
  off bigint not null,
  -- The offset that the batch follows; 0 for the beginning.
  previous bigint not null,
  -- Where the batch begins, and where it ends.
  start jsonb not null,
  position jsonb not null,
  created timestamptz not null,
  primary key (stream_id, off)
);
create index stream_batch_previous on stream_batch (stream_id, previous, off);
