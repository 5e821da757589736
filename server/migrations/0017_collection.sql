-- Pages that no connector understood are few, and listed for whoever runs the server.
create index connection_run_page on connection_run (ended desc, id desc) where page is not null;
