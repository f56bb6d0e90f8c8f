# shellcheck shell=bash
# Sourced by the Makefile and by every script: where things are kept, and how scripts speak. The only place for these defaults.

# Everything that can be made again lives here, outside the checkout: a fresh clone does not build DataFusion anew.
export ELASTICORE_CACHE=${ELASTICORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elasticore}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ELASTICORE_CACHE/target}

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT

say() { printf '== %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Installs Debian packages whose program (or file, when it begins with /) is missing: install_missing program=package...
# Not as root, or not on Debian, it says what to install instead.
install_missing() {
    local pair packages=()
    for pair in "$@"; do
        if [[ $pair == /* && -e ${pair%%=*} ]]; then
            continue
        fi
        # Daemons live in sbin, which is not on every user's path.
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "please install: ${packages[*]} (names of Debian packages)"
    [ "$(id -u)" = 0 ] || die "please run: sudo apt-get install ${packages[*]}"
    say "installing ${packages[*]}"
    local attempt
    for attempt in 1 2 3; do
        if apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; then
            return 0
        fi
        sleep "$attempt"
    done
    die "could not install ${packages[*]}"
}

# A virtual environment under the cache with these PyPI packages, made when missing: python_with name package...
# Prints its directory.
python_with() {
    local venv=$ELASTICORE_CACHE/venv/$1
    shift
    mkdir -p "${venv%/*}"
    # One at a time: tests that run side by side want the same one.
    (
        flock 9
        # The stamp comes last: an installation that was interrupted is made again.
        if [ "$(cat "$venv/installed" 2>/dev/null)" != "$*" ]; then
            say "installing $* into $venv"
            rm -rf "$venv"
            python3 -m venv "$venv" || die "python3 cannot make a virtual environment (Debian: apt-get install python3-venv)"
            "$venv/bin/pip" install --quiet "$@" >&2 || die "could not install $*"
            printf '%s' "$*" >"$venv/installed"
        fi
    ) 9>"$venv.lock" || exit 1
    printf '%s\n' "$venv"
}

# What writes and checks dashboards: Grafana's types. (`1769699379!` is the package's own count of builds.)
monitoring_python() { python_with monitoring 'grafana-foundation-sdk==1769699379!11.6.0'; }
