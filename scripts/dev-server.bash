# What scripts/dev and scripts/down agree on. Sourced from the root of the repository.
# shellcheck shell=bash disable=SC2034
readonly DEV_BINARY=build/bin/maestro
readonly DEV_PORT=4000
readonly DEV_URL=http://127.0.0.1:$DEV_PORT
readonly DEV_LOG=build/dev-server.log
readonly DEV_PID_FILE=build/dev-server.pid
readonly DEV_DATA=${MAESTRO_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/maestro}

say() { printf 'maestro: %s\n' "$*"; }
die() { say "$@" >&2; exit 1; }

# Prints the process id of the server that scripts/dev started, when it lives. A stale file whose
# number now belongs to another program counts as nothing.
running_pid() {
  local pid name
  pid=$(cat "$DEV_PID_FILE" 2> /dev/null) || return 1
  [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null || return 1
  name=$(cat "/proc/$pid/comm" 2> /dev/null) || return 1
  case "$name" in maestro | setsid) echo "$pid" ;; *) return 1 ;; esac
}
