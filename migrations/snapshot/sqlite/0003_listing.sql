-- The list of all coins (`/coins/list`), one row for each that is stored: once a day.
create table listing (
  "commit" integer constraint listing_key primary key constraint listing_commit references "commit" (id),
  landing integer not null constraint listing_landing references landing (id),
  received_at integer not null,
  coins integer not null
) strict;
create index listing_by_landing on listing (landing);

-- What the lists say of a coin, a row when that changes: it appears, gets another symbol or name, is absent, is delisted, comes back.
-- By the id's text: `coin` has only those of which something else is stored. A list without a coin makes it absent; only a second one,
-- received an hour later or more, makes it delisted, since a short list is no proof. Then symbol and name are the last that it had.
create table listed (
  coin_id text not null,
  "commit" integer not null constraint listed_commit references listing ("commit"),
  landing integer not null constraint listed_landing references landing (id),
  -- when that list was received; of an absent coin that is since when it is not there
  seen_at integer not null,
  symbol text not null,
  name text,
  state text not null constraint listed_state check (state in ('listed', 'absent', 'delisted')),
  constraint listed_key primary key (coin_id, "commit")
) strict, without rowid;
create index listed_by_commit on listed ("commit");
create index listed_by_landing on listed (landing);

-- Every coin that was ever in a list, as the newest says. It was first listed when the first list that has it was received, and is
-- delisted since the first one without it. Instants are texts here.
create view v_coins as
select
  e.coin_id,
  n.symbol,
  n.name,
  n.state,
  strftime('%Y-%m-%dT%H:%M:%fZ', f.seen_at / 1000.0, 'unixepoch') as first_listed_at,
  case
    when n.state = 'delisted' then (
      select strftime('%Y-%m-%dT%H:%M:%fZ', a.seen_at / 1000.0, 'unixepoch') from listed a
      where a.coin_id = e.coin_id and a."commit" < e.newest order by a."commit" desc limit 1
    )
  end as delisted_at
from (select coin_id, min("commit") as first, max("commit") as newest from listed group by coin_id) e
join listed n on n.coin_id = e.coin_id and n."commit" = e.newest
join listed f on f.coin_id = e.coin_id and f."commit" = e.first;
