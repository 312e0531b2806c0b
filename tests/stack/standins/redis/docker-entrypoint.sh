#!/bin/sh
set -e

# options, or a configuration, alone are redis-server's
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . ! -user redis -exec chown redis '{}' +
	exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
fi

if [ "$1" = redis-server ]; then
	[ "$(umask)" != 0022 ] || umask 0077
	# the official build answers other containers without a password; Debian's refuses until it is told to
	case "$2" in '' | -*) set -- "$@" --protected-mode no ;; esac
fi
exec "$@"
