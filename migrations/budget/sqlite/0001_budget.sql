-- The account of calls, shared by every process that uses one key. Instants are milliseconds since 1970.

-- Calls that CoinGecko charged or may have, by month (UTC): they are reserved here before they are made. An account is a hash of the
-- key, or of the API's address where there is none.
create table budget (
  account text not null,
  month text not null,
  credits integer not null,
  constraint budget_key primary key (account, month)
) strict;

-- The plan's pace: as many places as calls may begin in a minute, or a part of them for several calls each. A place is taken again
-- a minute after it was taken last.
create table pace (
  account text not null,
  place integer not null,
  taken_at integer not null,
  constraint pace_key primary key (account, place)
) strict;

-- When a scheduled run last wanted to call, for which backfills make way; until when CoinGecko asked for silence; and when it was last
-- asked what the key has spent.
create table turn (
  account text not null constraint turn_key primary key,
  scheduled_at integer not null,
  held_until integer not null,
  checked_at integer not null
) strict;
