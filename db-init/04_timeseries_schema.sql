-- The schema of the timeseries database, owned by the role that migrates it. `public` is closed: nobody creates there.
\set ON_ERROR_STOP on
\connect airflow_timeseries
set client_min_messages = warning;
create schema if not exists timeseries authorization coinmill_owner;
revoke create on schema public from public;
alter role coinmill_owner in database airflow_timeseries set search_path = timeseries;
alter role coinmill_writer in database airflow_timeseries set search_path = timeseries;
alter role coinmill_reader in database airflow_timeseries set search_path = timeseries;
