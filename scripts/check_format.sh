#!/usr/bin/env bash
# Checks that every C++ file is formatted as .clang-format says; with --fix, formats them.
set -euo pipefail

case "${1:-}" in
  -h | --help)
    echo "usage: scripts/check_format.sh [--fix]"
    exit 0
    ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"
command -v clang-format-14 >/dev/null || die "clang-format-14 is missing; scripts/install_deps.sh --dev installs it"

if [[ ${1:-} == --fix ]]; then
  cpp_files | xargs -0 --no-run-if-empty clang-format-14 --style=file -i
  say "formatted"
else
  cpp_files | xargs -0 --no-run-if-empty clang-format-14 --style=file --dry-run --Werror --ferror-limit=3 ||
    die "not formatted; scripts/check_format.sh --fix does it"
  say "all files are formatted"
fi
