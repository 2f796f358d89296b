#!/usr/bin/env bash
# Proves from outside that a server works: health, then one real run, created, finished, read, listed
# and deleted. Needs bash and curl only. Leaves nothing behind, also when it is interrupted.
#
#   scripts/smoke/synthetic.sh URL [--json] [--junit FILE]
#
# MAESTRO_TOKEN        a token of role operator; when unset and URL is this machine, the local data
#                      folder's admin.token is used. It never appears in a process list.
# SYNTHETIC_TIMEOUT_S  seconds for one call (10)
# SYNTHETIC_WAIT_S     seconds for the run to succeed (60)
# --json               print one JSON object on standard output in place of the lines
# --junit FILE         also write a JUnit report
#
# Exit: 0 all well; otherwise the stage that failed:
#   10 usage or no token   11 healthz   12 readyz   13 create   14 the run did not succeed
#   15 get                 16 list      17 delete   18 still there after the delete
# shellcheck disable=SC2317  # stages are called by name
set -euo pipefail

readonly EXIT_USAGE=10 EXIT_HEALTHZ=11 EXIT_READYZ=12 EXIT_CREATE=13 EXIT_WAIT=14
readonly EXIT_GET=15 EXIT_LIST=16 EXIT_DELETE=17 EXIT_GONE=18
readonly PAGES_MAX=5
readonly DEFINITION='name: synthetic\njobs:\n  probe:\n    timeout: 30s\n    steps:\n      - run: true\n'
call_seconds=${SYNTHETIC_TIMEOUT_S:-10}
wait_seconds=${SYNTHETIC_WAIT_S:-60}
url="" json="" junit="" token="" run="" why=""
names=() results=() times=() reasons=()

usage() {
  echo "synthetic: $*" >&2
  echo "usage: scripts/smoke/synthetic.sh URL [--json] [--junit FILE]" >&2
  exit "$EXIT_USAGE"
}

read_arguments() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --json) json=yes ;;
      --junit) [ $# -ge 2 ] || usage "--junit wants a FILE"; junit=$2; shift ;;
      -*) usage "unknown option $1" ;;
      *) [ -z "$url" ] || usage "one URL only"; url=${1%/} ;;
    esac
    shift
  done
  case "$url" in http://?* | https://?*) ;; *) usage "URL must begin with http:// or https://" ;; esac
  [[ "$call_seconds" =~ ^[1-9][0-9]{0,3}$ ]] || usage "SYNTHETIC_TIMEOUT_S is not a number of seconds"
  [[ "$wait_seconds" =~ ^[1-9][0-9]{0,3}$ ]] || usage "SYNTHETIC_WAIT_S is not a number of seconds"
}

find_token() {
  local file=${MAESTRO_DATA:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/maestro}/admin.token
  token=${MAESTRO_TOKEN:-}
  if [ -z "$token" ]; then
    [[ "$url" =~ ^https?://(127\.[0-9.]+|localhost|\[::1\])(:[0-9]+)?(/|$) ]] ||
      usage "set MAESTRO_TOKEN: $url is not this machine"
    [ -r "$file" ] || usage "set MAESTRO_TOKEN: there is no readable $file"
    token=$(< "$file")
  fi
  [[ "$token" =~ ^[][A-Za-z0-9._~+/=:-]+$ ]] || usage "the token has characters that no token has"
}

# call METHOD PATH [curl options]: status in $status, answer in $work/body, headers in $work/head.
call() {
  local method=$1 path=$2
  shift 2
  : > "$work/body"
  : > "$work/head"
  status=$(curl -sS --config <(printf 'header = "Authorization: Bearer %s"\n' "$token") \
    --request "$method" --max-time "$call_seconds" --connect-timeout 5 --output "$work/body" \
    --dump-header "$work/head" --write-out '%{http_code}' "$@" "$url$path" 2> "$work/error") ||
    { why="$method $path: $(head -n 1 "$work/error")"; status=000; return 1; }
}

# expect STATUS METHOD PATH [curl options]
expect() {
  local wanted=$1
  shift
  call "$@" || return 1
  [ "$status" = "$wanted" ] || { why="$1 $2: $status, not $wanted: $(head -c 300 "$work/body")"; return 1; }
}

# The first string field of that name in the answer.
field() { grep -oE "\"$1\"[[:space:]]*:[[:space:]]*\"[^\"]*\"" "$work/body" | head -n 1 | sed 's/.*"\([^"]*\)"$/\1/'; }

check_healthz() { expect 200 GET /healthz; }
check_readyz() { expect 200 GET /readyz; }

create() {
  local key
  key="synthetic-$$-$RANDOM$RANDOM-$(now_ms)"
  expect 201 POST /api/v1/runs --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $key" \
    --data "{\"definition\": \"$DEFINITION\", \"labels\": {\"synthetic\": \"true\"}}" || return 1
  run=$(sed -n 's|^[Ll]ocation:.*/api/v1/runs/\([0-9a-fA-F-]*\).*|\1|p' "$work/head" | head -n 1)
  [ -n "$run" ] || run=$(field id)
  [ -n "$run" ] || { why="POST /api/v1/runs: the answer names no run"; return 1; }
}

wait_for_success() {
  local deadline=$((SECONDS + wait_seconds)) left part outcome
  while left=$((deadline - SECONDS)); [ "$left" -gt 0 ]; do
    part=$((left < 30 ? left : 30))
    expect 200 GET "/api/v1/runs/$run?wait=${part}s" --max-time $((part + call_seconds)) || return 1
    outcome=$(field outcome)
    case "$outcome" in
      succeeded) return 0 ;;
      failed | cancelled) why="run $run: $(field status): $(field message)"; return 1 ;;
    esac
  done
  why="run $run is still ${outcome:-unknown} ($(field reason)) after $wait_seconds s"
  return 1
}

get() {
  expect 200 GET "/api/v1/runs/$run" || return 1
  why="GET /api/v1/runs/$run: not the run that succeeded"
  [ "$(field id)" = "$run" ] && [ "$(field status)" = succeeded ]
}

# True when the run is in one of the newest pages.
listed() {
  local cursor="" page
  for ((page = 0; page < PAGES_MAX; page++)); do
    expect 200 GET "/api/v1/runs?limit=100${cursor:+&cursor=$cursor}" || return 2
    if grep -q "\"$run\"" "$work/body"; then return 0; fi
    cursor=$(field next_cursor)
    [ -n "$cursor" ] || return 1
  done
  return 1
}

list() { listed || { why=${why:-"GET /api/v1/runs: run $run is not listed"}; return 1; }; }
delete() { expect 204 DELETE "/api/v1/runs/$run"; }

gone() {
  local code=0
  expect 404 GET "/api/v1/runs/$run" || return 1
  listed || code=$?
  [ "$code" -ne 0 ] || { why="run $run was deleted and is still listed"; return 1; }
  [ "$code" -eq 1 ] || return 1
  run=""
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# stage EXIT NAME FUNCTION: runs it, records its time, and ends everything when it fails.
stage() {
  local began took
  began=$(now_ms)
  why=""
  if "$3"; then
    took=$(($(now_ms) - began))
    record "$2" ok "$took" ""
  else
    took=$(($(now_ms) - began))
    record "$2" failed "$took" "$why"
    finish "$1"
  fi
}

record() {
  names+=("$1") results+=("$2") times+=("$3") reasons+=("$4")
  [ -z "$json" ] || return 0
  printf 'synthetic: %-8s %-6s %6d ms%s\n' "$1" "$2" "$3" "${4:+  $4}"
}

json_text() { printf '%s' "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'; }
xml_text() { printf '%s' "$1" | tr -d '\000-\037' | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }
as_seconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

finish() {
  [ -z "$junit" ] || write_junit "$1" > "$junit"
  if [ -n "$json" ]; then
    write_json "$1"
  elif [ "$1" -eq 0 ]; then
    echo "synthetic: all ${#names[@]} stages passed at $url"
  else
    echo "synthetic: failed at $url, exit $1" >&2
  fi
  exit "$1"
}

write_json() {
  local i comma=""
  printf '{"ok":%s,"exit_code":%d,"url":"%s","stages":[' \
    "$([ "$1" -eq 0 ] && echo true || echo false)" "$1" "$(json_text "$url")"
  for i in "${!names[@]}"; do
    printf '%s{"stage":"%s","ok":%s,"duration_ms":%d,"message":"%s"}' "$comma" "${names[i]}" \
      "$([ "${results[i]}" = ok ] && echo true || echo false)" "${times[i]}" "$(json_text "${reasons[i]}")"
    comma=,
  done
  echo ']}'
}

write_junit() {
  local i total=0
  for i in "${times[@]}"; do total=$((total + i)); done
  echo '<?xml version="1.0" encoding="UTF-8"?>'
  printf '<testsuite name="synthetic" tests="%d" failures="%d" time="%s">\n' \
    "${#names[@]}" $(($1 == 0 ? 0 : 1)) "$(as_seconds "$total")"
  for i in "${!names[@]}"; do
    printf '  <testcase classname="synthetic" name="%s" time="%s">' "${names[i]}" "$(as_seconds "${times[i]}")"
    [ "${results[i]}" = ok ] || printf '<failure message="%s"/>' "$(xml_text "${reasons[i]}")"
    echo '</testcase>'
  done
  echo '</testsuite>'
}

# A run that is left over is cancelled, waited for, and deleted; whatever fails here is not told.
clean_up() {
  local code=$?
  trap - EXIT INT TERM HUP
  if [ -n "$run" ]; then
    call POST "/api/v1/runs/$run/cancel" --header 'Content-Type: application/json' --data '{}' || true
    call GET "/api/v1/runs/$run?wait=20s" --max-time 25 || true
    call DELETE "/api/v1/runs/$run" || true
  fi
  rm -rf "$work"
  exit "$code"
}

# A proxy of the environment is for other hosts than this one.
export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}"
read_arguments "$@"
command -v curl > /dev/null || usage "curl is not installed"
find_token
work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
stage "$EXIT_HEALTHZ" healthz check_healthz
stage "$EXIT_READYZ" readyz check_readyz
stage "$EXIT_CREATE" create create
stage "$EXIT_WAIT" wait wait_for_success
stage "$EXIT_GET" get get
stage "$EXIT_LIST" list list
stage "$EXIT_DELETE" delete delete
stage "$EXIT_GONE" gone gone
finish 0
