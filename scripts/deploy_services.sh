#!/usr/bin/env bash
# Starts, stops and watches the daemons of this host, as its configuration folder names them. Needs bash and coreutils
# besides our binaries; infinilm-ctl reads the files, asks the daemons and knows their processes.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/deploy_services.sh [OPTIONS] COMMAND [ARGUMENTS]

Runs the parts of a deployment that belong to this host: the registry, the router, and an agent for each service of
the files *_services.json whose host this is. A part that runs already is left alone. A start waits until what it
started is ready, and until a router that runs here uses the services; a stop waits until requests in progress have
ended.

  start               all parts of this host: registry, router, services
  stop                the same, in the opposite order
  restart             stop, then start
  start-registry  start-router  start-services
  stop-registry   stop-router   stop-services
  stop-all            also what was started before and is in no file any more
  status              tables of daemons and services; ends with 0 only when all is well
  check               files, ports, addresses, disk: a line each; changes nothing
  logs [NAME] [-f]    the last lines of all logs, or of one part: registry, router or a service; -f goes on showing
  generate-config     writes nginx_distributed.conf: from the registry's healthy services, or, when there is no registry
                      or none that answers, from the services of the configuration. --format haproxy, -o FILE;
                      infinilm-ctl generate-config --help
  deploy-remote HOST[=PART,...]...
                      copies binaries, scripts and configuration to other hosts and starts their parts there

  -c, --config-dir DIR      the configuration (default: deployment_configs of the project, else of this folder)
  -r, --registry-port PORT  of the registry, when no file says it (default 8081): a port in registry_config.json wins
  -p, --router-port PORT    of the router, likewise (default 8080): a port in router_config.json wins
      --registry-url URL    the registry (default: what router_config.json says, else the one of this host)
      --router-url URL      the router, for status on a host without one
      --host HOST           which of the hosts in the files this is (default: by its names and addresses)
      --parts PART,...      registry, router, services: only these, whether they belong here or not
      --timeout TIME        longest wait for each part (default: 60s to be ready, 30m for a service, 5m to stop)
      --token-file FILE     token for the pages of registry and agents (default: what the daemons' files name)
      --tls-ca FILE         what https pages are checked against (default: what the daemons' files name)
      --json                status as one JSON object
  -n, --lines N             lines of each log (default 20)
  -h, --help                this text

deploy-remote:
      --remote-dir DIR      folder on the hosts (default infinilm, in the home folder of the user there)
      --jobs N              hosts at a time (default 4)
      --restart             restart the parts, so that they use the new files; without it only what does not run is started
      --dry-run             say what would be done

The copy in /usr/share/infinilm works on /etc/infinilm and runs in /var/lib/infinilm, unless -c and INFINILM_RUN_DIR say
otherwise.

INFINILM_RUN_DIR: the folder that daemons are started in (default: the project); logs/ and data/ are below it, and
paths in configuration files are relative to it. logs/NAME.log is the log of a part, logs/NAME.pid its PID, logs/NAME.err
what it said outside of its log. INFINILM_BIN_DIR: where the binaries are (default: the project's build, else bin/ of
the project, else PATH).

Exit codes: 0 all well, 1 something is not, 2 wrong usage or configuration.
TEXT
}

self=${0##*/}
script=$(readlink -f "${BASH_SOURCE[0]}")
root=$(cd "${script%/*}/.." && pwd)

complain() { printf '%s: %s\n' "$self" "$*" >&2; }
die() {
  complain "$@"
  exit 1
}
usage_error() {
  complain "$*; --help says more"
  exit 2
}

# --- the command line ---------------------------------------------------------------------------------------------------
command=''
arguments=()
config_dir=''
parts_wanted=''
timeout=''
json=''
lines=20
follow=''
remote_dir=infinilm
jobs=4
remote_command=start
dry_run=''
plan_flags=()   # for infinilm-ctl plan, status and check
access_flags=() # --token-file and --tls-ca

needs_value() { [[ $2 -ge 2 ]] || usage_error "$1 needs a value"; }

while [[ $# -gt 0 ]]; do
  case "$1" in
    --*=*)
      option=$1
      shift
      set -- "${option%%=*}" "${option#*=}" "$@"
      continue
      ;;
  esac
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    -c | --config-dir) needs_value "$1" $# && config_dir=$2 && shift ;;
    -r | --registry-port | -p | --router-port | --registry-url | --router-url | --host)
      needs_value "$1" $#
      plan_flags+=("$1" "$2")
      shift
      ;;
    --token-file | --tls-ca)
      needs_value "$1" $#
      access_flags+=("$1" "$2")
      shift
      ;;
    --parts) needs_value "$1" $# && parts_wanted=$2 && shift ;;
    --timeout) needs_value "$1" $# && timeout=$2 && shift ;;
    --json) json=--json ;;
    -n | --lines) needs_value "$1" $# && lines=$2 && shift ;;
    -f | --follow) follow=yes ;;
    --remote-dir) needs_value "$1" $# && remote_dir=$2 && shift ;;
    --jobs) needs_value "$1" $# && jobs=$2 && shift ;;
    --restart) remote_command=restart ;;
    --dry-run) dry_run=yes ;;
    --)
      shift
      arguments+=("$@")
      break
      ;;
    *)
      if [[ -z $command ]]; then
        [[ $1 != -* ]] || usage_error "unknown option '$1'"
        command=$1
        if [[ $command == generate-config ]]; then # its flags are infinilm-ctl's
          shift
          arguments+=("$@")
          break
        fi
      else
        [[ $1 != -* ]] || usage_error "unknown option '$1'"
        arguments+=("$1")
      fi
      ;;
  esac
  shift
done

[[ $lines =~ ^[0-9]+$ ]] || usage_error "--lines must be a number, got '$lines'"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || usage_error "--jobs must be a number from 1, got '$jobs'"

# --- folders and binaries -----------------------------------------------------------------------------------------------
absolute() { if [[ $1 == /* ]]; then printf '%s' "$1"; else printf '%s' "$PWD/$1"; fi; }

usual_config=$root/deployment_configs
[[ -d $usual_config ]] || usual_config=deployment_configs
usual_run_dir=$root
# Where the package puts this script there are samples alone, and logs have no place.
if [[ -e $root/prepare_host.sh && ! -e $root/bin && ! -e $root/build ]]; then
  usual_config=/etc/infinilm
  usual_run_dir=/var/lib/infinilm
fi
config_dir=$(absolute "${config_dir:-$usual_config}")
run_dir=$(absolute "${INFINILM_RUN_DIR:-$usual_run_dir}")
logs=$run_dir/logs

find_binaries() {
  local folder
  if [[ -n ${INFINILM_BIN_DIR:-} ]]; then
    [[ -x $INFINILM_BIN_DIR/infinilm-ctl ]] ||
      die "$INFINILM_BIN_DIR/infinilm-ctl is not there (INFINILM_BIN_DIR says where the binaries are)"
    absolute "$INFINILM_BIN_DIR"
    return
  fi
  for folder in "$root"/build/{release,dev}/bin "$root/bin"; do
    if [[ -x $folder/infinilm-ctl ]]; then
      printf '%s\n' "$folder"
      return
    fi
  done
  folder=$(command -v infinilm-ctl) || die "infinilm-ctl is neither built (scripts/build.sh) nor in PATH"
  folder=$(readlink -f "$folder")
  printf '%s\n' "${folder%/*}"
}
bin_dir=$(find_binaries)
ctl=$bin_dir/infinilm-ctl
plan_flags+=(--config-dir "$config_dir" --run-dir "$run_dir" --bin-dir "$bin_dir")

# --- the plan -----------------------------------------------------------------------------------------------------------
# What infinilm-ctl plan says, by a part's id: the base name of its files.
ids=()
declare -A kind name here why url listens log_file engine_log token_file tls_ca problem command_from command_words
command_line=() # of all parts, one after another
file_problems=()
registry_url=''

load_plan() {
  local words=() position=0 record count fields id
  mapfile -d '' -t words < <("$ctl" plan --null "${plan_flags[@]}")
  wait "$!" || return
  while ((position < ${#words[@]})); do
    record=${words[position]}
    count=${words[position + 1]}
    fields=("${words[@]:position+2:count}")
    position=$((position + 2 + count))
    case "$record" in
      fleet) registry_url=${fields[0]} ;;
      problem) file_problems+=("${fields[0]}") ;;
      part)
        id=${fields[1]}
        ids+=("$id")
        kind[$id]=${fields[0]} name[$id]=${fields[2]} here[$id]=${fields[3]} why[$id]=${fields[4]}
        url[$id]=${fields[5]} listens[$id]=${fields[6]} log_file[$id]=${fields[7]} engine_log[$id]=${fields[8]}
        token_file[$id]=${fields[9]} tls_ca[$id]=${fields[10]} problem[$id]=${fields[11]}
        [[ -z ${fields[12]} ]] || complain "${fields[12]}"
        command_from[$id]=${#command_line[@]}
        command_words[$id]=$((count - 13))
        command_line+=("${fields[@]:13}")
        ;;
    esac
  done
}

# The ids of a kind that this run is about: those that belong here, or with --parts whatever it names.
parts_of() {
  local wanted=$1 id
  for id in "${ids[@]}"; do
    [[ ${kind[$id]} == "$wanted" ]] || continue
    if [[ -n $parts_wanted || ${here[$id]} == yes ]]; then
      printf '%s\0' "$id"
    fi
  done
}

wants() { [[ -z $parts_wanted || ,$parts_wanted, == *,"$1",* ]]; }

check_parts() {
  local part parts
  [[ -n $parts_wanted ]] || return 0
  IFS=, read -r -a parts <<<"$parts_wanted"
  for part in "${parts[@]}"; do
    case "$part" in
      registry | router | services) ;;
      *) usage_error "--parts takes registry, router and services, got '$part'" ;;
    esac
  done
}

# The token and certificates for a part's pages: as said on the command line, else as its own files name them.
access_of() {
  access=("${access_flags[@]}")
  [[ ${#access[@]} -eq 0 ]] || return 0
  if [[ -n ${token_file[$1]:-} && -r ${token_file[$1]} ]]; then access+=(--token-file "${token_file[$1]}"); fi
  if [[ -n ${tls_ca[$1]:-} && -r ${tls_ca[$1]} ]]; then access+=(--tls-ca "${tls_ca[$1]}"); fi
}

# --- starting -----------------------------------------------------------------------------------------------------------
last_lines() {
  local id=$1 file
  for file in "$logs/$id.err" "${log_file[$id]:-}" "${engine_log[$id]:-}"; do
    [[ -n $file && -s $file ]] || continue
    printf '  the last lines of %s:\n' "$file"
    tail -n 15 -- "$file" | while IFS= read -r line; do printf '    %s\n' "$line"; done
  done
}

program_of() {
  case "$1" in
    registry) echo infinilm-registry ;;
    distributed_router) echo infinilm-router ;;
    *) echo infinilm-agent ;;
  esac
}

# launch ID: sets `pid`.
launch() {
  local id=$1 said
  if [[ -n ${problem[$id]} ]]; then
    complain "${name[$id]} cannot be started: ${problem[$id]}"
    return 1
  fi
  said=$("$ctl" launch --pid-file "$logs/$id.pid" --output "$logs/$id.err" --folder "$run_dir" \
    --listens "${listens[$id]}" -- "${command_line[@]:${command_from[$id]}:${command_words[$id]}}") || {
    complain "${name[$id]} is not started"
    return 1
  }
  pid=${said% *}
  case "$said" in
    *running) printf '%s: runs already, pid %s\n' "${name[$id]}" "$pid" ;;
    *) printf '%s: started, pid %s\n' "${name[$id]}" "$pid" ;;
  esac
}

# await ID PID: until it is ready; says why not.
await() {
  local id=$1 pid=$2 limit=${timeout:-60s} access=() flags=()
  if [[ ${kind[$id]} == service ]]; then
    limit=${timeout:-30m}
    flags+=(--registered)
  fi
  access_of "$id"
  "$ctl" wait "${kind[$id]}" "${url[$id]}" --pid "$pid" --label "${name[$id]}" --timeout "$limit" "${flags[@]}" \
    "${access[@]}" && return
  if ! "$ctl" pid --pid-file "$logs/$id.pid" --program "$(program_of "$id")" >/dev/null; then
    rm -f -- "$logs/$id.pid"
  fi
  last_lines "$id"
  return 1
}

# Until the router of this host uses these services, which it hears of a moment after they are ready.
await_routed() {
  [[ $# -gt 0 && ${here[distributed_router]:-} == yes ]] || return 0
  "$ctl" wait-routed --timeout "${timeout:-60s}" "${plan_flags[@]}" "${access_flags[@]}" -- "$@"
}

# Side by side: models load at the same time.
start_all() {
  local id failed=0 pid process names=()
  local -A waiter=() # the process that waits, by id
  for id in "$@"; do
    if launch "$id"; then
      await "$id" "$pid" &
      waiter[$id]=$!
    else
      failed=1
    fi
  done
  for id in "$@"; do
    process=${waiter[$id]:-}
    [[ -n $process ]] || continue
    if ! wait "$process"; then
      failed=1
    elif [[ ${kind[$id]} == service ]]; then
      names+=("${name[$id]}")
    fi
  done
  await_routed "${names[@]}" || failed=1
  return "$failed"
}

start() {
  local started=0 part reason list=()
  reason=$(mkdir -p -- "$logs" 2>&1) || die "${reason#mkdir: }: INFINILM_RUN_DIR says where the daemons are started"
  if wants services && [[ ${#file_problems[@]} -gt 0 ]]; then
    for problem_text in "${file_problems[@]}"; do complain "$problem_text"; done
    return 1
  fi
  for part in registry router service; do
    wants "${part/service/services}" || continue
    mapfile -d '' -t list < <(parts_of "$part")
    [[ ${#list[@]} -gt 0 ]] || continue
    started=1
    start_all "${list[@]}" || {
      [[ $part == service ]] || complain "what comes after the $part is not started"
      return 1
    }
  done
  if ((!started)); then
    complain "nothing of $config_dir belongs to this host:"
    for part in "${ids[@]}"; do complain "  ${name[$part]}: ${why[$part]}"; done
    wants services && complain "  services: no *_services.json names this host; --host says which one it is"
    return 1
  fi
}

# --- stopping -----------------------------------------------------------------------------------------------------------
stop_part() {
  local id=$1 access=() flags=()
  access_of "$id"
  if [[ ${kind[$id]:-} == service ]]; then flags+=(--url "${url[$id]}"); fi
  "$ctl" stop --pid-file "$logs/$id.pid" --program "$(program_of "$id")" --label "${name[$id]:-$id}" \
    --timeout "${timeout:-5m}" "${flags[@]}" "${access[@]}"
}

# Services by the files, and with `all` also those that only have a PID file.
services_to_stop() {
  local id file
  for id in "${ids[@]}"; do
    if [[ ${kind[$id]} == service ]]; then printf '%s\0' "$id"; fi
  done
  [[ $1 == all ]] || return 0
  for file in "$logs"/*.pid; do
    id=${file##*/}
    id=${id%.pid}
    [[ -e $file && $id != registry && $id != distributed_router && -z ${kind[$id]:-} ]] || continue
    printf '%s\0' "$id"
  done
}

# stop all|named
stop() {
  local list=() id failed=0 waiting=()
  if wants services; then
    mapfile -d '' -t list < <(services_to_stop "$1")
    for id in "${list[@]}"; do
      stop_part "$id" &
      waiting+=("$!")
    done
    for id in "${waiting[@]}"; do wait "$id" || failed=1; done
  fi
  if wants router; then stop_part distributed_router || failed=1; fi
  if wants registry; then stop_part registry || failed=1; fi
  return "$failed"
}

# --- logs ---------------------------------------------------------------------------------------------------------------
show_logs() {
  local wanted=${1:-} id file files=() names=()
  for id in "${ids[@]}"; do
    names+=("${name[$id]}")
    [[ -z $wanted || $wanted == "$id" || $wanted == "${name[$id]}" ]] || continue
    for file in "${log_file[$id]}" "${engine_log[$id]}" "$logs/$id.err"; do
      if [[ -n $file && -s $file ]]; then files+=("$file"); fi
    done
  done
  if [[ ${#files[@]} -eq 0 ]]; then
    [[ -n $wanted ]] || die "there are no logs in $logs yet"
    die "there is no log of '$wanted'; there are parts called: ${names[*]}"
  fi
  if [[ -n $follow ]]; then
    exec tail -n "$lines" -F -- "${files[@]}"
  fi
  tail -n "$lines" -- "${files[@]}"
}

# --- other hosts --------------------------------------------------------------------------------------------------------
# Runs a command, or with --dry-run says it.
act() {
  if [[ -n $dry_run ]]; then
    printf '  '
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

ssh_options=(-o BatchMode=yes -o ConnectTimeout=10)

# deploy_to HOST PARTS: 1 when something could not be copied, 2 when its parts did not all start.
deploy_to() {
  local to=$1 only=$2 binaries=() binary remote=("$remote_dir/scripts/deploy_services.sh") quoted
  for binary in infinilm-registry infinilm-router infinilm-agent infinilm-ctl infinilm-sim; do
    if [[ -x $bin_dir/$binary ]]; then binaries+=("$bin_dir/$binary"); fi
  done
  printf -v quoted '%q ' mkdir -p -- "$remote_dir/bin" "$remote_dir/scripts" "$remote_dir/deployment_configs"
  act ssh "${ssh_options[@]}" -- "$to" "$quoted" || return 1
  local copy=(rsync --archive --compress --protect-args -e "ssh ${ssh_options[*]}" --)
  act "${copy[@]}" "${binaries[@]}" "$to:$remote_dir/bin/" || return 1
  act "${copy[@]}" "$root/scripts/deploy_services.sh" "$root/scripts/start_service_instance.sh" \
    "$root/scripts/common.sh" "$to:$remote_dir/scripts/" || return 1
  act "${copy[@]}" "$config_dir/" "$to:$remote_dir/deployment_configs/" || return 1
  remote+=(--config-dir "$remote_dir/deployment_configs")
  if [[ -n $only ]]; then remote+=(--parts "$only"); fi
  if [[ -n $timeout ]]; then remote+=(--timeout "$timeout"); fi
  remote+=("$remote_command")
  printf -v quoted '%q ' "${remote[@]}"
  act ssh "${ssh_options[@]}" -- "$to" "$quoted" || return 2
}

deploy_remote() {
  local target host only failed=0 index=0 running=0 width=4 result last hosts=() outputs folder status
  [[ $# -gt 0 ]] || usage_error "deploy-remote needs hosts"
  for target in "$@"; do
    [[ $target =~ ^[A-Za-z0-9_.@%-]+(=[a-z,]+)?$ && $target != -* ]] || usage_error "'$target' is no HOST or HOST=PART,..."
    host=${target%%=*}
    hosts+=("$host")
    ((${#host} <= width)) || width=${#host}
    parts_wanted=''
    if [[ $target == *=* ]]; then parts_wanted=${target#*=}; fi
    check_parts
  done
  if [[ -z $dry_run ]]; then
    for result in ssh rsync; do
      command -v "$result" >/dev/null || die "deploy-remote needs $result, which is not installed"
    done
  fi
  folder=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder as it is now
  trap "rm -rf -- '$folder'" EXIT
  for target in "$@"; do
    host=${target%%=*}
    only=''
    if [[ $target == *=* ]]; then only=${target#*=}; fi
    if [[ -n $dry_run ]]; then
      printf '%s:\n' "$host"
      deploy_to "$host" "$only"
      continue
    fi
    if ((running >= jobs)); then
      wait -n || true
      running=$((running - 1))
    fi
    printf '%s: copying and starting\n' "$host"
    {
      status=0
      deploy_to "$host" "$only" >"$folder/$index.out" 2>&1 </dev/null || status=$?
      echo "$status" >"$folder/$index.status"
      printf '%s: done\n' "$host"
    } &
    running=$((running + 1))
    index=$((index + 1))
  done
  [[ -z $dry_run ]] || return 0
  wait
  printf '\n%-*s  %-10s  %s\n' "$width" HOST RESULT "LAST LINE"
  for index in "${!hosts[@]}"; do
    case $(<"$folder/$index.status") in
      0) result=started ;;
      1) result='not copied' && failed=1 ;;
      *) result='not ready' && failed=1 ;;
    esac
    outputs=()
    mapfile -t outputs <"$folder/$index.out"
    last=''
    if [[ ${#outputs[@]} -gt 0 ]]; then last=${outputs[-1]}; fi
    printf '%-*s  %-10s  %s\n' "$width" "${hosts[index]}" "$result" "${last#"${last%%[! ]*}"}"
  done
  for index in "${!hosts[@]}"; do
    [[ $(<"$folder/$index.status") != 0 ]] || continue
    printf '\nall that %s said:\n' "${hosts[index]}"
    cat -- "$folder/$index.out"
  done
  return "$failed"
}

# --- commands -----------------------------------------------------------------------------------------------------------
no_arguments() { [[ ${#arguments[@]} -eq 0 ]] || usage_error "$command takes no argument, got '${arguments[0]}'"; }

need_plan() { load_plan || exit 2; }
# A stop must work with files that are broken or gone.
try_plan() { load_plan 2>/dev/null || true; }

check_parts
case "$command" in
  '')
    usage >&2
    exit 2
    ;;
  start | restart | start-registry | start-router | start-services)
    no_arguments
    if [[ $command == start-* ]]; then parts_wanted=${command#start-}; fi
    need_plan
    if [[ $command == restart ]]; then stop named; fi
    start
    ;;
  stop | stop-all | stop-registry | stop-router | stop-services)
    no_arguments
    if [[ $command == stop-r* || $command == stop-services ]]; then parts_wanted=${command#stop-}; fi
    try_plan
    case "$command" in
      stop-all | stop-services) stop all ;;
      *) stop named ;;
    esac
    ;;
  status)
    no_arguments
    # shellcheck disable=SC2086 # --json or nothing
    exec "$ctl" status $json "${plan_flags[@]}" "${access_flags[@]}"
    ;;
  check)
    no_arguments
    exec "$ctl" check "${plan_flags[@]}" "${access_flags[@]}"
    ;;
  logs)
    [[ ${#arguments[@]} -le 1 ]] || usage_error "logs takes one name"
    need_plan
    show_logs "${arguments[@]}"
    ;;
  generate-config)
    need_plan
    source_flags=()
    output_flags=(--output nginx_distributed.conf)
    if [[ -n $registry_url ]]; then source_flags+=(--registry "$registry_url"); fi
    for argument in "${arguments[@]}"; do
      case "$argument" in
        --registry* | --static*) source_flags=() ;;
        -o* | --output*) output_flags=() ;;
        haproxy | *=haproxy) output_flags=("${output_flags[@]/nginx_distributed.conf/haproxy_distributed.cfg}") ;;
      esac
    done
    for file in "$config_dir"/*_services.json; do
      if [[ -f $file ]]; then source_flags+=(--stand-in "$file"); fi
    done
    if [[ -f $config_dir/router_config.json ]]; then source_flags+=(--router-config "$config_dir/router_config.json"); fi
    access=()
    access_of registry
    exec "$ctl" generate-config "${source_flags[@]}" "${access[@]}" "${output_flags[@]}" "${arguments[@]}"
    ;;
  deploy-remote) deploy_remote "${arguments[@]}" ;;
  *) usage_error "unknown command '$command'" ;;
esac
