# Go peers: a module of pinned versions built once in the cache. Sourced after lib.bash.
# go_build FOLDER SOURCE MODULE@VERSION... : sets $program.
go_build() {
  local folder=$cache/$1 source=$2 wanted
  shift 2
  wanted="$source $*"
  command -v go > /dev/null || skip "there is no Go"
  program=$folder/peer
  if [ "$(cat "$folder/.installed" 2> /dev/null)" != "$wanted" ] || [ "$here/$source" -nt "$program" ] ||
    [ "$here/measure.go" -nt "$program" ]; then
    mkdir -p "$folder"
    cp "$here/$source" "$folder/main.go"
    cp "$here/measure.go" "$folder/"
    (
      cd "$folder"
      [ -f go.mod ] || go mod init peer
      go get "$@"
      go mod tidy
      go build -o peer .
    ) > "$folder/build.log" 2>&1 || skip "Go could not build it: $(tail -n 1 "$folder/build.log")"
    echo "$wanted" > "$folder/.installed"
  fi
}
