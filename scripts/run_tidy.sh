#!/usr/bin/env bash
# Runs clang-tidy 14 over the sources of whole layers.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/run_tidy.sh [--all | --changed [BASE] | FILE...]

  --all              every .cpp below src/ (default)
  --changed [BASE]   the layers (folders below src/) with a change since BASE; default: $CI_BASE, else origin/main, else
                     the newest commit older than four hours, else the one before HEAD. Layers above a changed header are
                     not checked again. A change of .clang-tidy, or no usable base, checks everything.
  FILE...            these files

Several sources of a library are checked in one go, as the preset compiles them: their headers are most of the work. What
only shows in a source alone (a missing #include, a using-declaration that nobody uses) is looked for in each source
by itself: with --changed, in those that changed and those that include a header that did.

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
  # A fresh clone has no trace of what landed before: then all commits of the last hours are taken as one change, and when
  # the newest is older, that one.
  recent=$(git rev-list -1 --before='4 hours ago' HEAD)
  for candidate in "$@" "${CI_BASE:-}" origin/main "$recent" HEAD~1; do
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

# The sources to check alone: those that changed, and those that include a changed header themselves.
changed_sources() {
  local file
  git diff --name-only --diff-filter=d "$1" -- src | while read -r file; do
    case "$file" in
      *.cpp) echo "$file" ;;
      *.hpp) grep -rlF --include='*.cpp' "#include \"${file#src/}\"" src || true ;;
    esac
  done | sort -u
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
alone=()
case "${1:---all}" in
  -h | --help)
    usage
    exit 0
    ;;
  --all)
    mapfile -t sources < <(all_sources)
    alone=("${sources[@]}")
    ;;
  --changed)
    if ! base=$(base_commit "${2:-}"); then
      say "no earlier commit to compare with: checking everything"
      mapfile -t sources < <(all_sources)
      alone=("${sources[@]}")
    elif ! git diff --quiet "$base" -- .clang-tidy scripts/run_tidy.sh; then
      say "the checks themselves changed: checking everything"
      mapfile -t sources < <(all_sources)
      alone=("${sources[@]}")
    else
      mapfile -t layers < <(changed_layers "$base")
      mapfile -t alone < <(changed_sources "$base")
      say "layers changed since ${base:0:12}: ${layers[*]:-none}"
      for layer in "${layers[@]}"; do
        [[ -d $layer ]] || continue
        mapfile -t -O "${#sources[@]}" sources < <(layer_sources "$layer" | sort)
      done
    fi
    ;;
  *)
    sources=("$@")
    alone=("$@")
    ;;
esac

if [[ ${#sources[@]} -eq 0 ]]; then
  say "nothing to check"
  exit 0
fi
command -v clang-tidy-14 >/dev/null || die "clang-tidy-14 is missing; scripts/install_deps.sh --dev installs it"
quietly cmake --preset tidy || die "configuring preset tidy failed"

# What the preset compiles for these sources: each itself, or the file of its library that includes several.
compiled_for() {
  local -A unit_of=()
  local unit source
  while IFS=: read -r unit source; do
    source=${source#\"}
    unit_of[${source%\"}]=$unit
  done < <(grep -rHoE --include='unity_*_cxx.cxx' '"/[^"]+\.cpp"' build/tidy)
  for source in "$@"; do
    source=$(realpath "$source")
    echo "${unit_of[$source]:-$source}"
  done | sort -u
}

# Runs clang-tidy over the files that come in on stdin, a line each, with the options given.
tidy() {
  # clang-tidy counts the warnings that it suppressed on stderr; what it found is on stdout.
  xargs -d '\n' -r -n 1 -P "$(jobs_count)" clang-tidy-14 -p build/tidy --quiet "$@" 2> >(grep -v 'warnings\? generated' >&2)
}

mapfile -t units < <(compiled_for "${sources[@]}")
say "${#sources[@]} files (${#alone[@]} of them also alone), $(jobs_count) at once"
found=0
printf '%s\n' "${units[@]}" | tidy || found=1
if [[ ${#alone[@]} -gt 0 ]]; then
  printf '%s\n' "${alone[@]}" | tidy --checks='-*,misc-unused-using-decls,misc-unused-alias-decls' || found=1
fi
[[ $found -eq 0 ]] || die "clang-tidy has findings"
say "no findings"
