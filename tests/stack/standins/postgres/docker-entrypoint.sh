#!/bin/bash
# What the official image documents of its entrypoint, as far as the stack uses it. Without -u: set-up scripts that are
# sourced may not stand it.
set -Eeo pipefail

fail() {
	echo "error: $*" >&2
	exit 1
}

# NAME [DEFAULT]: from NAME or the file NAME_FILE, never both
from_file() {
	local name=$1 file=${1}_FILE value=${2:-}
	if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
		fail "both $name and $file are set: they exclude each other"
	fi
	if [ -n "${!name:-}" ]; then
		value=${!name}
	elif [ -n "${!file:-}" ]; then
		value=$(<"${!file}")
	fi
	export "$name=$value"
	unset "$file"
}

# an option alone is the server's
[ "${1:0:1}" != - ] || set -- postgres "$@"

# another command runs as it is; so does a server that is only asked for its version or its settings
[ "$1" = postgres ] || exec "$@"
for word; do
	case $word in -\? | --help | --describe-config | -V | --version) exec "$@" ;; esac
done

# as root, to whom alone a secret may belong
from_file POSTGRES_PASSWORD
from_file POSTGRES_USER postgres
from_file POSTGRES_DB "$POSTGRES_USER"
from_file POSTGRES_INITDB_ARGS
: "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"

mkdir -p "$PGDATA"
chmod 700 "$PGDATA" || :
mkdir -p /var/run/postgresql || :
chmod 3775 /var/run/postgresql || :
if [ "$(id -u)" = 0 ]; then
	find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres '{}' +
	exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
fi

if [ -s "$PGDATA/PG_VERSION" ]; then
	echo "PostgreSQL Database directory appears to contain a database; Skipping initialization"
	exec "$@"
fi
if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
	fail "Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD"
fi

# unquoted: it holds several arguments
# shellcheck disable=SC2086
initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") $POSTGRES_INITDB_ARGS
# initdb trusts the socket and the container itself; everyone else shows a password
printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"

# the set-up is reached over the socket only, so that nobody takes it for the server
options=("${@:2}" -c listen_addresses= -p 5432)
export PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}"
PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${options[@]}")" -w start
sql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER")
if [ "$POSTGRES_DB" != postgres ]; then
	"${sql[@]}" --dbname postgres -v db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
fi
sql+=(--dbname "$POSTGRES_DB")
for file in /docker-entrypoint-initdb.d/*; do
	[ -e "$file" ] || continue
	echo "$0: $file"
	case $file in
		# shellcheck disable=SC1090
		*.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
		*.sql) "${sql[@]}" -f "$file" ;;
		*.sql.gz) gunzip -c "$file" | "${sql[@]}" ;;
		*.sql.xz) xzcat "$file" | "${sql[@]}" ;;
		*.sql.zst) zstd -dc "$file" | "${sql[@]}" ;;
		*) echo "$0: ignored" ;;
	esac
done
pg_ctl -D "$PGDATA" -m fast -w stop
unset PGPASSWORD
echo "PostgreSQL init process complete; ready for start up."
exec "$@"
