-- Files that providers send: what was read of them, and where they lie. Local tables.

-- One content that a connection has found. It is remembered for as long as the connection: a file that comes again
-- changes nothing.
create table received_file (
  id text collate "C" primary key,
  connection_id text collate "C" not null references connection (id) on delete cascade,
  sha256 bytea not null,
  -- Where it was found first, its name there, and how long it is.
  place text not null,
  name text not null,
  bytes bigint not null,
  -- reading; stored; refused; left_out: stored, and to be read again for meters that were put away then.
  status text not null,
  -- When it came first: the version of its values, where it states none itself. Later files have later ones.
  received timestamptz not null,
  settled timestamptz,
  -- As what it was read; several for an archive.
  formats text[] not null default '{}',
  -- {meters, meters_new, values, missing, added, replaced, …}
  counts jsonb not null default '{}',
  -- [{severity, file, line, field, message}], the first of them.
  problems jsonb not null default '[]',
  -- Keys of meters that were put away in `ignored`: their values were not stored.
  left_out text[] not null default '{}'
);
create unique index received_file_content on received_file (connection_id, sha256);
create index received_file_list on received_file (connection_id, received, id);
create index received_file_refused on received_file (connection_id) where status in ('refused', 'left_out');

-- What lies where: known places are not read again while their mark is the same.
create table received_place (
  connection_id text collate "C" not null references connection (id) on delete cascade,
  place text collate "C" not null,
  -- Size and time, or what the server calls a version.
  mark text not null,
  file_id text collate "C" not null references received_file (id) on delete cascade,
  primary key (connection_id, place)
);
create index received_place_file on received_place (file_id);

-- Issues of a file; '' for others.
alter table connection_issue add column file_id text collate "C" not null default '';
drop index connection_issue_open;
create unique index connection_issue_open on connection_issue (connection_id, kind, meter_id, file_id)
  where resolved is null;
create index connection_issue_file on connection_issue (file_id) where file_id <> '';
