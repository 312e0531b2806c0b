-- Run after every migration of `coinmill init`: the rights of the two lesser roles, where they exist.
-- The writer inserts and updates and never creates or deletes; the reader reads.
do $$
begin
  if exists (select from pg_roles where rolname = 'coinmill_writer') then
    grant usage on schema snapshot to coinmill_writer;
    grant select, insert on all tables in schema snapshot to coinmill_writer;
    grant usage on sequence snapshot.landing_id to coinmill_writer;
    grant update on snapshot.run to coinmill_writer;
    grant update (at) on snapshot."commit" to coinmill_writer;
    revoke insert on snapshot._sqlx_migrations, snapshot.setting, snapshot.pruned from coinmill_writer;
  end if;
  if exists (select from pg_roles where rolname = 'coinmill_reader') then
    grant usage on schema snapshot to coinmill_reader;
    grant select on all tables in schema snapshot to coinmill_reader;
  end if;
end
$$;
