#!/bin/sh
# Set up .venv from the pinned requirements. Can be interrupted and repeated.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "error: MoltGhost needs Python 3.11 or newer; '$python' isn't" >&2
    echo "hint: name another one, e.g. PYTHON=python3.12 make up" >&2
    exit 2
}

# What the images of this machine are compiled with (moltghost/images). Without it the agents on
# simulated nodes still work, and a build says what it lacks.
absent=
command -v g++ >/dev/null || absent="$absent g++"
[ -e /usr/include/nlohmann/json.hpp ] || absent="$absent nlohmann-json3-dev"
[ -e /usr/include/stb/stb_image.h ] || absent="$absent libstb-dev"
if [ -n "$absent" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$absent, which Ollama is compiled with"
    # shellcheck disable=SC2086 # a list of names
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $absent >/dev/null ||
        echo "could not install$absent; the image of Ollama can't be built without" >&2
fi

# Debian and Ubuntu ship Python without the part that makes virtual environments.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python$version-venv"
        apt-get update -qq && apt-get install -qq -y "python$version-venv" >/dev/null
    else
        echo "error: Python's venv module is missing" >&2
        echo "hint: apt-get install python$version-venv (as root), then again" >&2
        exit 2
    fi
fi

# What the machine's own node needs (moltghost/local/node/requirements.py). Without it the embedded
# cluster has simulated nodes only, and says so.
missing=
for each in runc:runc nft:nftables ip:iproute2 nsenter:util-linux; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${each%%:*}" >/dev/null || missing="$missing ${each#*:}"
done
if [ -n "$missing" ] && [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing for the machine's own node"
    # shellcheck disable=SC2086 # a list of names
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $missing >/dev/null ||
        echo "could not install$missing; the embedded cluster will have simulated nodes only" >&2
fi

[ -x .venv/bin/pip ] || { rm -rf .venv && "$python" -m venv .venv; }
echo "installing Python packages into .venv (a minute when nothing is cached)"
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch .venv/.installed
