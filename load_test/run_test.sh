#!/usr/bin/env bash
# Load test with Locust, installed into a virtual environment in the user's cache when missing.
set -euo pipefail
# shellcheck source=scripts/env.sh
. "$(dirname "$0")/../scripts/env.sh"

host=http://localhost:8081
users=100
rate=10
time=5m
headless=

usage() {
    cat <<'TEXT'
load_test/run_test.sh [--host URL] [--users N] [--rate N] [--time 5m] [--headless]

  --host URL    where the stack answers             http://localhost:8081
  --users N     concurrent users                    100
  --rate N      users started per second            10
  --time T      how long: 30s, 5m, 1h               5m
  --headless    no web page (http://localhost:8089); print a summary and exit, with 1 when an objective is broken

Variables:
  SLO_P95_MS, SLO_P99_MS, SLO_FAILURES   objectives for the cache        50, 250, 0.001
  JOBS=0                                 only the cache
  JOB_DATA                               where workers see the sample    file:///data (compose) or this checkout, whichever works
  CACHE_KEYS, VALUE_BYTES                size of the working set         10000, 100
TEXT
}

while [ $# -gt 0 ]; do
    case $1 in
    --host | --users | --rate | --time)
        [ $# -ge 2 ] || die "$1 needs a value"
        declare "${1#--}=$2"
        shift 2
        ;;
    --headless)
        headless=--headless
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        die "unknown option $1"
        ;;
    esac
done

curl -fsS --max-time 5 -o /dev/null "$host/ready" || die "nothing is ready at $host; start it with: make run"

# A job that reads the sample there succeeds.
sample_is_at() {
    curl -fsS --max-time 40 -H 'Content-Type: application/json' -H 'Prefer: wait=30' "$host/jobs" \
        -d '{"query":"SELECT count(*) AS n FROM t","tables":{"t":{"uri":"'"$1"'/lineitem.csv"}}}' 2>/dev/null | grep -q '"succeeded"'
}
if [ "${JOBS:-1}" = 1 ] && [ -z "${JOB_DATA:-}" ]; then
    for candidate in file:///data "file://$ROOT/deploy/sample-data"; do
        if sample_is_at "$candidate"; then
            JOB_DATA=$candidate
            break
        fi
    done
    [ -n "${JOB_DATA:-}" ] || die "workers at $host do not see the sample data; set JOB_DATA to where lineitem.csv is, or JOBS=0"
    export JOB_DATA
fi

venv=$(python_with locust locust==2.47.0)
# Only the summary of locustfile.py, not a table every two seconds.
exec "$venv/bin/locust" --locustfile "$(dirname "$0")/locustfile.py" --host "$host" --users "$users" --spawn-rate "$rate" \
    --run-time "$time" --only-summary --loglevel WARNING --stop-timeout 40 ${headless:+"$headless"}
