#!/bin/sh
# Airflow's tables and its first user, at each start: migrated where they are older, and the password becomes that of .env.
set -eu
. /run/secrets/admin

# runs what follows; a failure is all it said, and then the one line that matters
quietly() {
  "$@" >/tmp/log 2>&1 && return
  cat /tmp/log >&2
  if grep -q "Can't locate revision" /tmp/log; then
    echo "Airflow's database is of a newer version than this image: check out the newer version again, or go back by way of the backup of before the upgrade (docs/operations.md, Upgrade)" >&2
    exit 1
  fi
  grep -E '^[^ ]*(Error|FATAL|Exception)' /tmp/log | tail -n 1 >&2
  exit 1
}
# a password as an argument would be seen by `ps`
answered() { printf '%s\n%s\n' "$password" "$password" | airflow "$@"; }

quietly airflow db migrate
quietly answered users create -u "$user" -r Admin -f Airflow -l Administrator -e admin@localhost
if grep -q "already exist" /tmp/log; then
  quietly answered users reset-password -u "$user"
fi
echo "Airflow's database is up to date"
