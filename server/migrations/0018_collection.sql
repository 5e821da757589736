-- Runs that somebody waits for begin before the backlog of their provider.
create index connection_waited_for on connection (provider, next_run)
  where next_reason in ('created', 'by_hand', 'credentials', 'activated') and next_run is not null;
