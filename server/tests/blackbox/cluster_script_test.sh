#!/usr/bin/env bash
# `make cluster` as a user has it: starts, runs a workflow, outlives the death of any one process, and
# leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../../.."
[ -x build/bin/maestro ] || { echo "there is no release build"; exit 77; }
command -v nginx > /dev/null || [ -x /usr/sbin/nginx ] || { echo "there is no nginx"; exit 77; }
command -v redis-server > /dev/null || { echo "there is no Redis"; exit 77; }
compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || { echo "there is no PostgreSQL"; exit 77; }

# Ten ports in a row that nobody listens on.
free_ports() {
  local first port
  for first in $(shuf -i 20000-30000 -n 50); do
    for port in $(seq "$first" $((first + 9))); do
      ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || continue 2
    done
    echo "$first"
    return
  done
  return 1
}
CLUSTER_PORT=$(free_ports)
unset MAESTRO_BIN MAESTRO_RELEASE_BIN # no settings of a server
export CLUSTER_PORT MAESTRO_LEASE=6s # a dead worker is noticed soon
home=build/cluster-$CLUSTER_PORT
trap 'scripts/cluster down > /dev/null 2>&1 || true; rm -f "$said" "$home.lock"' EXIT

said=$home.said # what the last command said, shown when it failed
fail() {
  tail -n 20 "$home"/*.log 2> /dev/null
  echo "failed: $*"
  cat "$said"
  exit 1
}
hello() {
  build/bin/maestro --url "http://127.0.0.1:$CLUSTER_PORT" --token-file "$home/admin.token" \
    run hello --wait > "$said" 2>&1
}
up() { scripts/cluster up > "$said" 2>&1; }
# runs NAME: whether it does, and, being a replica, is ready
runs() { scripts/cluster status > "$said" && grep -Eq "^$1 +(runs|.*\"status\":\"ready\")" "$said"; }
# until_it COMPLAINT COMMAND: within 30 s; each try asks the cluster over the network, which paces it
until_it() {
  local end=$((SECONDS + 30))
  until "$2"; do [ "$SECONDS" -lt "$end" ] || fail "$1"; done
}

up || fail "it does not start"
all_say() { scripts/cluster status > "$said" && [ "$(grep -c "$1" "$said")" -eq 3 ]; }
# shellcheck disable=SC2317 # until_it calls them
are_ready() { all_say '"status":"ready"'; }
# shellcheck disable=SC2317
have_redis() { all_say '"redis":"ok"'; }
# shellcheck disable=SC2317
spread() { all_say '"leads":[23],'; }
until_it "not all replicas are ready" are_ready
# A replica that came last has its share a moment later.
until_it "the replicas do not share the shards" spread
until_it "Redis is not there for all replicas" have_redis
hello || fail "a run through nginx"
for name in redis r1 r2 r3 w1 w2 nginx postgres keeper; do
  before=$(cat "$home/$name.pid")
  kill -KILL "$before"
  # Through nginx and PostgreSQL all must go: for a moment nothing does.
  case $name in
    nginx | postgres) until_it "a run after the death of $name" hello ;;
    *) hello || fail "a run after the death of $name" ;;
  esac
  [ "$name" != keeper ] || up || fail "up after the death of the keeper"
  # shellcheck disable=SC2317 # until_it calls it
  is_back() { [ "$(cat "$home/$name.pid" 2> /dev/null)" != "$before" ] && runs "$name"; }
  until_it "$name is not started again" is_back
done
scripts/cluster down > "$said" 2>&1 || fail "down"
[ ! -e "$home" ] || fail "its folder is left"
echo passed
