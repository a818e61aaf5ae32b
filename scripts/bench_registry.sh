#!/usr/bin/env bash
# Measures the registry with 10,000 services and prints a Markdown table.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/bench_registry.sh [--write] [--quick] [--bin DIR]

Starts a registry on a free loopback port in a temporary folder, puts the loads of docs/benchmarks.md on it, one after
the other, and prints a table of what came of them. Takes about two minutes. Exit code 0 says that every step worked,
not that every aim is met.

  --write    put the table into docs/benchmarks.md
  --quick    shorter runs, to see that it works
  --bin DIR  where infinilm-registry and registry-load are (default: build/release/bin; built when they are missing)
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

page=()
bin=""
beat_seconds=10 lists=50 updates=50 list_updates=10
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --write) page=("$root/docs/benchmarks.md") ;;
    --quick) beat_seconds=1 lists=5 updates=5 list_updates=2 ;;
    --bin)
      bin=${2:?--bin needs a folder}
      shift
      ;;
    *) die "unknown argument '$1'; see --help" ;;
  esac
  shift
done
if [[ -z $bin ]]; then
  bin=$root/build/release/bin
  if [[ ! -x $bin/infinilm-registry || ! -x $bin/registry-load ]]; then
    "$root/scripts/build.sh" release infinilm-registry registry-load
  fi
fi
bin=$(cd "$bin" && pwd)
[[ -x $bin/infinilm-registry && -x $bin/registry-load ]] || die "infinilm-registry and registry-load are not in --bin"

work=$(mktemp -d)
pid=""
clean_up() {
  if [[ -n $pid ]]; then
    kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start_registry PORT: no probes, no log, leases that outlast the run; sets pid and started_at.
start_registry() {
  started_at=$EPOCHREALTIME
  "$bin/infinilm-registry" --host 127.0.0.1 --port "$1" --port-file "$work/port" --state-db "$work/registry.db" \
    --health-interval 0 --heartbeat-timeout 1h --remove-after 2h --max-connections-per-client 0 \
    --log-file '' --log-level warn >"$work/out" 2>&1 &
  pid=$!
}

stop_registry() {
  kill -TERM "$pid"
  wait "$pid" || die "the registry did not stop cleanly: $(cat "$work/out")"
  pid=""
}

# load STEP SUBCOMMAND ARGUMENT...: its report is another line of $work/STEP.json.
load() {
  local step=$1
  shift
  say "$*" >&2
  if ! "$bin/registry-load" "$@" --port "$port" --pid "$pid" >>"$work/$step.json"; then
    cat "$work/out" >&2
    die "step $step failed"
  fi
}

# The commit that was measured, which need not be the one that is checked out.
commit=$("$bin/infinilm-registry" --version | sed -nE 's/.*\(([0-9a-f]{7,40})\).*/\1/p')
if [[ -n $commit ]] && ! git -C "$root" diff --quiet "$commit" -- src 2>/dev/null; then
  commit+=" or later"
fi

{
  echo "cores=$(nproc)"
  echo "compiler=$(g++ --version | head -n 1 || echo unknown)"
  echo "commit=${commit:-unknown}"
  echo "load=$(cut -d' ' -f1 /proc/loadavg)"
} >"$work/facts"

start_registry 0
for _ in {1..1000}; do
  [[ -s $work/port ]] && break
  sleep 0.01
done
port=$(cat "$work/port") || die "the registry did not start: $(cat "$work/out")"

load register register --count 10000
for _ in 1 2 3; do
  load heartbeat heartbeat --seconds "$beat_seconds"
done
load list list --requests "$lists"
load list_healthy list --requests "$lists" --query healthy=true
load watch_changes watch --updates "$updates" --changes
load watch_list watch --updates "$list_updates"
for _ in 1 2 3; do
  stop_registry
  start_registry "$port"
  load start ready --started-at "$started_at"
done
load reconnect reconnect --agents 10000 --seconds 10
load spread reconnect --agents 10000 --seconds 10 --spread 5
stop_registry

python3 "$root/bench/registry_table.py" "$work" "${page[@]}"
