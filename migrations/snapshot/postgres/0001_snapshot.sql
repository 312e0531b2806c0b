-- The snapshot database.

-- What holds for the whole database: its currency, written by `coinmill init` and fixed once anything is stored.
create table setting (
  name text not null constraint setting_key primary key,
  value text not null
);

-- The ledger: one row an execution. A run is written before its first call, so that one that dies leaves its trace.
create table run (
  id text not null constraint run_key primary key,
  kind text not null,
  slot timestamptz,
  resolution smallint,
  state text not null constraint run_state check (state in ('running', 'complete', 'partial', 'failed', 'abandoned')),
  started_at timestamptz not null,
  finished_at timestamptz,
  expected bigint,
  received bigint,
  accepted bigint,
  rejected bigint,
  stored bigint,
  calls bigint,
  score double precision,
  content_hash text,
  version text not null,
  rule_set text not null,
  api_url text not null,
  -- the coins that it was to fetch and the bounds of its rules, as JSON
  settings text,
  error text,
  report text
);
create index run_started on run (started_at);
create index run_by_slot on run (slot);
create index run_unfinished on run (kind, slot) where state = 'running';

-- A moment of knowledge: one row for each commit of data. Ids are assigned under the writer's lock, so a higher one was known
-- later, and a pin is an id: it takes account of the commits up to it. `at` is written by a second, short commit once the first
-- is durable, so that nothing counts as known before a reader could see it, and is never before that of a lower id. Null is a
-- commit that waits for its instant: the next writer writes it. (`commit` is a keyword, hence the quotes.)
create table "commit" (
  id bigint constraint commit_key primary key,
  at timestamptz,
  run text not null constraint commit_run references run (id)
);
create index commit_at on "commit" (at, id);
create index commit_by_run on "commit" (run);

-- One row for each landed body that a commit used. Its id is reserved before: it says nothing about when the body was known.
create sequence landing_id;
create table landing (
  id bigint constraint landing_key primary key,
  "commit" bigint not null constraint landing_commit references "commit" (id),
  run text not null constraint landing_run references run (id),
  path text not null,
  request text not null,
  status bigint not null,
  sha256 text not null,
  bytes bigint not null,
  received_at timestamptz not null,
  constraint landing_once unique (run, path)
);
create index landing_by_commit on landing ("commit");

-- A coin is known by its source and its id there. Facts refer to the key alone, so another source's coins are more rows here.
create table coin (
  key bigint constraint coin_key primary key,
  id text collate "C" not null,
  source text not null default 'coingecko',
  constraint coin_id unique (id, source)
);

-- Symbols and names change and are shared, so they are no keys: a row whenever they differ from the row before.
create table coin_name (
  coin bigint not null constraint coin_name_coin references coin (key),
  "commit" bigint not null constraint coin_name_commit references "commit" (id),
  landing bigint not null constraint coin_name_landing references landing (id),
  seen_at timestamptz not null,
  symbol text not null,
  name text,
  constraint coin_name_key primary key (coin, "commit")
);
create index coin_name_by_landing on coin_name (landing);
create index coin_name_by_commit on coin_name ("commit");

-- A slot's own account, one row for each commit that changed it: a partial slot becomes complete. The newest stands.
create table snapshot (
  snapshot_time timestamptz not null,
  "commit" bigint not null constraint snapshot_commit references "commit" (id),
  -- how many coins by market cap were asked for; expected is less where CoinGecko has fewer
  top bigint not null,
  expected bigint not null,
  received bigint not null,
  state text not null constraint snapshot_state check (state in ('complete', 'partial')),
  content_hash text not null,
  -- the sum of its quotes' market caps, which `dominance_pct` is a part of; null where none of them counts
  total_market_cap double precision,
  -- JSON arrays: coins asked for by name by any run; what is missing and why; coins that CoinGecko does not know; coins
  -- that the user's own rules refuse; and what of the missing has been asked for a second time
  named text not null,
  missing text not null,
  unknown text not null,
  refused text not null,
  retried text not null,
  constraint snapshot_key primary key (snapshot_time, "commit")
);

create index snapshot_by_commit on snapshot ("commit");

-- Each slot's account as it stands.
create view snapshot_now as
select
  s.snapshot_time,
  s."commit",
  s.top,
  s.expected,
  s.received,
  s.state,
  s.content_hash,
  s.total_market_cap,
  s.named,
  s.missing,
  s.unknown,
  s.refused,
  s.retried
from snapshot s
where s."commit" = (select max(a."commit") from snapshot a where a.snapshot_time = s.snapshot_time);

-- One coin in one slot: CoinGecko's numbers as they came, then what is derived from them.
create table quote (
  snapshot_time timestamptz not null,
  coin bigint not null constraint quote_coin references coin (key),
  market_cap_rank bigint,
  current_price double precision,
  market_cap double precision,
  fully_diluted_valuation double precision,
  total_volume double precision,
  high_24h double precision,
  low_24h double precision,
  price_change_24h double precision,
  price_change_pct_1h double precision,
  price_change_pct_24h double precision,
  price_change_pct_7d double precision,
  price_change_pct_14d double precision,
  price_change_pct_30d double precision,
  price_change_pct_200d double precision,
  price_change_pct_1y double precision,
  market_cap_change_24h double precision,
  market_cap_change_pct_24h double precision,
  circulating_supply double precision,
  total_supply double precision,
  max_supply double precision,
  ath double precision,
  ath_change_pct double precision,
  atl double precision,
  atl_change_pct double precision,
  roi_times double precision,
  roi_pct double precision,
  roi_currency text,
  ath_date timestamptz,
  atl_date timestamptz,
  last_updated timestamptz,
  market_cap_category text,
  volume_to_cap double precision,
  ath_distance_pct double precision,
  range_volatility_24h_pct double precision,
  liquidity_category text,
  trend_category text,
  warnings text,
  landing bigint not null constraint quote_landing references landing (id),
  constraint quote_key primary key (snapshot_time, coin),
  -- what can never be true of a real row
  constraint quote_price check (current_price >= 0),
  constraint quote_market_cap check (market_cap >= 0),
  constraint quote_volume check (total_volume >= 0)
);
-- each half-hour adds a little, and statistics that are a tenth of the table late are months late
alter table quote set (autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05);
-- a coin's history, the other way through the key
create index quote_coin_slot on quote (coin, snapshot_time);
create index quote_by_landing on quote (landing);

-- Records that were refused, each with its rule, its reason and its own bytes. The body and the place in it are the key:
-- reading the same bytes again refuses nothing twice.
create table quarantine (
  id bigint constraint quarantine_key primary key,
  landing bigint not null constraint quarantine_landing references landing (id),
  body text not null,
  record bigint not null,
  coin text,
  rule text not null,
  reason text not null,
  raw text not null,
  constraint quarantine_once unique (body, record)
);
create index quarantine_by_landing on quarantine (landing);

-- What there is after each commit, as the sums of the one before and what it adds: nobody has to count the facts.
create table tally (
  "commit" bigint constraint tally_key primary key constraint tally_commit references "commit" (id),
  -- slots, and those of them with nothing missing
  snapshots bigint not null,
  complete bigint not null,
  quotes bigint not null,
  quarantined bigint not null
);

-- The outcomes of refused records that were validated again, by the run that did it.
create table requeue (
  quarantine bigint not null constraint requeue_quarantine references quarantine (id),
  run text not null constraint requeue_run references run (id),
  outcome text not null constraint requeue_outcome check (outcome in ('stored', 'present', 'refused')),
  reason text,
  constraint requeue_key primary key (quarantine, run)
);
create index requeue_by_run on requeue (run);

-- Fields that the bodies of a run had beyond what is known, or lacked.
create table schema_drift (
  run text not null constraint schema_drift_run references run (id),
  endpoint text not null,
  field text not null,
  deviation text not null constraint schema_drift_deviation check (deviation in ('unknown', 'missing')),
  records bigint not null,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  constraint schema_drift_key primary key (run, endpoint, field, deviation)
);

-- What retention has deleted: the landed bodies of this database's runs before an instant. The first row of a prune is committed before
-- its first deletion, so that readers can say at once what is gone; then comes one for each batch, with how much it deleted. `days`
-- is the setting. The same columns as in the time series database, where points are pruned too.
create table pruned (
  "commit" bigint constraint pruned_key primary key constraint pruned_commit references "commit" (id),
  resolution smallint,
  before timestamptz not null,
  days bigint not null,
  first_ts timestamptz,
  points bigint not null,
  revisions bigint not null,
  bodies bigint not null,
  bytes bigint not null
);

-- Every stored quote, with the coin's symbol and name as they were then, and its part of the slot's market cap as it is now known.
create view v_price_history as
select
  q.snapshot_time,
  c.id as coin_id,
  (
    select n.symbol from coin_name n
    where n.coin = q.coin and n."commit" <= (select l."commit" from landing l where l.id = q.landing)
    order by n."commit" desc limit 1
  ) as symbol,
  (
    select n.name from coin_name n
    where n.coin = q.coin and n."commit" <= (select l."commit" from landing l where l.id = q.landing)
    order by n."commit" desc limit 1
  ) as name,
  q.market_cap_rank,
  q.current_price,
  q.market_cap,
  q.fully_diluted_valuation,
  q.total_volume,
  q.high_24h,
  q.low_24h,
  q.price_change_24h,
  q.price_change_pct_1h,
  q.price_change_pct_24h,
  q.price_change_pct_7d,
  q.price_change_pct_14d,
  q.price_change_pct_30d,
  q.price_change_pct_200d,
  q.price_change_pct_1y,
  q.market_cap_change_24h,
  q.market_cap_change_pct_24h,
  q.circulating_supply,
  q.total_supply,
  q.max_supply,
  q.ath,
  q.ath_change_pct,
  q.atl,
  q.atl_change_pct,
  q.roi_times,
  q.roi_pct,
  q.roi_currency,
  q.ath_date,
  q.atl_date,
  q.last_updated,
  q.market_cap_category,
  -- within 1e-100 and 1e200, where the quotient is a number on either database
  case
    when s.total_market_cap between 1e-12 and 1e200 and (q.market_cap = 0 or q.market_cap >= 1e-100)
    then 100.0 * q.market_cap / s.total_market_cap
  end as dominance_pct,
  q.volume_to_cap,
  q.ath_distance_pct,
  q.range_volatility_24h_pct,
  q.liquidity_category,
  q.trend_category,
  q.warnings,
  (extract(epoch from q.snapshot_time) * 1000)::bigint as snapshot_ms
from quote q
join coin c on c.key = q.coin
left join snapshot s on s.snapshot_time = q.snapshot_time
  and s."commit" = (select max(a."commit") from snapshot a where a.snapshot_time = q.snapshot_time);

-- The newest snapshot, the largest coin first.
create view v_current_snapshot as
select h.*
from v_price_history h
where h.snapshot_time = (select max(s.snapshot_time) from snapshot s)
order by h.market_cap desc nulls last, h.coin_id;

-- The newest quote of each coin, which may be years older than the newest snapshot: `snapshot_time` says.
create view v_latest_prices as
select h.*
from coin c
cross join lateral (
  select o.snapshot_time from quote o where o.coin = c.key order by o.snapshot_time desc limit 1
) newest
join v_price_history h on h.coin_id = c.id and h.snapshot_time = newest.snapshot_time;
