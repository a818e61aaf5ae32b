#!/usr/bin/env bash
# Simulates policies of routing on recorded requests, in virtual time, and prints Markdown tables.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/bench_routing.sh [--quick] [--write] [--trace FILE] [--loads LIST] [--engines LIST] [--policies LIST]
                                [--seeds N] [--jobs N] [--results DIR] [--bin DIR] [-- FLAG...]

Runs each trace with each policy on fleets of simulated engines, at loads relative to the one at which round robin is
saturated, and prints tables of the time to first token and of its distance to the greedy oracle. The policies of the
router are its own code; docs/routing.md explains model and numbers. Needs no GPU and no network; nothing of it depends
on how fast this machine is. Exit code 0 says that every run worked, not that every aim is met.

  --quick          8 engines, load 0.9, one seed: to see that it works
  --write          put the tables into docs/routing.md
  --trace FILE     instead of those in bench/routing/traces; repeatable
  --loads LIST     default 0.7,0.9,1.1,1.3
  --engines LIST   default 4,8,16
  --policies LIST  default: all; `routing-bench --help` lists them
  --seeds N        of the dice for ties, default 5
  --jobs N         runs at once, default: one per core
  --results DIR    keep what routing-bench printed: DIR/*.jsonl
  --bin DIR        where routing-bench is (default: build/release/bin; built first)
  -- FLAG...       more flags for routing-bench: -- --kv-tokens 400000
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

traces=() page=() flags=() engines=4,8,16 loads=0.7,0.9,1.1,1.3 seeds=5 jobs="" bin="" kept=""
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --quick) engines=8 loads=0.9 seeds=1 ;;
    --write) page=("$root/docs/routing.md") ;;
    --)
      shift
      flags+=("$@")
      break
      ;;
    --trace | --loads | --engines | --policies | --seeds | --jobs | --results | --bin)
      [[ $# -ge 2 ]] || die "$1 needs a value"
      case "$1" in
        --trace) traces+=("$2") ;;
        --loads) loads=$2 ;;
        --engines) engines=$2 ;;
        --policies) flags+=(--policies "$2") ;;
        --seeds) seeds=$2 ;;
        --jobs) jobs=$2 ;;
        --results) mkdir -p "$2" && kept=$(cd "$2" && pwd) ;;
        --bin) bin=$2 ;;
      esac
      shift
      ;;
    *) die "unknown argument '$1'; see --help" ;;
  esac
  shift
done
if [[ ${#traces[@]} -eq 0 ]]; then
  traces=("$root"/bench/routing/traces/{conversation,toolmix,azure}.tr.gz)
fi
for trace in "${traces[@]}"; do
  [[ -r $trace ]] || die "cannot read the trace $trace"
done
if [[ -z $bin ]]; then
  bin=$root/build/release/bin
  "$root/scripts/build.sh" release routing-bench >&2
fi
bin=$(cd "$bin" && pwd)
[[ -x $bin/routing-bench ]] || die "routing-bench is not in $bin"

work=$(mktemp -d)
clean_up() {
  local pid
  for pid in $(jobs -p); do
    kill "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run NUMBER TRACE ENGINES: the files keep the order of the tables.
run() {
  say "$(basename "$2"), $3 engines" >&2
  "$bin/routing-bench" "$2" --engines "$3" --loads "$loads" --seeds "$seeds" "${flags[@]}" >"$work/$1.jsonl"
}

number=100 running=0
IFS=, read -ra fleet_sizes <<<"$engines"
for count in "${fleet_sizes[@]}"; do
  for trace in "${traces[@]}"; do
    if ((running >= ${jobs:-$(nproc)})); then
      wait -n || die "a run failed; its message is above"
      running=$((running - 1))
    fi
    number=$((number + 1)) running=$((running + 1))
    run "$number" "$trace" "$count" &
  done
done
while ((running > 0)); do
  wait -n || die "a run failed; its message is above"
  running=$((running - 1))
done
if [[ -n $kept ]]; then
  cp "$work"/*.jsonl "$kept/"
fi
python3 "$root/bench/routing_table.py" "$work" "${page[@]}"
