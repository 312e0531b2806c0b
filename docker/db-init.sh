#!/bin/sh
# Roles, databases and schemas, at each start: what is there already stays, and passwords become those of .env.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres)
export PGPASSWORD
set -a
. /run/secrets/roles
set +a
said=$(psql -qtAXc 'select 1' -d postgres 2>&1) || {
  case $said in
    *"password authentication failed"*)
      said="PostgreSQL's volume was made with another POSTGRES_PASSWORD than the one in .env: put back that .env, or remove the volume and all its data with \`make stack-purge\`" ;;
  esac
  echo "$said" >&2
  exit 1
}
for file in /db-init/*.sql; do
  psql -qX -v ON_ERROR_STOP=1 -d postgres -f "$file"
done
echo "the databases and roles are there"
