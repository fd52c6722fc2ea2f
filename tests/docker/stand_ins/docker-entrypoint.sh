#!/usr/bin/env bash
# The parts of the official images' entrypoints that the template relies on. As root: read the variables and their _FILE
# forms, give the data to the server's user. As that user: create the database, with a server that is not on the network.
set -euo pipefail

# As documented: a variable or its _FILE, which loses the newlines at its end and nothing else.
file_env() {
    local file=${1}_FILE
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both $1 and $file are set (but are exclusive)" >&2
        exit 1
    fi
    local value=${!1:-${2:-}}
    if [ -n "${!file:-}" ]; then value=$(<"${!file}"); fi
    export "$1=$value"
    unset "$file"
}

require() {
    if [ -z "${!1}" ]; then
        echo "error: the database is uninitialized and $1 is not specified" >&2
        exit 1
    fi
}

make_mysql() {
    require MYSQL_ROOT_PASSWORD
    mariadb-install-db --auth-root-authentication-method=normal --skip-test-db >/dev/null
    mysqld --skip-networking &
    until mysqladmin --silent ping; do sleep 0.2; done
    mysql --user root <<-SQL
		CREATE DATABASE $MYSQL_DATABASE;
		CREATE USER $MYSQL_USER IDENTIFIED BY '$MYSQL_PASSWORD';
		GRANT ALL ON $MYSQL_DATABASE.* TO $MYSQL_USER;
		CREATE OR REPLACE USER root@'$MYSQL_ROOT_HOST' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
		GRANT ALL ON *.* TO root@'$MYSQL_ROOT_HOST' WITH GRANT OPTION;
	SQL
    kill $!
    wait
}

make_postgres() {
    require POSTGRES_PASSWORD
    initdb --username "$POSTGRES_USER" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") >/dev/null
    echo "listen_addresses = '*'" >>"$data/postgresql.conf"
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses=" start
    createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait stop
}

case $1 in
    redis-server) user=redis data=/data ;;
    mysqld)
        user=mysql data=/var/lib/mysql
        file_env MYSQL_ROOT_HOST %
        for name in MYSQL_DATABASE MYSQL_USER MYSQL_PASSWORD MYSQL_ROOT_PASSWORD; do file_env "$name"; done
        ;;
    postgres)
        user=postgres data=$PGDATA
        file_env POSTGRES_PASSWORD
        file_env POSTGRES_USER postgres
        file_env POSTGRES_DB "$POSTGRES_USER"
        ;;
esac
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data"
    find "$data" ! -user "$user" -exec chown "$user" {} +
    exec setpriv --reuid "$user" --regid "$user" --init-groups "$0" "$@"
fi
case $1 in
    redis-server) set -- "$@" --protected-mode no ;;
    mysqld) [ -d "$data/mysql" ] || make_mysql ;;
    postgres) [ -s "$data/PG_VERSION" ] || make_postgres ;;
esac
exec "$@"
