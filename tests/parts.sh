# Sourced by check.sh and run.sh: runs named parts, all of them, says how long each took, and remembers which failed.
failed=''

# quietly NAME COMMAND…: shows what the command said only when it fails.
quietly() {
  name=$1 started=$(date +%s) && shift
  said=$("$@" 2>&1 </dev/null) && result=ok || { result=FAILED && printf '%s\n' "$said"; }
  ended
}

# aloud NAME COMMAND…: shows what the command says, as it says it.
aloud() {
  name=$1 started=$(date +%s) && shift
  "$@" </dev/null && result=ok || result=FAILED
  ended
}

ended() {
  printf '%-7s %-16s %3s s\n' "$result" "$name" "$(($(date +%s) - started))"
  [ "$result" = ok ] || failed="$failed $name"
}

conclude() { [ -z "$failed" ] || { printf 'failed:%s\n' "$failed" >&2 && exit 1; }; }
