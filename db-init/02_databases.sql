-- The three databases of the stack, each with its owner, and who may connect to them: nobody but the roles that are named here.
-- Nothing here is repeated by coinmill itself; tables come from `coinmill init` and `airflow db migrate`.
\set ON_ERROR_STOP on
set client_min_messages = warning;

select format(
  case when datname is null then 'create database %I owner %I' else 'alter database %I owner to %I' end, name, owner
)
from (
  values ('airflow', 'airflow'), ('airflow_snapshot', 'coinmill_owner'), ('airflow_timeseries', 'coinmill_owner')
) as wanted (name, owner)
left join pg_database on datname = name
where datname is null or pg_get_userbyid(datdba) <> owner
\gexec

revoke all on database airflow, airflow_snapshot, airflow_timeseries from public;
revoke all on database airflow from coinmill_owner, coinmill_writer, coinmill_reader;
revoke all on database airflow_snapshot, airflow_timeseries from airflow;
grant connect on database airflow_snapshot, airflow_timeseries to coinmill_writer, coinmill_reader;
-- the writer needs temporary tables to find what is already there
grant temporary on database airflow_snapshot, airflow_timeseries to coinmill_writer;
