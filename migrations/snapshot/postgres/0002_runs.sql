-- The ledger for people: how long a run took, and its numbers. Its report is JSON, in the table.
create view v_runs as
select
  r.id,
  r.kind,
  r.slot,
  r.state,
  r.started_at,
  r.finished_at,
  extract(epoch from r.finished_at - r.started_at)::double precision as duration_s,
  r.expected,
  r.received,
  r.stored,
  r.rejected,
  r.calls,
  r.score,
  r.error,
  (extract(epoch from r.started_at) * 1000)::bigint as started_ms
from run r;
