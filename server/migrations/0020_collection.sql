-- Providers that are asked through a browser: whether a worker has one.
alter table provider_state
  -- A worker that has one says so again before this time.
  add column ready_until timestamptz,
  -- Why no worker has, with the remedy.
  add column trouble text;
