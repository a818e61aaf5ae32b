#!/usr/bin/env bash
# Measures infinilm-router beside nginx, HAProxy and a direct connection, and prints a Markdown table.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/bench_proxy.sh [--only WORK] [--rounds N] [--quick] [--write] [--router-args ARGS] [--bin DIR]

Puts the same loads in turn on a direct connection, nginx, HAProxy and infinilm-router: one core for the proxy, one for
the simulated engines and the load. The order changes with each round; the table has medians. Takes about half an hour.
A program that is missing is left out with a note. Exit code 0 says that every step worked, not that every aim is met.

  --only WORK         only this work; repeatable, or a list with commas. There are:
                      unary-1k unary-1k-rate unary-64k unary-512k unary-512k-blind sse-flood sse-dense sse-rate hold
                      cancel threads (unary-512k-blind: the router with --inspect-bodies=false; threads: only when
                      asked for, or with four cores or more) prefix-1k prefix-64k prefix-512k (the router alone,
                      prefix_aware beside round_robin, with prompts that have nothing in common)
  --proxies LIST      direct,nginx,haproxy,router (default)
  --rounds N          default 5
  --seconds N         measured in each run, default 5
  --quick             one round of one second: to see that it works
  --write             put the table into docs/benchmarks.md
  --results DIR       keep what infinilm-bench printed: DIR/results.jsonl
  --router-args ARGS  more flags for infinilm-router, as one word: '--log-level debug'
  --sims N            simulated engines, default 2
  --bin DIR           where the programs are (default: build/release/bin; built first)
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

works=() proxies=(direct nginx haproxy router) page=() router_args=() work_args=()
rounds=5 seconds=5 warmup=1 ramp=5 sims=2 bin="" kept="" nginx_buffering=""
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --write) page=("$root/docs/benchmarks.md") ;;
    --quick) rounds=1 seconds=1 warmup=0.5 ramp=1 ;;
    --only | --proxies | --rounds | --seconds | --results | --router-args | --sims | --bin | --nginx-buffering)
      [[ $# -ge 2 ]] || die "$1 needs a value"
      case "$1" in
        --only) IFS=, read -ra more <<<"$2" && works+=("${more[@]}") ;;
        --proxies) IFS=, read -ra proxies <<<"$2" ;;
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --results) mkdir -p "$2" && kept=$(cd "$2" && pwd) ;;
        --router-args) read -ra router_args <<<"$2" ;;
        --sims) sims=$2 ;;
        --bin) bin=$2 ;;
        # Of answers and of requests, as on,off. What was found to be the best for nginx is the default.
        --nginx-buffering) nginx_buffering=$2 ;;
      esac
      shift
      ;;
    *) die "unknown argument '$1'; see --help" ;;
  esac
  shift
done
cores=$(nproc)
((cores >= 2)) || die "two cores are needed: one for the proxy, one for the load"
if [[ ${#works[@]} -eq 0 ]]; then
  works=(unary-1k unary-1k-rate unary-64k unary-512k unary-512k-blind sse-flood sse-dense sse-rate hold cancel
    prefix-1k prefix-64k prefix-512k)
  ((cores < 4)) || works+=(threads)
fi
if [[ -z $bin ]]; then
  bin=$root/build/release/bin
  "$root/scripts/build.sh" release daemons benchmarks
fi
bin=$(cd "$bin" && pwd)
[[ -x $bin/infinilm-bench && -x $bin/infinilm-sim ]] || die "infinilm-bench and infinilm-sim are not in $bin"

have() {
  case "$1" in
    direct) ;;
    nginx | haproxy) PATH=$PATH:/usr/sbin command -v "$1" >/dev/null ;;
    router) [[ -x $bin/infinilm-router ]] ;;
    *) die "unknown proxy '$1'; there are: direct nginx haproxy router" ;;
  esac
}
present=()
for proxy in "${proxies[@]}"; do
  if have "$proxy"; then
    present+=("$proxy")
  elif [[ $proxy == router ]]; then
    say "left out: $bin/infinilm-router does not exist" >&2
  else
    say "left out: $proxy is not installed (apt-get install $proxy; then stop the service that the package starts)" >&2
  fi
done
[[ ${#present[@]} -gt 0 ]] || die "nothing to measure"
PATH=$PATH:/usr/sbin

work=$(mktemp -d)
chmod 711 "$work" # nginx's workers run as another user when it is started by root
results=$work/results.jsonl
sim_pids=() proxy_pid=""
end_proxy() {
  if [[ -n $proxy_pid ]]; then
    kill -TERM "$proxy_pid" 2>/dev/null || true
    for _ in {1..200}; do
      kill -0 "$proxy_pid" 2>/dev/null || break
      sleep 0.01
    done
    kill -KILL "$proxy_pid" 2>/dev/null || true
    wait "$proxy_pid" 2>/dev/null || true
    proxy_pid=""
  fi
}
end_sims() {
  for pid in "${sim_pids[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  sim_pids=()
}
clean_up() {
  end_proxy
  end_sims
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ulimit -n "$(ulimit -Hn)"
files=$(ulimit -n)
[[ $files != unlimited ]] || files=1000000
((files >= 12000)) || say "only $files open files are allowed: hold will fail (12000 are needed)" >&2
proxy_cores=0 load_cores=$((cores - 1))

wait_for_file() {
  for _ in {1..1000}; do
    [[ -s $1 ]] && return
    sleep 0.01
  done
  die "$2 did not start: $(cat "$work/$2.out")"
}

# start_sims FLAG...: sets sim_pids and sim_ports.
start_sims() {
  sim_ports=()
  local number
  for ((number = 1; number <= sims; number++)); do
    rm -f "$work/sim$number.port"
    taskset -c "$load_cores" "$bin/infinilm-sim" --port 0 --port-file "$work/sim$number.port" --model sim \
      --keepalive 0 --max-batch 1000000 --num-blocks 0 --record 0 --pace each --stamp "$@" \
      >"$work/sim$number.out" 2>&1 &
    sim_pids+=($!)
    wait_for_file "$work/sim$number.port" "sim$number"
    sim_ports+=("$(cat "$work/sim$number.port")")
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# fill TEMPLATE: to stdout.
fill() {
  local nginx_servers="" haproxy_servers="" reuseport="" sim_port
  for sim_port in "${sim_ports[@]}"; do
    nginx_servers+="    server 127.0.0.1:$sim_port;\\n"
    haproxy_servers+="  server sim$sim_port 127.0.0.1:$sim_port\\n"
  done
  ((threads < 2)) || reuseport=" reuseport"
  sed -e "s|@PORT@|$port|; s|@DIR@|$work|; s|@THREADS@|$threads|; s|@FILES@|$files|; s|@REUSEPORT@|$reuseport|" \
    -e "s|@NGINX_CONNECTIONS@|$((files - 100))|; s|@HAPROXY_CONNECTIONS@|$((files / 2 - 100))|" \
    -e "s|@NGINX_SERVERS@|${nginx_servers%\\n}|; s|@HAPROXY_SERVERS@|${haproxy_servers%\\n}|" \
    -e "s|@BUFFERING@|$buffering|; s|@REQUEST_BUFFERING@|$request_buffering|" "$root/bench/proxy/$1"
}

services_json() {
  local number list=""
  for ((number = 0; number < sims; number++)); do
    list+="${list:+,}{\"name\":\"sim$((number + 1))\",\"host\":\"127.0.0.1\",\"port\":${sim_ports[number]},"
    list+="\"metadata\":{\"type\":\"openai-api\",\"models\":[\"sim\"]}}"
  done
  printf '{"services":[%s]}\n' "$list"
}

# start_proxy NAME: sets proxy_pid ("" for direct) and port.
start_proxy() {
  port=$(free_port)
  case "$1" in
    direct)
      port=$(IFS=, && echo "${sim_ports[*]}")
      return
      ;;
    nginx)
      fill nginx.conf.in >"$work/nginx.conf"
      taskset -c "$proxy_cores" nginx -p "$work" -c "$work/nginx.conf" >"$work/nginx.out" 2>&1 &
      ;;
    haproxy)
      fill haproxy.conf.in >"$work/haproxy.conf"
      taskset -c "$proxy_cores" haproxy -f "$work/haproxy.conf" >"$work/haproxy.out" 2>&1 &
      ;;
    router | router-prefix)
      local method=round_robin
      [[ $1 == router ]] || method=prefix_aware
      services_json >"$work/services.json"
      (cd "$work" && exec taskset -c "$proxy_cores" "$bin/infinilm-router" --router-port "$port" \
        --static-services "$work/services.json" --threads "$threads" --access-log off --port-file "$work/router.port" \
        --load-balancing-method "$method" "${work_args[@]}" "${router_args[@]}") >"$work/$1.out" 2>&1 &
      ;;
  esac
  proxy_pid=$!
  for _ in {1..100}; do
    kill -0 "$proxy_pid" 2>/dev/null || die "$1 ended at its start: $(cat "$work/$1.out")"
    if "$bin/infinilm-bench" unary --port "$port" --connections 1 --requests 1 --tokens 1 --warmup 0 \
      >/dev/null 2>&1; then
      return
    fi
    sleep 0.05
  done
  die "$1 does not answer: $(cat "$work/$1.out")"
}

# run_work WORK: what the engines are like, and the load.
declare -A sim_flags=(
  [unary-1k]="--answer-bytes 600" [unary-1k-rate]="--answer-bytes 600" [threads]="--answer-bytes 600"
  [unary-64k]="--answer-bytes 600" [unary-512k]="--answer-bytes 600" [unary-512k-blind]="--answer-bytes 600"
  [sse-flood]="--chunk-bytes 200 --merge 1" [sse-dense]="--chunk-bytes 200 --decode-us 2500"
  [sse-rate]="--chunk-bytes 200 --decode-us 20000"
  [prefix-1k]="--answer-bytes 600" [prefix-64k]="--answer-bytes 600" [prefix-512k]="--answer-bytes 600"
  [hold]="--chunk-bytes 200 --decode-us 1000000" [cancel]="--chunk-bytes 200 --decode-us 20000"
)
declare -A loads=(
  [unary-1k]="unary --connections 64 --body-bytes 1024"
  [unary-1k-rate]="unary --connections 256 --body-bytes 1024 --rate 4000"
  [threads]="unary --connections 128 --body-bytes 1024"
  [unary-64k]="unary --connections 16 --body-bytes 65536"
  [unary-512k]="unary --connections 16 --body-bytes 524288"
  [unary-512k-blind]="unary --connections 16 --body-bytes 524288"
  [prefix-1k]="unary --connections 64 --body-bytes 1024 --distinct"
  [prefix-64k]="unary --connections 16 --body-bytes 65536 --distinct"
  [prefix-512k]="unary --connections 16 --body-bytes 524288 --distinct"
  [sse-flood]="sse --streams 200 --tokens 1000"
  [sse-dense]="sse --streams 200 --tokens 1000 --ramp $ramp"
  [sse-rate]="sse --streams 1000 --tokens 250 --ramp $ramp"
  [hold]="hold --streams 5000 --tokens 1000000 --ramp $ramp"
  [cancel]="cancel --streams 200 --tokens 1000 --after 5"
)

# measure WORK ROUND PROXY
measure() {
  local name=$1 round=$2 proxy=$3 report code=0 flags sim_list
  read -ra flags <<<"${loads[$name]}"
  sim_list=$(IFS=, && echo "${sim_ports[*]}")
  start_proxy "$proxy"
  report=$(taskset -c "$load_cores" "$bin/infinilm-bench" "${flags[@]}" --port "$port" --pid "${proxy_pid:-0}" \
    --sim-port "$sim_list" --warmup "$warmup" --duration "$seconds" 2>"$work/bench.out") || code=$?
  end_proxy
  if [[ -z $report ]]; then
    die "$name over $proxy failed: $(cat "$work/bench.out")"
  fi
  if [[ $code -ne 0 ]]; then
    say "$name over $proxy, round $round: not clean" >&2
    cat "$work/bench.out" >&2
  fi
  printf '{"work":"%s","proxy":"%s","round":%d,"report":%s}\n' "$name" "$proxy" "$round" "$report" >>"$results"
}

load_before=$(cut -d' ' -f1 /proc/loadavg)
for name in "${works[@]}"; do
  [[ -n ${loads[$name]:-} ]] || die "unknown work '$name'; see --help"
  threads=1 proxy_cores=0 load_cores=$((cores - 1)) work_args=()
  if [[ $name == unary-512k-blind ]]; then
    work_args=(--inspect-bodies=false)
  elif [[ $name == threads ]]; then
    threads=2 proxy_cores=0-1 load_cores=$((cores < 4 ? 0 : 2))-$((cores - 1))
  fi
  # Streams need the answer's buffering off; for plain answers and large requests nginx is faster like this.
  default_buffering=off,off
  [[ ${loads[$name]} != unary* ]] || default_buffering=on,off
  IFS=, read -r buffering request_buffering <<<"${nginx_buffering:-$default_buffering}"
  read -ra flags <<<"${sim_flags[$name]}"
  turns=("${present[@]}")
  if [[ $name == prefix-* ]]; then
    [[ " ${present[*]} " == *" router "* ]] || continue
    turns=(router router-prefix)
  fi
  start_sims "${flags[@]}"
  for ((round = 0; round < rounds; round++)); do
    say "$name, round $((round + 1)) of $rounds" >&2
    for ((turn = 0; turn < ${#turns[@]}; turn++)); do
      measure "$name" "$((round + 1))" "${turns[(turn + round) % ${#turns[@]}]}"
    done
  done
  end_sims
done

{
  echo "cores=$cores"
  echo "rounds=$rounds"
  echo "seconds=$seconds"
  echo "nginx=$(nginx -v 2>&1 | sed 's|.*/||' || true)"
  echo "haproxy=$(haproxy -v 2>/dev/null | sed -nE '1s/.*version ([0-9.]+).*/\1/p' || true)"
  echo "commit=$("$bin/infinilm-router" --version 2>/dev/null | sed -nE 's/.*\(([0-9a-f]{7,40})\).*/\1/p' || true)"
  echo "load=$load_before"
} >"$work/facts"
if [[ -n $kept ]]; then
  cp "$results" "$work/facts" "$kept/"
fi
python3 "$root/bench/proxy_table.py" "$work" "${page[@]}"
