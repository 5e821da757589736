-- Accounts that are mailed about missing month values.
create table completeness_mail (
  account_id text collate "C" primary key references account (id) on delete cascade,
  -- The last month that was mailed about, YYYYMM; '' before the first.
  sent text collate "C" not null default ''
);
