-- Once per cluster, by its administrator, with psql: the three databases of the stack.
-- Nothing here is repeated by coinmill itself; tables come from `coinmill init`.
select format('create database %I', name)
from unnest(array['airflow', 'snapshot', 'timeseries']) as name
where not exists (select from pg_database where datname = name)
\gexec
