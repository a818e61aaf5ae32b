#!/usr/bin/env bash
# Runs a piece of a recorded trace through the real router to simulated engines, and holds the simulator's numbers against it.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/bench_routing_sockets.sh [--quick] [--write] [--policies LIST] [--requests N] [--load X] [--engines N]
                                        [--speed X] [--rounds N] [--trace FILE] [--results DIR] [--bin DIR]

The same problem twice: in virtual time (routing-bench, as in scripts/bench_routing.sh), and in real time with sockets:
infinilm-bench sends the prompts as text through infinilm-router to infinilm-sim engines that keep the times of the same
engine model. All times are divided by --speed in the second one, also the router's hold_prefill_seconds; tokens, caches
and batches are not scaled. Prints both beside each other. Needs two cores that have little else to do: about 90 s for
each policy, eight minutes in all.

Exit code 0: every run worked, policies that differ by more than 10 % in virtual time come in the same order in real time,
and prefix_aware (with hold and without) gains at least 60 % over round robin of what it gains in virtual time. 1: not so.

  --quick          a few seconds of two policies: to see that it works; the result is not judged
  --write          put the table into docs/routing.md
  --policies LIST  default round_robin,least_connections,session,prefix_aware,prefix_aware+hold
  --requests N     of the trace, from its beginning; default 1500
  --load X         relative to round robin's saturation by the whole trace; default 0.9
  --engines N      default 4
  --speed X        default 20; less where the machine is too slow (the table tells how busy it was), at most 75
  --rounds N       of the real runs; the table has means; default 1
  --trace FILE     default: the conversation trace
  --results DIR    keep what the programs printed: DIR/virtual.json, DIR/real.jsonl
  --bin DIR        where the programs are (default: build/release/bin; built first)
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

# scaled A B EXPRESSION
scaled() { awk -v a="$1" -v b="$2" "BEGIN { printf \"%.6g\", $3 }"; }

policies=round_robin,least_connections,session,prefix_aware,prefix_aware+hold
trace=$root/bench/routing/traces/conversation.tr.gz
requests=1500 load=0.9 engines=4 speed=20 rounds=1 quick="" page=() bin="" kept=""
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --quick) quick=1 policies=round_robin,prefix_aware+hold requests=60 ;;
    --write) page=("$root/docs/routing.md") ;;
    --policies | --requests | --load | --engines | --speed | --rounds | --trace | --results | --bin)
      [[ $# -ge 2 ]] || die "$1 needs a value"
      case "$1" in
        --policies) policies=$2 ;;
        --requests) requests=$2 ;;
        --load) load=$2 ;;
        --engines) engines=$2 ;;
        --speed) speed=$2 ;;
        --rounds) rounds=$2 ;;
        --trace) trace=$2 ;;
        --results) mkdir -p "$2" && kept=$(cd "$2" && pwd) ;;
        --bin) bin=$2 ;;
      esac
      shift
      ;;
    *) die "unknown argument '$1'; see --help" ;;
  esac
  shift
done
[[ $engines =~ ^[1-9][0-9]*$ ]] || die "--engines must be a whole number above 0"
[[ $speed =~ ^[0-9]+([.][0-9]+)?$ && $(scaled "$speed" 75 '(a > 0 && a <= b)') == 1 ]] ||
  die "--speed must be a number above 0, at most 75"
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "--rounds must be a whole number above 0"
[[ -r $trace ]] || die "cannot read the trace $trace"
IFS=, read -ra names <<<"$policies"
for name in "${names[@]}"; do
  case "$name" in
    round_robin | least_connections | session | random | prefix_aware | prefix_aware+hold) ;;
    *) die "'$name' is no method of the router; see --help" ;;
  esac
done
if [[ -z $bin ]]; then
  bin=$root/build/release/bin
  "$root/scripts/build.sh" release daemons benchmarks >&2
fi
bin=$(cd "$bin" && pwd)
for program in infinilm-router infinilm-sim infinilm-bench; do
  [[ -x $bin/$program ]] || die "$program is not in $bin"
done

# Of the engine model (bench/routing/engine_model.hpp) and of the router.
block_size=256 blocks=3125 max_batch=256 chunk=1024 first_rate=6700 hold_seconds=0.75
kv_tokens=$((block_size * blocks))

work=$(mktemp -d)
sim_pids=() router_pid=""
end_all() {
  local pid
  for pid in ${router_pid:+"$router_pid"} "${sim_pids[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  sim_pids=() router_pid=""
}
clean_up() {
  end_all
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# port_of NAME PID: once it is open.
port_of() {
  for _ in {1..3000}; do
    if [[ -s $work/$1.port ]]; then
      cat "$work/$1.port"
      return
    fi
    kill -0 "$2" 2>/dev/null || break
    sleep 0.01
  done
  die "$1 did not start: $(cat "$work/$1.out")"
}

# Sets sim_pids and sim_ports, and writes services.json. The names are those of the simulator: `session` hashes them.
start_engines() {
  local number list=""
  sim_ports=()
  for ((number = 0; number < engines; number++)); do
    rm -f "$work/engine$number.port"
    "$bin/infinilm-sim" --port 0 --port-file "$work/engine$number.port" --kind vllm --model sim --keepalive 0 --record 0 \
      --stamp --pace model --speed "$speed" --chunk "$chunk" --max-batch "$max_batch" --block-size "$block_size" \
      --num-blocks "$blocks" >"$work/engine$number.out" 2>&1 &
    sim_pids+=($!)
  done
  for ((number = 0; number < engines; number++)); do
    sim_ports+=("$(port_of "engine$number" "${sim_pids[number]}")")
    list+="${list:+,}{\"name\":\"engine$number\",\"host\":\"127.0.0.1\",\"port\":${sim_ports[number]},\"metadata\":{"
    list+="\"type\":\"openai-api\",\"models\":[\"sim\"],\"kv_cache_tokens\":$kv_tokens,"
    list+="\"prefill_tokens_per_second\":$(scaled "$first_rate" "$speed" 'int(a * b)')}}"
  done
  printf '{"services":[%s]}\n' "$list" >"$work/services.json"
}

# start_router POLICY: sets router_pid and port.
start_router() {
  local flags=(--load-balancing-method "${1%+hold}")
  if [[ $1 == *+hold ]]; then
    flags+=(--hold --hold-prefill-seconds "$(scaled "$hold_seconds" "$speed" 'a / b')" --queue-timeout 1h)
  fi
  rm -f "$work/router.port"
  (cd "$work" && exec "$bin/infinilm-router" --router-port 0 --port-file "$work/router.port" --static-services \
    "$work/services.json" --access-log off --state-dir "" --log-file "" "${flags[@]}") >"$work/router.out" 2>&1 &
  router_pid=$!
  port=$(port_of router "$router_pid")
  for _ in {1..600}; do
    if "$bin/infinilm-bench" unary --port "$port" --connections 1 --requests 1 --tokens 1 --warmup 0 >/dev/null 2>&1; then
      return
    fi
    kill -0 "$router_pid" 2>/dev/null || break
    sleep 0.05
  done
  die "the router does not answer: $(cat "$work/router.out")"
}

# measure ROUND POLICY
measure() {
  local pids report code=0 stats="" sim_port
  start_engines
  start_router "$2"
  pids=$(IFS=, && echo "$router_pid,${sim_pids[*]}")
  report=$("$bin/infinilm-bench" trace "$trace" --requests "$requests" --rate "$rate" --speed "$speed" --port "$port" \
    --policy "$2" --pid "$pids" 2>"$work/bench.out") || code=$?
  cat "$work/bench.out" >&2
  [[ $code -eq 0 ]] || die "the run of $2 failed${report:+: $report}"
  for sim_port in "${sim_ports[@]}"; do
    stats+="${stats:+,}$(curl -fsS --max-time 30 "http://127.0.0.1:$sim_port/sim/stats")"
  done
  printf '{"round":%d,"report":%s,"engines":[%s]}\n' "$1" "$report" "$stats" >>"$work/real.jsonl"
  end_all
}

"$bin/infinilm-bench" replay "$trace" --requests "$requests" --engines "$engines" --load "$load" --policies "$policies" \
  --kv-tokens "$kv_tokens" --max-batch "$max_batch" --chunk "$chunk" --hold-seconds "$hold_seconds" \
  >"$work/virtual.json" 2>"$work/virtual.out" || die "the simulation failed: $(cat "$work/virtual.out")"
rate=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][0]["rate"])' <"$work/virtual.json")
for ((round = 1; round <= rounds; round++)); do
  for name in "${names[@]}"; do
    say "$name, round $round of $rounds" >&2
    measure "$round" "$name"
  done
done
{
  echo "cores=$(nproc)"
  echo "quick=$quick"
} >"$work/facts"
if [[ -n $kept ]]; then
  cp "$work/virtual.json" "$work/real.jsonl" "$work/facts" "$kept/"
fi
python3 "$root/bench/routing_sockets_table.py" "$work" "${page[@]}"
