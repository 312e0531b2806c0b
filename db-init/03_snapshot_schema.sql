-- The schema of the snapshot database, owned by the role that migrates it. `public` is closed: nobody creates there.
\connect snapshot
create schema if not exists snapshot authorization coinmill_owner;
revoke create on schema public from public;
alter role coinmill_owner in database snapshot set search_path = snapshot;
alter role coinmill_writer in database snapshot set search_path = snapshot;
alter role coinmill_reader in database snapshot set search_path = snapshot;
