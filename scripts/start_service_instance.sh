#!/usr/bin/env bash
# Starts one service instance: infinilm-agent, with the flags that this script always had.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/start_service_instance.sh --port PORT --config FILE [--name NAME] [--registry URL] [AGENT FLAGS]

Runs infinilm-agent in place of this script: it starts the engine on PORT, registers it when it is ready, watches it,
restarts it, and stops it on SIGTERM or Ctrl-C.

  --port PORT     port of the engine; the agent's own pages (/health, /status, ...) are on PORT+1
  --config FILE   settings of the service, or the TOML of an InfiniLM-Rust engine
  --name NAME     name in the registry (default: the engine's kind and the port)
  --registry URL  the registry, such as http://192.168.1.100:8081/services (default: registered nowhere)

Every other flag goes to infinilm-agent as it is; `infinilm-agent --help` lists them, --dry-run shows what would be run.
The binary is $INFINILM_BIN_DIR/infinilm-agent if that is set, else the checkout's own build, else the one in PATH.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

agent_binary() {
  local candidate
  if [[ -n ${INFINILM_BIN_DIR:-} ]]; then
    candidate=$INFINILM_BIN_DIR/infinilm-agent
    [[ -x $candidate ]] || die "$candidate is not there (INFINILM_BIN_DIR says where the binaries are)"
    echo "$candidate"
    return
  fi
  for candidate in "$root"/build/{release,dev}/bin/infinilm-agent; do
    if [[ -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
  command -v infinilm-agent ||
    die "infinilm-agent is neither built (scripts/build.sh) nor in PATH"
}

if [[ $# -eq 0 ]]; then
  usage >&2
  exit 2
fi
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
  esac
done

binary=$(agent_binary)
exec "$binary" "$@"
