-- Run after every migration of `coinmill init`: the rights of the two lesser roles, where they exist.
-- The writer inserts and updates and never creates or deletes; the reader reads.
do $$
begin
  if exists (select from pg_roles where rolname = 'coinmill_writer') then
    grant usage on schema budget to coinmill_writer;
    grant select, insert, update on budget.budget, budget.pace, budget.turn to coinmill_writer;
    grant select on budget._sqlx_migrations to coinmill_writer;
  end if;
  if exists (select from pg_roles where rolname = 'coinmill_reader') then
    grant usage on schema budget to coinmill_reader;
    grant select on all tables in schema budget to coinmill_reader;
  end if;
end
$$;
