# shellcheck shell=bash
# Helpers of the scripts in this folder; sourced, not run.
: "${root:?the caller sets root to the project folder}"

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

check_preset() {
  case "$1" in
    dev | release | asan | tsan | tidy | fuzz) ;;
    *) die "unknown preset '$1'; there are: dev release asan tsan tidy fuzz" ;;
  esac
}

# Cores, but a Beast coroutine under a sanitizer takes up to 2 GiB to compile.
jobs_count() {
  local cores memory_kib
  cores=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  local by_memory=$((memory_kib / (2 * 1024 * 1024)))
  ((by_memory >= 1)) || by_memory=1
  echo "${JOBS:-$((cores < by_memory ? cores : by_memory))}"
}

# Runs a command whose output matters only when it fails.
quietly() {
  local output
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    return 1
  fi
}

# The C++ files of the project, NUL separated.
cpp_files() {
  find "$root/src" "$root/tests" "$root/bench" -type f \( -name '*.cpp' -o -name '*.hpp' \) -print0 | sort -z
}

# show_progress TEXT LOG: on a terminal one line that is written again and again; elsewhere a line every 15 s.
show_progress() {
  local text=$1 log=$2 began=$SECONDS last width
  while sleep 1 && kill -0 "$$" 2>/dev/null; do # a background job does not hear Ctrl-C
    if [[ -t 1 ]]; then
      width=$(tput cols 2>/dev/null || echo 80)
      last=$(tail -n 1 -- "$log" 2>/dev/null | tr -dc '[:print:]')
      last="  $text: $((SECONDS - began)) s  $last"
      printf '\r%s\033[K' "${last:0:width-1}"
    elif (((SECONDS - began) % 15 == 0)); then
      printf '  %s: %d s\n' "$text" "$((SECONDS - began))"
    fi
  done
}

# watched TEXT LOG COMMAND...: runs a long command, its output in LOG, and shows that it gets on. The end of its output is
# shown when it fails.
watched() {
  local text=$1 log=$2 began=$SECONDS status=0 printer
  show_progress "$text" "$log" &
  printer=$!
  "${@:3}" >"$log" 2>&1 </dev/null || status=$?
  kill "$printer" 2>/dev/null || true
  wait "$printer" 2>/dev/null || true
  [[ ! -t 1 ]] || printf '\r\033[K'
  if ((status != 0)); then
    tail -n 20 -- "$log" >&2
    return "$status"
  fi
  printf '  %s: %d s\n' "$text" "$((SECONDS - began))"
}
