#!/usr/bin/env bash
# Runs the fuzzers over the committed corpus and beyond.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/run_fuzz.sh [SECONDS] [NAME...]

Builds the fuzz preset and runs each fuzzer (default: all) for SECONDS (default 60), as many at once as there are cores.
New inputs go to build/fuzz/corpus/<name>; the committed corpus, tests/fuzz/corpus/<name>, is only read. An input that
breaks a fuzzer is written to build/fuzz/findings/. Exit 1 on a finding.

  scripts/run_fuzz.sh 600 request_head    ten minutes of one fuzzer
  scripts/run_fuzz.sh --merge             add to the committed corpus what is new in build/fuzz/corpus
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

merge=false
seconds=60
case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
  --merge)
    merge=true
    shift
    ;;
  "") ;;
  *)
    [[ $1 =~ ^[0-9]+$ ]] || die "SECONDS must be a number, got '$1'"
    seconds=$1
    shift
    ;;
esac

"$root/scripts/build.sh" fuzz
cd "$root"
names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for harness in tests/fuzz/*_fuzz.cpp; do
    [[ -e $harness ]] || die "there are no fuzzers in tests/fuzz"
    name=$(basename "$harness" _fuzz.cpp)
    names+=("$name")
  done
fi

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1

run_one() {
  local name=$1 log=build/fuzz/findings/$1.log
  mkdir -p "build/fuzz/corpus/$name" build/fuzz/findings
  if $merge; then
    mkdir -p "tests/fuzz/corpus/$name"
    "build/fuzz/bin/${name}_fuzz" -merge=1 "tests/fuzz/corpus/$name" "build/fuzz/corpus/$name"
    return
  fi
  local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1
    -artifact_prefix="build/fuzz/findings/$name-")
  if [[ -e tests/fuzz/$name.dict ]]; then
    options+=(-dict="tests/fuzz/$name.dict")
  fi
  local corpus=("build/fuzz/corpus/$name")
  if [[ -d tests/fuzz/corpus/$name ]]; then
    corpus+=("tests/fuzz/corpus/$name")
  fi
  if ! "build/fuzz/bin/${name}_fuzz" "${options[@]}" "${corpus[@]}" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    say "$name: FINDING, see build/fuzz/findings/" >&2
    return 1
  fi
  say "$name: no finding, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $seconds s, \
$(find "build/fuzz/corpus/$name" -type f | wc -l) new inputs"
}

failed=0
running=0
for name in "${names[@]}"; do
  [[ -x build/fuzz/bin/${name}_fuzz ]] || die "there is no fuzzer '$name'"
  if ((running >= $(jobs_count))); then
    wait -n || failed=1
    running=$((running - 1))
  fi
  run_one "$name" &
  running=$((running + 1))
done
while ((running > 0)); do
  wait -n || failed=1
  running=$((running - 1))
done
exit "$failed"
