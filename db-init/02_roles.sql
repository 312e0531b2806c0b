-- The three roles: the owner migrates, the writer inserts and updates, the reader reads.
-- Passwords come from the environment, so that none is written down here:
--   COINMILL_OWNER_PASSWORD, COINMILL_WRITER_PASSWORD, COINMILL_READER_PASSWORD
\getenv owner_password COINMILL_OWNER_PASSWORD
\getenv writer_password COINMILL_WRITER_PASSWORD
\getenv reader_password COINMILL_READER_PASSWORD

select format('create role %I login', name)
from unnest(array['coinmill_owner', 'coinmill_writer', 'coinmill_reader']) as name
where not exists (select from pg_roles where rolname = name)
\gexec

\if :{?owner_password}
alter role coinmill_owner password :'owner_password';
\endif
\if :{?writer_password}
alter role coinmill_writer password :'writer_password';
\endif
\if :{?reader_password}
alter role coinmill_reader password :'reader_password';
\endif

-- only named roles connect; the writer needs temporary tables to find what is already there
revoke all on database snapshot, timeseries from public;
grant connect on database snapshot, timeseries to coinmill_owner, coinmill_writer, coinmill_reader;
grant temporary on database snapshot, timeseries to coinmill_writer;
