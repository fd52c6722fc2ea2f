# shellcheck shell=sh source=/dev/null
# The environment of every command: start and shells read this file, so that it may run twice.

# In a directory of a group that may write, the group may write new files, too.
[ $((0$(stat -c %a /project/src 2>/dev/null) & 020)) = 0 ] || umask 002

# Python of /usr/local has a pip, whose packages the analysis would not see.
export PIP_REQUIRE_VIRTUALENV=1

# Requests inside the project go past a company's proxy, which Docker takes from its config.json.
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

# Libraries that bring certificates of their own trust those of the image instead, a company's among them.
export SSL_CERT_FILE="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
export REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-$SSL_CERT_FILE}" AWS_CA_BUNDLE="${AWS_CA_BUNDLE:-$SSL_CERT_FILE}"

# The file is in the image alone.
[ ! -r /opt/tools/etc/limits.sh ] || . /opt/tools/etc/limits.sh
