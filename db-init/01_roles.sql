-- The four roles: `airflow` owns Airflow's own database; of coinmill's, the owner migrates, the writer inserts and updates,
-- the reader reads. These files are for psql, in their order, as the administrator of a PostgreSQL from 15 on: a superuser, or
-- a role with CREATEDB and CREATEROLE. Running them again changes only what is different.
\set ON_ERROR_STOP on
set client_min_messages = warning;

select format('create role %I login', name)
from unnest(array['airflow', 'coinmill_owner', 'coinmill_writer', 'coinmill_reader']) as name
where not exists (select from pg_roles where rolname = name)
\gexec

-- Passwords come from the environment; where one is not set or is empty, the role keeps what it has. A server that logs
-- statements would log `alter role … password '…'` with the password in it, and only a superuser may turn that off. So they go
-- to the server as the data of a COPY, which is never logged, and are set inside a block, of which only its own text is logged.
begin;
create temporary table given (line text not null) on commit drop;
\copy given from program 'printf "%s\n" "airflow=$AIRFLOW_DATABASE_PASSWORD" "coinmill_owner=$COINMILL_OWNER_PASSWORD" "coinmill_writer=$COINMILL_WRITER_PASSWORD" "coinmill_reader=$COINMILL_READER_PASSWORD"' with (format csv, delimiter E'\x01', quote E'\x02')
do $$
declare
  wanted record;
begin
  if (select count(*) from given) <> 4 then
    raise exception 'a password may not hold a line break';
  end if;
  for wanted in
    select split_part(line, '=', 1) as role, substr(line, strpos(line, '=') + 1) as password from given
  loop
    continue when wanted.password = '';
    begin
      execute format('alter role %I password %L', wanted.role, wanted.password);
    exception when others then
      -- an error that left this block would show the statement that failed
      raise exception 'the password of % cannot be set: %', wanted.role, sqlerrm using errcode = sqlstate;
    end;
  end loop;
end
$$;
commit;

-- An administrator who is no superuser makes databases for other owners, and schemas in them, as their member. From 16 on a
-- role that it has made is not yet one whose rights it has.
select format(
  'grant %I to current_user%s', name,
  case when current_setting('server_version_num')::int >= 160000 then ' with inherit true, set true' end
)
from unnest(array['airflow', 'coinmill_owner']) as name
where name <> current_user and not (select rolsuper from pg_roles where rolname = current_user)
\gexec
