-- Run after every migration of `coinmill init`: the rights of the two lesser roles, where they exist.
-- The writer inserts and updates and never creates or deletes; the reader reads.
do $$
begin
  if exists (select from pg_roles where rolname = 'coinmill_writer') then
    grant usage on schema timeseries to coinmill_writer;
    grant select, insert on all tables in schema timeseries to coinmill_writer;
    grant usage on sequence timeseries.landing_id to coinmill_writer;
    grant update on timeseries.run, timeseries.visit, timeseries.followed, timeseries.judged, timeseries.lost to coinmill_writer;
    grant update (at) on timeseries."commit" to coinmill_writer;
    revoke insert on timeseries._sqlx_migrations, timeseries.setting, timeseries.pruned, timeseries.resolution,
      timeseries.candle_length from coinmill_writer;
  end if;
  if exists (select from pg_roles where rolname = 'coinmill_reader') then
    grant usage on schema timeseries to coinmill_reader;
    grant select on all tables in schema timeseries to coinmill_reader;
  end if;
end
$$;
