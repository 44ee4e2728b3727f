#!/bin/sh
# Makes a virtual environment; on Debian and Ubuntu it first gets the package that this takes.
#
#   python-venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

fail() {
    echo "$1" >&2
    exit 1
}

[ -n "$python" ] || fail 'Weft needs Python 3.11 or newer, and none is on the PATH.
Debian 12, Ubuntu 24.04 and later have it: apt-get install python3
Another one: make up PYTHON=/path/to/python3'

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    command -v apt-get >/dev/null || fail "$python cannot make virtual environments: no ensurepip"
    echo "installing $package"
    root=''
    [ "$(id -u)" = 0 ] || root=sudo
    get() {
        $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
    }
    get -y --no-install-recommends install "$package" >/dev/null 2>&1 || {
        get update
        get -y --no-install-recommends install "$package" >/dev/null
    }
fi

echo "making $folder with $("$python" --version)"
"$python" -m venv --clear "$folder"
