#!/usr/bin/env bash
# Load test with Locust, installed into a virtual environment in the user's cache when missing.
set -euo pipefail
# shellcheck source=scripts/env.sh
. "$(dirname "$0")/../scripts/env.sh"

host=http://localhost:8081
users=100
rate=10
time=
scenario=mixed
shape=steady
result=
headless=

usage() {
    cat <<'TEXT'
load_test/run_test.sh [--host URL] [--users N] [--rate N] [--time 5m] [--headless] [--scenario NAME] [--shape NAME] [--result FILE]

  --host URL       where the stack answers             http://localhost:8081
  --users N        concurrent users                    100
  --rate N         users started per second            10
  --time T         how long: 30s, 5m, 1h               5m; soak: 1h
  --headless       no web page (http://localhost:8089); print a summary and exit, with 1 when an objective is broken
  --scenario NAME  mixed: of 100 users 80 of the cache, 15 of /kv, 5 of jobs      mixed
                   cache: 80 % get, 15 % put, 5 % delete; Zipf keys; values of 100 B, 1 KiB and 10 KiB; a miss is filled
                   kv:    70 % get, 20 % put, 5 % compare-and-set, 5 % list
                   jobs:  SQL over the sample data, each user a query every five seconds
  --shape NAME     steady; ramp: ten steps up to all users; spike: a fifth of the users, all for a fifth of the time, a fifth again;
                   soak: steady, and the last quarter must not be much slower than the first       steady
  --result FILE    the figures as JSON too

Variables:
  SLO_P95_MS, SLO_P99_MS                 objectives for the cache        50, 250
  SLO_KV_P95_MS, SLO_KV_P99_MS           for /kv                         100, 500
  SLO_JOBS_P95_MS, SLO_JOBS_P99_MS       for jobs, waited for            5000, 15000
  SLO_FAILURES, SLO_HIT_RATE             of all requests; of reads in the second half   0.001, 0.5
  JOBS=0                                 no jobs
  JOB_DATA                               where workers see the sample    file:///data (compose) or this checkout, whichever works
  CACHE_KEYS, KV_KEYS                    size of the working sets        10000, 1000
  VALUE_BYTES                            one size for all values         100 B (70 %), 1 KiB (25 %), 10 KiB (5 %)
TEXT
}

one_of() {
    local name=$1 value=$2
    shift 2
    local allowed
    for allowed in "$@"; do
        [ "$value" != "$allowed" ] || return 0
    done
    die "there is no $name $value: one of $*"
}

while [ $# -gt 0 ]; do
    case $1 in
    --host | --users | --rate | --time | --scenario | --shape | --result)
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
one_of scenario "$scenario" mixed cache kv jobs
one_of shape "$shape" steady ramp spike soak
if [ -z "$time" ]; then
    time=5m
    [ "$shape" != soak ] || time=1h
fi
[ "$scenario" != jobs ] || [ "${JOBS:-1}" = 1 ] || die "--scenario jobs and JOBS=0 leave nothing to do"

curl -fsS --max-time 5 -o /dev/null "$host/ready" || die "nothing is ready at $host; start it with: make run"

# A job that reads the sample there succeeds.
sample_is_at() {
    curl -fsS --max-time 40 -H 'Content-Type: application/json' -H 'Prefer: wait=30' "$host/jobs" \
        -d '{"query":"SELECT count(*) AS n FROM t","tables":{"t":{"uri":"'"$1"'/lineitem.csv"}}}' 2>/dev/null | grep -q '"succeeded"'
}
if [[ $scenario == mixed || $scenario == jobs ]] && [ "${JOBS:-1}" = 1 ] && [ -z "${JOB_DATA:-}" ]; then
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
export SCENARIO=$scenario SHAPE=$shape USERS=$users RATE=$rate DURATION=$time
if [ -n "$result" ]; then
    RESULT_FILE=$(realpath "$result")
    export RESULT_FILE
fi
load=(--users "$users" --spawn-rate "$rate" --run-time "$time")
# A shape says itself how many users there are and when it is over.
[ "$shape" = steady ] || load=()
# Only the summary of locustfile.py, not a table every two seconds.
exec "$venv/bin/locust" --locustfile "$(dirname "$0")/locustfile.py" --host "$host" "${load[@]}" \
    --only-summary --loglevel WARNING --stop-timeout 40 ${headless:+"$headless"}
