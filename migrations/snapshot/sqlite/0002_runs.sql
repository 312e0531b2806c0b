-- The ledger for people: how long a run took, and its numbers. Its report is JSON, in the table. Instants are texts; the column that
-- ends in `_ms` is the number.
create view v_runs as
select
  r.id,
  r.kind,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.slot / 1000.0, 'unixepoch') as slot,
  r.state,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') as started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch') as finished_at,
  (r.finished_at - r.started_at) / 1000.0 as duration_s,
  r.expected,
  r.received,
  r.stored,
  r.rejected,
  r.calls,
  r.score,
  r.error,
  r.started_at as started_ms
from run r;
