-- Consents that customers are asked for, at most one of a connection. Local table.
create table connection_consent (
  -- Another one for each attempt.
  id text collate "C" primary key,
  connection_id text collate "C" not null unique references connection (id) on delete cascade,
  -- Hash of the state that names the attempt to the provider; null once the browser has come back with it.
  state_hash bytea unique,
  -- The person who began it in a browser, and is the only one who may come back; null when a token did.
  actor_id text collate "C",
  -- Where the browser goes at last.
  return_url text,
  until timestamptz not null,
  -- Sealed: state, verifier, and what the browser brought back.
  sealed bytea not null
);
