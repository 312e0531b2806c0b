-- The account of calls, shared by every process that uses one key.

-- Calls that CoinGecko charged or may have, by month (UTC): they are reserved here before they are made. An account is a hash of the
-- key, or of the API's address where there is none.
create table budget (
  account text not null,
  month text not null,
  credits bigint not null,
  constraint budget_key primary key (account, month)
);

-- The plan's pace: as many places as calls may begin in a minute, or a part of them for several calls each. A place is taken again
-- a minute after it was taken last.
create table pace (
  account text not null,
  place integer not null,
  taken_at timestamptz not null,
  constraint pace_key primary key (account, place)
);

-- When a scheduled run last wanted to call, for which backfills make way; until when CoinGecko asked for silence; and when it was last
-- asked what the key has spent.
create table turn (
  account text not null constraint turn_key primary key,
  scheduled_at timestamptz not null,
  held_until timestamptz not null,
  checked_at timestamptz not null
);
