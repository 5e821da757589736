-- Trees: an account's own order of its meters.

create table tree_node (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  parent_id text collate "C" references tree_node (id) on delete cascade,
  -- The ids of all nodes above it and its own, root first, joined: each is 24 characters long. What is below a node
  -- is one range of it.
  path text collate "C" not null,
  name text not null,
  -- Folded name.
  search text collate "C" not null,
  custom_identifier text,
  factor float8 not null default 1,
  location float8[],
  custom_fields jsonb not null default '{}',
  open_channel_ids text[] not null default '{}',
  created timestamptz not null
);
create index tree_node_list on tree_node (account_id, created, id);
create index tree_node_children on tree_node (account_id, parent_id, created, id);
create index tree_node_parent on tree_node (parent_id);
create index tree_node_path on tree_node (account_id, path) include (id);
create index tree_node_external on tree_node (account_id, custom_identifier) where custom_identifier is not null;

create table tree_meter (
  node_id text collate "C" not null references tree_node (id) on delete cascade,
  meter_id text collate "C" not null references meter (id) on delete cascade,
  factor float8 not null default 1,
  added bigint generated always as identity,
  primary key (node_id, meter_id)
);
create index tree_meter_meter on tree_meter (meter_id, node_id);

-- Fields that only the client that wrote them sees. client_id is '' for the account's own credentials.
create table tree_app_fields (
  node_id text collate "C" not null references tree_node (id) on delete cascade,
  client_id text collate "C" not null,
  fields jsonb not null,
  primary key (node_id, client_id)
);
