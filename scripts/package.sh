#!/usr/bin/env bash
# Builds the Debian package.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/package.sh [preset]

Builds what the package infinilm-services is made of, and the package, into build/<preset>/. The default is release;
dev makes one with assertions. Install it with: sudo apt install ./build/release/infinilm-services_VERSION_ARCH.deb

  JOBS=N   environment: compile N files at once
TEXT
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac
preset=${1:-release}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$root/scripts/common.sh"
case "$preset" in
  dev | release) ;;
  *) die "the package is made of preset release or dev, not of '$preset'" ;;
esac

"$root/scripts/build.sh" "$preset" package_files
say "packing"
cd "$root/build/$preset"
quietly cpack -G DEB || die "packing failed"
for package in infinilm-services_*.deb; do
  [[ $package -nt CPackConfig.cmake ]] || continue
  say "made: build/$preset/$package"
done
