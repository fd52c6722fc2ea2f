#!/usr/bin/env bash
# Stands in for the official images' entrypoints, as far as the template relies on them: as root it reads the passwords
# into the environment and takes the data folder over; as the server's user it makes the database, with a server that is
# not on the network, and becomes the final server.
set -euo pipefail

case $1 in
    redis-server) user=redis data=/data ;;
    mysqld) user=mysql data=/var/lib/mysql ;;
    postgres) user=postgres data=$PGDATA ;;
esac

if [ "$(id -u)" = 0 ]; then
    for name in MYSQL_PASSWORD MYSQL_ROOT_PASSWORD POSTGRES_PASSWORD; do
        file=${name}_FILE
        [ -z "${!file:-}" ] || export "$name=$(<"${!file}")"
        unset "$file"
    done
    mkdir -p "$data"
    find "$data" ! -user "$user" -exec chown "$user" {} +
    exec setpriv --reuid "$user" --regid "$user" --init-groups "$0" "$@"
fi

make_mysql() {
    mariadb-install-db --auth-root-authentication-method=normal --skip-test-db >/dev/null
    mysqld --skip-networking &
    until mysqladmin --silent ping; do sleep 0.2; done
    mysql --user root <<-SQL
		CREATE DATABASE $MYSQL_DATABASE;
		CREATE USER $MYSQL_USER IDENTIFIED BY '$MYSQL_PASSWORD';
		GRANT ALL ON $MYSQL_DATABASE.* TO $MYSQL_USER;
		CREATE OR REPLACE USER root@'${MYSQL_ROOT_HOST:-%}' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
		GRANT ALL ON *.* TO root@'${MYSQL_ROOT_HOST:-%}' WITH GRANT OPTION;
	SQL
    kill $!
    wait
}

make_postgres() {
    initdb --username "$POSTGRES_USER" --pwfile <(echo "$POSTGRES_PASSWORD") >/dev/null
    echo "listen_addresses = '*'" >>"$data/postgresql.conf"
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses=" start
    createdb --username "$POSTGRES_USER" "${POSTGRES_DB:-$POSTGRES_USER}"
    pg_ctl --wait stop
}

case $1 in
    redis-server) set -- "$@" --protected-mode no ;;
    mysqld) [ -d "$data/mysql" ] || make_mysql ;;
    postgres) [ -s "$data/PG_VERSION" ] || make_postgres ;;
esac
exec "$@"
