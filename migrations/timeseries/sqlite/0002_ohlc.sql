-- Candles and the ledger as views. Instants are texts; the columns that end in `_ms` are the numbers.

-- How long a candle of each name is, in milliseconds.
create table candle_length (
  every text not null constraint candle_length_key primary key,
  milliseconds integer not null
) strict;
insert into candle_length (every, milliseconds) values ('1h', 3600000), ('1d', 86400000);

-- The same as `price_now`, for who looks at one point after the other: its newest value is found by its key, while `price_now` orders
-- all revisions first.
create view point_now as
select
  p.coin,
  p.resolution,
  p.ts,
  case when v.landing is null then p.price else v.price end as price,
  case when v.landing is null then p.market_cap else v.market_cap end as market_cap,
  case when v.landing is null then p.volume else v.volume end as volume
from price_point p
left join price_revision v on v.coin = p.coin and v.resolution = p.resolution and v.ts = p.ts
  -- by the columns of `v` itself, so that nothing is looked for where a point was never revised
  and v.landing = (
    select n.landing
    from price_revision n
    join landing b on b.id = n.landing
    where n.coin = v.coin and n.resolution = v.resolution and n.ts = v.ts
    order by b."commit" desc, b.received_at desc
    limit 1
  );

-- 0 to 1,199: a thousand times one and another count the hours from 1970 to 2106.
create table _number (n integer constraint _number_key primary key) strict;
insert into _number (n)
with recursive counted(n) as (select 0 union all select n + 1 from counted where n < 1199)
select n from counted;

-- The bars of a coin that have a point with a price, and what the points of either resolution say. The bars are counted from the
-- coin's first point to its last, and the points of each are found by their key: whoever asks for a month reads the points of a month.
-- The newest value of a point counts. Whether a bar is covered is said here, where it is looked up once.
create view bar as
select
  c.id as coin_id,
  c.key as coin,
  l.every,
  (t.n * 1000 + u.n) * l.milliseconds as starts_at,
  (t.n * 1000 + u.n + 1) * l.milliseconds as ends_at,
  max(p.price) filter (where p.resolution = 5) as high_5m,
  min(p.price) filter (where p.resolution = 5) as low_5m,
  count(p.price) filter (where p.resolution = 5) as points_5m,
  min(p.ts) filter (where p.resolution = 5 and p.price is not null) as first_5m,
  max(p.ts) filter (where p.resolution = 5 and p.price is not null) as last_5m,
  max(p.ts) filter (where p.resolution = 5 and p.market_cap is not null) as last_cap_5m,
  max(p.ts) filter (where p.resolution = 5 and p.volume is not null) as last_volume_5m,
  max(p.price) filter (where p.resolution = 60) as high_1h,
  min(p.price) filter (where p.resolution = 60) as low_1h,
  count(p.price) filter (where p.resolution = 60) as points_1h,
  min(p.ts) filter (where p.resolution = 60 and p.price is not null) as first_1h,
  max(p.ts) filter (where p.resolution = 60 and p.price is not null) as last_1h,
  max(p.ts) filter (where p.resolution = 60 and p.market_cap is not null) as last_cap_1h,
  max(p.ts) filter (where p.resolution = 60 and p.volume is not null) as last_volume_1h,
  exists (
    select 1 from coverage v
    where v.coin = c.key and v.resolution = 5
      and v.ends_at > (t.n * 1000 + u.n) * l.milliseconds and v.starts_at <= (t.n * 1000 + u.n) * l.milliseconds
  ) and not exists (
    select 1 from coverage v
    where v.coin = c.key and v.resolution = 5
      and v.ends_at > (t.n * 1000 + u.n) * l.milliseconds and v.ends_at < (t.n * 1000 + u.n + 1) * l.milliseconds
      and not exists (
        select 1 from coverage n
        where n.coin = v.coin and n.resolution = v.resolution and n.ends_at > v.ends_at and n.starts_at <= v.ends_at
      )
  ) as is_whole_5m,
  exists (
    select 1 from coverage v
    where v.coin = c.key and v.resolution = 60
      and v.ends_at > (t.n * 1000 + u.n) * l.milliseconds and v.starts_at <= (t.n * 1000 + u.n) * l.milliseconds
  ) and not exists (
    select 1 from coverage v
    where v.coin = c.key and v.resolution = 60
      and v.ends_at > (t.n * 1000 + u.n) * l.milliseconds and v.ends_at < (t.n * 1000 + u.n + 1) * l.milliseconds
      and not exists (
        select 1 from coverage n
        where n.coin = v.coin and n.resolution = v.resolution and n.ends_at > v.ends_at and n.starts_at <= v.ends_at
      )
  ) as is_whole_1h
from coin c
cross join candle_length l
cross join _number t
cross join _number u
cross join point_now p
where t.n >= (
    select min((select min(f.ts) from price_point f where f.coin = c.key and f.resolution = r.minutes))
    from resolution r where r.minutes in (5, 60)
  ) / l.milliseconds / 1000
  and t.n <= (
    select max((select max(f.ts) from price_point f where f.coin = c.key and f.resolution = r.minutes))
    from resolution r where r.minutes in (5, 60)
  ) / l.milliseconds / 1000
  and u.n < 1000
  and p.coin = c.key and p.resolution in (5, 60)
  and p.ts >= (t.n * 1000 + u.n) * l.milliseconds and p.ts < (t.n * 1000 + u.n + 1) * l.milliseconds
group by c.id, c.key, l.every, l.milliseconds, (t.n * 1000 + u.n) * l.milliseconds
having count(p.price) > 0;

-- One candle a bar, in UTC: of five-minute points where they cover it, else of hourly ones where these do; where neither covers it
-- whole, of those that reach over more of it; never of both. CoinGecko's volume is the sum of the 24 hours before, so the last one
-- counts.
create view ohlc as
select
  o.coin_id,
  o.every,
  strftime('%Y-%m-%dT%H:%M:%fZ', o.starts_at / 1000.0, 'unixepoch') as ts,
  (
    select p.price from point_now p
    where p.coin = o.coin and p.resolution = case when o.is_fine then 5 else 60 end
      and p.ts = case when o.is_fine then o.first_5m else o.first_1h end
  ) as open,
  case when o.is_fine then o.high_5m else o.high_1h end as high,
  case when o.is_fine then o.low_5m else o.low_1h end as low,
  (
    select p.price from point_now p
    where p.coin = o.coin and p.resolution = case when o.is_fine then 5 else 60 end
      and p.ts = case when o.is_fine then o.last_5m else o.last_1h end
  ) as close,
  case when o.is_fine then o.points_5m else o.points_1h end as points,
  (
    select p.market_cap from point_now p
    where p.coin = o.coin and p.resolution = case when o.is_fine then 5 else 60 end
      and p.ts = case when o.is_fine then o.last_cap_5m else o.last_cap_1h end
  ) as market_cap,
  (
    select p.volume from point_now p
    where p.coin = o.coin and p.resolution = case when o.is_fine then 5 else 60 end
      and p.ts = case when o.is_fine then o.last_volume_5m else o.last_volume_1h end
  ) as volume_24h,
  case when o.is_fine then '5m' else '1h' end as resolution,
  not case when o.is_fine then o.is_whole_5m else o.is_whole_1h end as is_partial,
  o.starts_at as ts_ms
from (
  select
    b.*,
    b.points_5m > 0 and (
      b.points_1h = 0 or b.is_whole_5m or (
        not b.is_whole_1h and b.last_5m - b.first_5m >= b.last_1h - b.first_1h
      )
    ) as is_fine
  from bar b
) o;

create view v_ohlc_1h as
select coin_id, ts, open, high, low, close, points, market_cap, volume_24h, resolution, is_partial, ts_ms
from ohlc
where every = '1h';

create view v_ohlc_1d as
select coin_id, ts, open, high, low, close, points, market_cap, volume_24h, resolution, is_partial, ts_ms
from ohlc
where every = '1d';

-- The ledger for people: how long a run took, and its numbers. Its report is JSON, in the table.
create view v_runs as
select
  r.id,
  r.kind,
  n.name as resolution,
  r.state,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') as started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch') as finished_at,
  (r.finished_at - r.started_at) / 1000.0 as duration_s,
  r.expected,
  r.received,
  r.stored,
  r.rejected,
  r.calls,
  r.error,
  r.started_at as started_ms
from run r
left join resolution n on n.minutes = r.resolution;
