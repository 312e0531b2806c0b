#!/bin/sh
# Roles, databases and schemas, at each start: what is there already stays, and passwords become those of .env.
# With a command it runs that instead, as the administrator: db-init psql, db-init pg_dump …
set -eu
set -a
. /run/secrets/roles
PGPASSWORD=$(cat /run/secrets/postgres)
set +a
[ $# = 0 ] || exec "$@"
said=$(psql -qtAXc 'select 1' -d postgres 2>&1) || {
  case $PGHOST/$said in
    postgres/*"password authentication failed"*)
      said="PostgreSQL's volume was made with another POSTGRES_PASSWORD than the one in .env: put back that .env, or tell PostgreSQL the new one (docker compose exec postgres psql -U postgres -c '\\password'), or delete all data with \`make stack-purge\`" ;;
  esac
  printf "%s\n" "$said" >&2
  exit 1
}
for file in /db-init/*.sql; do
  psql -qX -v ON_ERROR_STOP=1 -d postgres -f "$file"
done
echo "the databases and roles are there"
