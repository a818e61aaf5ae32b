#!/usr/bin/env bash
# Runs clang-tidy 14 over the sources of whole layers.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/run_tidy.sh [--all | --changed [BASE] | FILE...]

  --all              every .cpp below src/ (default)
  --changed [BASE]   the layers (folders below src/) with a change since BASE; default: $CI_BASE, else origin/main, else
                     the newest commit older than four hours. Layers above a changed header are not checked again. A change of .clang-tidy, or no
                     usable base, checks everything.
  FILE...            these files

  JOBS=N             environment: N files at once
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"
cd "$root"

# The commit to compare with: the first of the candidates that exists and is not HEAD itself.
base_commit() {
  local candidate commit head recent
  head=$(git rev-parse HEAD 2>/dev/null) || return 1
  # A fresh clone has no trace of what landed before: then all commits of the last hours are taken as one change.
  recent=$(git rev-list -1 --before='4 hours ago' HEAD)
  for candidate in "$@" "${CI_BASE:-}" origin/main "$recent"; do
    [[ -n $candidate ]] || continue
    commit=$(git merge-base HEAD "$candidate" 2>/dev/null) || continue
    if [[ $commit != "$head" ]]; then
      echo "$commit"
      return
    fi
  done
  return 1
}

# Folders such as src/common/io, one a line.
changed_layers() {
  git diff --name-only "$1" -- src | grep -E '\.(cpp|hpp)$' | sed -E 's#^(src/[a-z]+(/(core|io))?)/.*#\1#' | sort -u
}

all_sources() { find src -name '*.cpp' | sort; }

# Sources of a layer; src/registry is its own files without core/ and io/.
layer_sources() {
  case "$1" in
    */core | */io) find "$1" -name '*.cpp' ;;
    *) find "$1" -maxdepth 1 -name '*.cpp' ;;
  esac
}

sources=()
case "${1:---all}" in
  -h | --help)
    usage
    exit 0
    ;;
  --all)
    mapfile -t sources < <(all_sources)
    ;;
  --changed)
    if ! base=$(base_commit "${2:-}"); then
      say "no earlier commit to compare with: checking everything"
      mapfile -t sources < <(all_sources)
    elif ! git diff --quiet "$base" -- .clang-tidy scripts/run_tidy.sh; then
      say "the checks themselves changed: checking everything"
      mapfile -t sources < <(all_sources)
    else
      mapfile -t layers < <(changed_layers "$base")
      say "layers changed since ${base:0:12}: ${layers[*]:-none}"
      for layer in "${layers[@]}"; do
        [[ -d $layer ]] || continue
        mapfile -t -O "${#sources[@]}" sources < <(layer_sources "$layer" | sort)
      done
    fi
    ;;
  *)
    sources=("$@")
    ;;
esac

if [[ ${#sources[@]} -eq 0 ]]; then
  say "nothing to check"
  exit 0
fi
command -v clang-tidy-14 >/dev/null || die "clang-tidy-14 is missing; scripts/install_deps.sh --dev installs it"
quietly cmake --preset tidy || die "configuring preset tidy failed"

say "${#sources[@]} files, $(jobs_count) at once"
# clang-tidy counts the warnings that it suppressed on stderr; what it found is on stdout.
printf '%s\0' "${sources[@]}" |
  xargs -0 -n 1 -P "$(jobs_count)" clang-tidy-14 -p build/tidy --quiet 2> >(grep -v 'warnings\? generated' >&2) ||
  die "clang-tidy has findings"
say "no findings"
