-- The time series database.
-- Instants are integers: milliseconds since 1970-01-01T00:00:00Z. `strict` keeps a text out of a number's column.

-- What holds for the whole database: its currency, written by the first commit of data.
create table setting (
  name text not null constraint setting_key primary key,
  value text not null
) strict;

-- The ledger: one row an execution. A run is written before its first call, so that one that dies leaves its trace.
-- `resolution` is in minutes, here and below. The bodies of a run that died are recovered by a later one, once.
create table run (
  id text not null constraint run_key primary key,
  kind text not null,
  slot integer,
  resolution integer,
  state text not null constraint run_state check (state in ('running', 'complete', 'partial', 'failed', 'abandoned')),
  started_at integer not null,
  finished_at integer,
  expected integer,
  received integer,
  accepted integer,
  rejected integer,
  stored integer,
  calls integer,
  score real,
  content_hash text,
  version text not null,
  rule_set text not null,
  api_url text not null,
  -- the coins that it was to fetch and the bounds of its rules, as JSON
  settings text,
  error text,
  report text,
  recovered_by text constraint run_recovered_by references run (id),
  -- while it runs: the coins that no other run of its resolution may take, as JSON
  claims text
) strict;
create index run_started on run (started_at);
-- SQLite uses them for the same words alone
create index run_running on run (id) where state = 'running';
create index run_unrecovered on run (resolution, started_at) where state in ('abandoned', 'failed') and recovered_by is null;

-- A moment of knowledge: one row for each commit of data. Ids are assigned under the writer's lock, so a higher one was known
-- later, and a pin is an id: it takes account of the commits up to it. `at` is written by a second, short commit once the first
-- is durable, so that nothing counts as known before a reader could see it, and is never before that of a lower id. Null is a
-- commit that waits for its instant: the next writer writes it. (`commit` is a keyword, hence the quotes.)
create table "commit" (
  id integer constraint commit_key primary key,
  at integer,
  run text not null constraint commit_run references run (id)
) strict;
create index commit_at on "commit" (at, id);
create index commit_by_run on "commit" (run);

-- One row for each landed body that a commit used. Its id says nothing about when the body was known.
create table landing (
  id integer constraint landing_key primary key,
  "commit" integer not null constraint landing_commit references "commit" (id),
  run text not null constraint landing_run references run (id),
  path text not null,
  request text not null,
  status integer not null,
  sha256 text not null,
  bytes integer not null,
  received_at integer not null,
  -- a body whose refused records are accepted later is committed again, by another run
  constraint landing_once unique (run, path)
) strict;
create index landing_by_commit on landing ("commit");
create index landing_by_path on landing (path);

-- A coin is known by its source and its id there. Facts refer to the key alone, so another source's coins are more rows here.
create table coin (
  key integer constraint coin_key primary key,
  id text not null,
  source text not null default 'coingecko',
  constraint coin_id unique (id, source)
) strict;

-- Symbols and names as the snapshot database knew them when a chart was stored: a row whenever they differ from the row before.
-- The body that they came from is named there.
create table coin_name (
  coin integer not null constraint coin_name_coin references coin (key),
  "commit" integer not null constraint coin_name_commit references "commit" (id),
  symbol text not null,
  name text,
  constraint coin_name_key primary key (coin, "commit")
) strict;

-- One point of a coin's chart under CoinGecko's own millisecond, as it was first known. No foreign keys: two of them cost
-- four times the load. No index by landing either, which costs two fifths more: the points of a body lie within the spans that
-- `coverage` has of it. A later, different value is a row of `price_revision`.
create table price_point (
  coin integer not null,
  resolution integer not null,
  ts integer not null,
  price real,
  market_cap real,
  volume real,
  landing integer not null,
  constraint price_point_key primary key (coin, resolution, ts),
  -- what can never be true of a real point
  constraint price_point_sane check (price >= 0 and market_cap >= 0 and volume >= 0)
) strict, without rowid;

create table price_revision (
  coin integer not null,
  resolution integer not null,
  ts integer not null,
  price real,
  market_cap real,
  volume real,
  landing integer not null,
  constraint price_revision_key primary key (coin, resolution, ts, landing),
  constraint price_revision_sane check (price >= 0 and market_cap >= 0 and volume >= 0)
) strict, without rowid;
create index price_revision_by_landing on price_revision (landing);

-- What there is of a resolution after each commit that added to it, as the sums of the one before and what it adds: nobody has to
-- count the facts. `coins` are those with a point; the stamps are null once retention has deleted every point.
create table tally (
  resolution integer not null,
  "commit" integer not null constraint tally_commit references "commit" (id),
  coins integer not null,
  points integer not null,
  first_ts integer,
  newest_ts integer,
  constraint tally_key primary key (resolution, "commit")
) strict, without rowid;
create index tally_by_commit on tally ("commit");

-- The half-open spans that received charts cover; what is not here was not fetched. Never past what was settled. The body's commit
-- stands here too, since every read asks what was covered at a pin.
create table coverage (
  coin integer not null,
  resolution integer not null,
  starts_at integer not null,
  ends_at integer not null,
  "commit" integer not null,
  landing integer not null,
  constraint coverage_key primary key (coin, resolution, starts_at, ends_at, landing),
  constraint coverage_span check (starts_at < ends_at)
) strict, without rowid;
create index coverage_by_landing on coverage (landing);
-- where a coin's coverage ends, and what of it reaches into a span
create index coverage_of_coin on coverage (coin, resolution, ends_at);
-- what a run has to know of: the last days of all coins
create index coverage_by_end on coverage (resolution, ends_at);

-- Spans for which a chart had no points where there should be some. Believed, and so covered, only once a second chart,
-- received at least an hour earlier or later, is empty there too: a response may have lost what it should hold. Where the
-- points are refused, it is never covered, and not asked for a third time. A chart that ends too early is empty from its newest point
-- on, whole, however much of that another covers: a second one is believed where it begins alike.
create table empty_span (
  coin integer not null,
  resolution integer not null,
  starts_at integer not null,
  ends_at integer not null,
  is_refused integer not null,
  "commit" integer not null,
  landing integer not null,
  constraint empty_span_key primary key (coin, resolution, starts_at, ends_at, landing),
  constraint empty_span_span check (starts_at < ends_at)
) strict, without rowid;
create index empty_span_by_landing on empty_span (landing);
create index empty_span_by_end on empty_span (resolution, ends_at);

-- When each coin was last asked for, and with what outcome: whose turn it is. The only data here that is updated.
create table visit (
  coin text not null,
  resolution integer not null,
  visited_at integer not null,
  outcome text not null,
  constraint visit_key primary key (coin, resolution)
) strict;

-- Whose history is kept at a resolution, from the first half-hour that had the coin to the last, which is null as long as it has it.
create table followed (
  coin text not null,
  resolution integer not null,
  starts_at integer not null,
  ends_at integer,
  constraint followed_key primary key (coin, resolution, starts_at)
) strict;
create index followed_open on followed (resolution) where ends_at is null;
create index followed_by_end on followed (resolution, ends_at) where ends_at is not null;

-- Up to which instant it is known of every followed coin what is covered and what is lost.
create table judged (
  resolution integer constraint judged_key primary key,
  ends_at integer not null
) strict;

-- Spans of followed coins that CoinGecko no longer gives and that were not fetched before: a row when that is noticed. It is healed
-- once a coarser resolution covers the span.
create table lost (
  coin text not null,
  resolution integer not null,
  starts_at integer not null,
  ends_at integer not null,
  run text not null constraint lost_run references run (id),
  noticed_at integer not null,
  healed_at integer,
  constraint lost_key primary key (coin, resolution, starts_at),
  constraint lost_span check (starts_at < ends_at)
) strict;
create index lost_open on lost (ends_at) where healed_at is null;

-- What was refused, each with its rule, its reason and its text. A body refused whole has no place in it.
create table quarantine (
  id integer constraint quarantine_key primary key,
  landing integer not null constraint quarantine_landing references landing (id),
  body text not null,
  record integer,
  coin text,
  rule text not null,
  reason text not null,
  raw text not null
) strict;
create index quarantine_by_landing on quarantine (landing);

-- The outcomes of refused records that were validated again, by the run that did it.
create table requeue (
  quarantine integer not null constraint requeue_quarantine references quarantine (id),
  run text not null constraint requeue_run references run (id),
  outcome text not null constraint requeue_outcome check (outcome in ('stored', 'present', 'refused')),
  reason text,
  constraint requeue_key primary key (quarantine, run)
) strict;
create index requeue_by_run on requeue (run);

-- Fields that the bodies of a run had beyond what is known, or lacked.
create table schema_drift (
  run text not null constraint schema_drift_run references run (id),
  endpoint text not null,
  field text not null,
  deviation text not null constraint schema_drift_deviation check (deviation in ('unknown', 'missing')),
  records integer not null,
  first_seen integer not null,
  last_seen integer not null,
  constraint schema_drift_key primary key (run, endpoint, field, deviation)
) strict;

-- What retention has deleted: points at a resolution before an instant, and where that is null, the landed bodies of this
-- database's runs. The first row of a prune is committed before its first deletion, so that readers can say at once what is gone; then
-- comes one for each batch, with how much it deleted. `days` is the setting, `first_ts` the first stamp that there was.
create table pruned (
  "commit" integer constraint pruned_key primary key constraint pruned_commit references "commit" (id),
  resolution integer,
  before integer not null,
  days integer not null,
  first_ts integer,
  points integer not null,
  revisions integer not null,
  bodies integer not null,
  bytes integer not null
) strict;

-- Every point with its newest value and the body that it came from.
create view price_now as
select
  p.coin,
  p.resolution,
  p.ts,
  case when r.landing is null then p.price else r.price end as price,
  case when r.landing is null then p.market_cap else r.market_cap end as market_cap,
  case when r.landing is null then p.volume else r.volume end as volume,
  coalesce(r.landing, p.landing) as landing
from price_point p
left join (
  select
    v.*,
    row_number() over (
      partition by v.coin, v.resolution, v.ts order by l."commit" desc, l.received_at desc
    ) as place
  from price_revision v
  join landing l on l.id = v.landing
) r on r.coin = p.coin and r.resolution = p.resolution and r.ts = p.ts and r.place = 1;

-- The names of the resolutions, so that a view can be asked for one by its name and use the key.
create table resolution (
  minutes integer constraint resolution_key primary key,
  name text not null constraint resolution_name unique
) strict;
insert into resolution (minutes, name) values (5, '5m'), (60, '1h'), (1440, '1d');

-- The same for people, with each coin's newest symbol and name. The cross joins keep the points innermost, where they are found by
-- their key.
create view v_price_series as
select
  c.id as coin_id,
  n.symbol,
  n.name,
  r.name as resolution,
  strftime('%Y-%m-%dT%H:%M:%fZ', p.ts / 1000.0, 'unixepoch') as ts,
  p.price,
  p.market_cap,
  p.volume,
  p.ts as ts_ms
from coin c
cross join resolution r
cross join price_now p
left join coin_name n on n.coin = c.key
  and n."commit" = (select max(m."commit") from coin_name m where m.coin = c.key)
where p.coin = c.key and p.resolution = r.minutes;

-- What is owed: of followed coins from their first half-hour to their last, or to what was settled when the last run looked; of the
-- others all between the ends of what is covered. What was pruned is owed no more.
create view owed as
select o.coin_id, o.resolution, o.starts_at, o.ends_at
from (
  select
    f.coin as coin_id,
    f.resolution,
    max(
      f.starts_at, coalesce((select max(p.before) from pruned p where p.resolution = f.resolution), f.starts_at)
    ) as starts_at,
    min(coalesce(f.ends_at, j.ends_at + 85800000), j.ends_at + 85800000) as ends_at
  from followed f
  join judged j on j.resolution = f.resolution
) o
where o.starts_at < o.ends_at
union all
select c.id, v.resolution, min(v.starts_at), max(v.ends_at)
from coin c
cross join coverage v on v.coin = c.key
where not exists (select 1 from followed f where f.coin = c.id and f.resolution = v.resolution)
group by c.id, v.resolution;

-- What of it is not covered: from where coverage ends to where it begins again.
create view uncovered as
select g.coin_id, g.resolution, g.starts_at, g.ends_at
from (
  select
    e.coin_id,
    e.resolution,
    max(
      e.owed_from,
      coalesce(
        max(e.ends_at) over (
          partition by e.coin_id, e.resolution, e.owed_from order by e.starts_at, e.ends_at
          rows between unbounded preceding and 1 preceding
        ),
        e.owed_from
      )
    ) as starts_at,
    e.starts_at as ends_at
  from (
    select o.coin_id, o.resolution, o.starts_at as owed_from, v.starts_at, v.ends_at
    from owed o
    cross join coin c on c.id = o.coin_id
    cross join coverage v on v.coin = c.key and v.resolution = o.resolution and v.ends_at > o.starts_at
      and v.starts_at < o.ends_at
    union all
    select o.coin_id, o.resolution, o.starts_at, o.ends_at, o.ends_at
    from owed o
  ) e
) g
where g.starts_at < g.ends_at;

-- Where points are missing, and why: see the data dictionary. Instants are texts; `starts_ms` and `ends_ms` are the numbers.
create view v_gaps as
select
  g.coin_id,
  g.resolution,
  g.kind,
  strftime('%Y-%m-%dT%H:%M:%fZ', g.starts_ms / 1000.0, 'unixepoch') as starts_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', g.ends_ms / 1000.0, 'unixepoch') as ends_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', g.lost_ms / 1000.0, 'unixepoch') as lost_at,
  g.starts_ms,
  g.ends_ms
from (
  select
    u.coin_id,
    r.name as resolution,
    case
      when exists (
        select 1 from lost l
        where l.coin = u.coin_id and l.resolution = u.resolution and l.starts_at < u.ends_at and l.ends_at > u.starts_at
          and l.healed_at is null
      ) then 'lost'
      else 'healed'
    end as kind,
    u.starts_at as starts_ms,
    min(u.ends_at, j.ends_at) as ends_ms,
    u.starts_at + 86400000 as lost_ms
  from uncovered u
  join resolution r on r.minutes = u.resolution
  join judged j on j.resolution = u.resolution
  where u.starts_at < j.ends_at
  union all
  select
    u.coin_id,
    r.name,
    case
      when exists (
        select 1 from coin c join empty_span e on e.coin = c.key
        where c.id = u.coin_id and e.resolution = u.resolution and e.starts_at < u.ends_at and e.ends_at > u.starts_at
          and e.is_refused = 1
      ) then 'refused'
      when exists (
        select 1 from coin c join empty_span e on e.coin = c.key
        where c.id = u.coin_id and e.resolution = u.resolution and e.starts_at < u.ends_at and e.ends_at > u.starts_at
      ) then 'doubted'
      when exists (
        select 1 from visit i
        where i.coin = u.coin_id and i.resolution = u.resolution and i.visited_at > u.starts_at
          and i.outcome not in ('received', 'refused')
      ) then 'failed'
      else 'not_asked'
    end,
    max(u.starts_at, coalesce(j.ends_at, u.starts_at)),
    u.ends_at,
    null
  from uncovered u
  join resolution r on r.minutes = u.resolution
  left join judged j on j.resolution = u.resolution
  -- of less than a step it is not known whether there is a point
  where j.ends_at is null or u.ends_at - max(u.starts_at, j.ends_at) >= r.minutes * 60000
  union all
  select p.coin_id, p.resolution, 'source_empty', p.ts + p.minutes * 60000, p.next_ts, null
  from (
    select
      q.coin,
      c.id as coin_id,
      r.name as resolution,
      r.minutes,
      q.ts,
      (
        select min(n.ts) from price_point n where n.coin = q.coin and n.resolution = q.resolution and n.ts > q.ts
      ) as next_ts
    from coin c
    cross join resolution r
    cross join price_point q on q.coin = c.key and q.resolution = r.minutes
  ) p
  where p.next_ts - p.ts > p.minutes * 150000
    and exists (
      select 1 from coverage v
      where v.coin = p.coin and v.resolution = p.minutes and v.starts_at <= p.ts and v.ends_at >= p.next_ts
    )
) g;
