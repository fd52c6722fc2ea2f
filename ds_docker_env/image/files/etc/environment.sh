# shellcheck shell=sh source=/dev/null
# The environment of every command. start and shells read this file, so it may run twice.

# If src is writable for its group, new files are, too.
[ $((0$(stat -c %a /project/src 2>/dev/null) & 020)) = 0 ] || umask 002

# The analysis would not see packages of the pip in /usr/local.
export PIP_REQUIRE_VIRTUALENV=1

# Requests inside the project bypass a company's proxy, which Docker sets from its config.json.
NO_PROXY="${NO_PROXY:-${no_proxy:-}}"
for name in localhost 127.0.0.1 "$(uname -n)" host.docker.internal \
    jupyter redis mysql postgres h2o dask-scheduler dask-worker; do
    case ",$NO_PROXY," in
    ",*," | *",$name,"*) ;;
    *) NO_PROXY="${NO_PROXY:+$NO_PROXY,}$name" ;;
    esac
done
unset name
export NO_PROXY no_proxy="$NO_PROXY"

# Libraries with certificates of their own use the image's instead, which include a company's.
export SSL_CERT_FILE="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
export REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-$SSL_CERT_FILE}" AWS_CA_BUNDLE="${AWS_CA_BUNDLE:-$SSL_CERT_FILE}"

# This file exists only in the image.
[ ! -r /opt/tools/etc/limits.sh ] || . /opt/tools/etc/limits.sh
