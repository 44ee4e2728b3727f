#!/bin/sh
# Installs the first of some Debian packages that this distribution has, and keeps it from
# starting, enabling or creating a server of its own. Servers that are there already are not
# touched.
#
#   apt-install.sh weft-apt-install [--suite NAME] PATTERN...
#
# A PATTERN is an extended regular expression over package names; of several matches the newest
# by name is taken. Run as root; the first argument marks this process for the policy below.
# Exit codes: 3 no such package; else apt-get's.
set -eu
shift

policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.d
mark='# written by weft while it installs packages'
work=$(mktemp -d)
made_policy='' made_clusters='' suite=''

cleanup() {
    rm -f "$clusters/weft.conf"
    [ -z "$made_clusters" ] || rmdir "$clusters" 2>/dev/null || true
    [ -z "$made_policy" ] || rm -f "$policy"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

export DEBIAN_FRONTEND=noninteractive LC_ALL=C NEEDRESTART_MODE=l

# Our own policy speaks of these servers alone, and is silent without this process, should that
# be killed before it can clean up. A policy of the machine's own is respected.
forbid_starts() {
    if [ -e "$policy" ] && ! grep -qsF "$mark" "$policy"; then return; fi
    made_policy=yes
    cat >"$policy" <<POLICY
#!/bin/sh
$mark
grep -qs weft-apt-install /proc/$$/cmdline || exit 0
case "\$*" in
*restart*) exit 0 ;;
rabbitmq-server*start* | epmd*start* | postgresql*start*) exit 101 ;;
redis-server*start* | valkey-server*start*) exit 101 ;;
esac
exit 0
POLICY
    chmod 755 "$policy"
}

forbid_clusters() {
    [ -d "$clusters" ] || { mkdir -p "$clusters" && made_clusters=yes; }
    echo 'create_main_cluster = false' >"$clusters/weft.conf"
}

# One more suite from the mirror that this machine uses already; its lists are kept apart.
add_suite() {
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk -v base="${suite%-*}" '$1 == base { print $2; exit }')
    [ -n "$mirror" ] || return 0
    mkdir -p "$work/lists/partial"
    [ ! -f /etc/apt/sources.list ] || cp /etc/apt/sources.list "$work/sources.list"
    echo "deb $mirror $suite main" >>"$work/sources.list"
}

# apt-get or apt-cache, with that suite once it is there.
apt() {
    tool=$1
    shift
    if [ -f "$work/sources.list" ]; then
        set -- -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::State::Lists=$work/lists" "$@"
    fi
    "$tool" -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

choose() {
    for pattern; do
        found=$(apt apt-cache search --names-only "$pattern" | cut -d' ' -f1 | sort -V | tail -n 1)
        [ -z "$found" ] || { echo "$found" && return; }
    done
}

# apt closes the descriptor of its status lines to dpkg: it must not be that of the output.
install() {
    apt apt-get -y --no-remove --no-install-recommends \
        -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
        -o APT::Status-Fd=3 install "$1" 3>&1
}

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

if [ "$1" = --suite ]; then
    suite=$2
    shift 2
    add_suite
fi

package=$(choose "$@")
if [ -z "$package" ]; then
    apt apt-get update
    package=$(choose "$@")
fi
[ -n "$package" ] || { echo "no package is named $*" >&2; exit 3; }

servers=''
for server in rabbitmq-server redis-server valkey-server; do
    installed "$server" || servers="$servers $server"
done
installed erlang-base || servers="$servers epmd"

forbid_starts
forbid_clusters
install "$package" || { apt apt-get update && install "$package"; }

# What came just now is not to start at the next boot either.
for server in $servers; do
    if [ "$server" = epmd ]; then
        ! command -v systemctl >/dev/null || systemctl --quiet disable epmd.socket epmd.service
    elif installed "$server"; then
        update-rc.d "$server" disable
        ! command -v systemctl >/dev/null || systemctl --quiet disable "$server.service"
    fi
done 2>/dev/null || true
