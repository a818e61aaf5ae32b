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
