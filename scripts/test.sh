#!/usr/bin/env bash
# Builds one preset and runs its tests; needs nothing before it on Debian 12 and Ubuntu 24.04.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/test.sh [preset] [ctest option...]

Installs missing packages, builds the preset (default: dev) and runs every test, with the output of those that fail.

  scripts/test.sh                    everything, g++
  scripts/test.sh asan               everything under AddressSanitizer and UndefinedBehaviorSanitizer
  scripts/test.sh tsan -L threaded   the threaded tests under ThreadSanitizer
  scripts/test.sh dev -L unit        only the unit tests (labels: unit component system fuzz threaded)
  scripts/test.sh dev -R registry    only tests whose name matches

  JOBS=N   environment: compile N files, and run N tests, at once
TEXT
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac
preset=${1:-dev}
ctest_options=("${@:2}")

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"
check_preset "$preset"
case "$preset" in
  fuzz | tidy) die "preset $preset has no tests to run" ;;
esac

# Only the system tests need more than the build does.
options=" ${ctest_options[*]-} "
if [[ $options != *" -L "* || $options == *" -L system "* ]]; then
  "$root/scripts/install_deps.sh" --tests
fi

if [[ $preset == tsan && ${ctest_options[*]-} == "-L threaded" ]]; then
  "$root/scripts/build.sh" tsan threaded_tests
else
  "$root/scripts/build.sh" "$preset" all
fi
cd "$root"
# Two more than there are cores: most tests wait for time to pass.
say "running the tests of preset $preset"
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(($(jobs_count) + 2))" ${ctest_options[@]+"${ctest_options[@]}"}
