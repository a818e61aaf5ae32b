#!/usr/bin/env bash
# Configures and builds one preset; installs missing packages first.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/build.sh [preset] [target...]

Builds a preset of CMakePresets.json (default: release) into build/<preset>; the binaries are in build/<preset>/bin.
Missing packages are installed first (scripts/install_deps.sh). Works from any folder.

  preset   dev, release, asan, tsan, fuzz
  target   build only these targets, for example check_headers. Default: everything (`all`); of release what is
           installed and the benchmarks, without the tests

  JOBS=N   environment: compile N files at once (default: one per core, one per 2 GiB of memory)
TEXT
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac
preset=${1:-release}
targets=("${@:2}")
if [[ $preset == release && ${#targets[@]} -eq 0 ]]; then
  targets=(package_files benchmarks)
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"
check_preset "$preset"

case "$preset" in
  dev | release) "$root/scripts/install_deps.sh" ;;
  *) "$root/scripts/install_deps.sh" --dev ;;
esac

cd "$root"
# Another checkout, in another folder, may use what this one compiled.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
quietly cmake --preset "$preset" || die "configuring preset $preset failed"
say "building preset $preset with $(jobs_count) jobs"
arguments=(--build --preset "$preset" -j "$(jobs_count)")
if [[ ${#targets[@]} -gt 0 ]]; then
  arguments+=(--target "${targets[@]}")
fi
cmake "${arguments[@]}"
say "built: build/$preset/bin"
