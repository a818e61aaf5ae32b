#!/usr/bin/env bash
# Installs what InfiniLM Services needs to build and test, on Debian 12 and Ubuntu 24.04.
set -euo pipefail

readonly LIBRARIES=(
  nlohmann-json3-dev libspdlog-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev libssl-dev libsimdjson-dev
  libtomlplusplus-dev libsqlite3-dev prometheus-cpp-dev libsystemd-dev libxxhash-dev libjemalloc-dev
  zlib1g-dev) # infinilm-bench reads packed traces
readonly TOOLS=(g++ cmake ninja-build ccache pkg-config git python3 openssl sqlite3 python3-jsonschema python3-yaml curl
  strace   # a system test makes fsync fail with it
  iproute2 # another one makes hosts of network namespaces
  dpkg-dev file) # the dependencies of our package are computed with them
readonly CHECK_TOOLS=(clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev lld-14 shellcheck
  groff-base systemd systemd-container # tests of manual pages and units
  nginx haproxy) # take the configurations that infinilm-ctl makes
readonly SERVERS=(nginx haproxy)
readonly NODE_OLDEST=18 # what the OpenAI client of the tests runs on; Debian 12 has it
readonly BOOST_OLDEST=81 # 1.81 is what the code is written against

usage() {
  cat <<'TEXT'
usage: scripts/install_deps.sh [--tests] [--venv] [--dev] [--check] [-h|--help]

Installs the packages that are missing, with apt-get (as root, or through sudo), and says which. When nothing is missing
it does nothing and needs neither.

  --tests  also what the system tests need: python3-venv; Node.js with npm, and promtool, unless this machine has them
           already, from wherever. Of the package prometheus, whose server no test needs, promtool alone is taken, into
           build/tools; nothing of it is installed
  --venv   also python3-venv alone, for Python programs with an environment of their own
  --dev    also the tools of the checks: clang 14, clang-tidy, clang-format, libFuzzer, lld, shellcheck, systemd-analyze,
           nginx and HAProxy (which are not started)
  --check  install nothing: print what is missing; exit 1 if anything is
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly PROMTOOL=$root/build/tools/promtool

say() { printf 'install_deps: %s\n' "$*"; }
die() {
  printf 'install_deps: %s\n' "$*" >&2
  exit 1
}

tests=false
venv=false
dev=false
check=false
for argument in "$@"; do
  case "$argument" in
    --tests) tests=true ;;
    --venv) venv=true ;;
    --dev) dev=true ;;
    --check) check=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      die "unknown argument '$argument'"
      ;;
  esac
done

command -v dpkg-query >/dev/null || die "this is not Debian or Ubuntu (no dpkg-query); install the packages by hand: \
libboost1.81-dev libboost-url1.81-dev ${LIBRARIES[*]} ${TOOLS[*]}"

has_node() {
  local version
  command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  [[ ${version%%.*} =~ ^[0-9]+$ ]] && ((${version%%.*} >= NODE_OLDEST))
}

# What the tests run in: /usr/bin first, as the build looks for it.
has_venv() { PATH=/usr/bin:$PATH python3 -c 'import ensurepip, venv' 2>/dev/null; }

has_promtool() { command -v promtool >/dev/null || [[ -x $PROMTOOL ]]; }

# Needs no root, and a server that is not installed cannot start.
fetch_promtool() {
  local folder
  say "promtool, out of the package prometheus, into ${PROMTOOL%/*}"
  mkdir -p -- "${PROMTOOL%/*}"
  folder=$(mktemp -d "${PROMTOOL%/*}/download.XXXXXX")
  # The user _apt, as which apt-get downloads when root calls it, may write there too.
  chmod 777 -- "$folder"
  (cd "$folder" && apt-get download -q prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb |
    tar -x --no-same-owner --strip-components=3 ./usr/bin/promtool && mv -- promtool "$PROMTOOL") || {
    rm -rf -- "$folder"
    return 1
  }
  rm -rf -- "$folder"
}

wanted=("${LIBRARIES[@]}" "${TOOLS[@]}")
if $tests || $venv; then
  has_venv || wanted+=(python3-venv)
fi
if $tests; then
  has_node || wanted+=(nodejs npm)
fi
if $dev; then
  wanted+=("${CHECK_TOOLS[@]}")
fi

# One call for all: a fork per package would take longer than the rest of this script. Packages provided under another
# name (pkg-config by pkgconf) are listed as what they provide too.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
  sed -n 's/^installed //p' | tr -s ' ,' '\n')
is_installed() { grep -qxF -- "$1" <<<"$installed"; }

# The Boost 1.8x whose headers and URL library are both there, newest first.
installed_boost() {
  local minor
  for ((minor = 99; minor >= BOOST_OLDEST; minor--)); do
    if is_installed "libboost1.$minor-dev" && is_installed "libboost-url1.$minor-dev"; then
      echo "1.$minor"
      return
    fi
  done
}

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
boost=$(installed_boost)

promtool=false
if $tests && ! has_promtool; then promtool=true; fi

if [[ -n $boost && ${#missing[@]} -eq 0 ]] && ! $promtool; then
  say "nothing to do: all ${#wanted[@]} packages and Boost $boost are installed"
  exit 0
fi

if $check; then
  [[ -n $boost ]] || missing+=("libboost1.$BOOST_OLDEST-dev (or newer)" "libboost-url1.$BOOST_OLDEST-dev (or newer)")
  if $promtool; then missing+=("promtool (of the package prometheus)"); fi
  printf 'missing: %s\n' "${missing[@]}"
  exit 1
fi

command -v apt-get >/dev/null || die "apt-get is missing, so these packages cannot be installed: ${missing[*]-} \
$([[ -n $boost ]] || echo "libboost1.$BOOST_OLDEST-dev libboost-url1.$BOOST_OLDEST-dev")"
# Lists that an earlier call has brought may be enough for a download.
if [[ -n $boost && ${#missing[@]} -eq 0 ]] && fetch_promtool; then
  say "done"
  exit 0
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || die "installing packages needs root, and there is no sudo; run this script as root"
  as_root=(sudo)
fi

say "already installed: $((${#wanted[@]} - ${#missing[@]})) of ${#wanted[@]} packages${boost:+, and Boost $boost}"
say "reading the package lists (apt-get update)"
"${as_root[@]}" apt-get update -q || die "apt-get update failed; are the package servers reachable?"

if [[ -z $boost ]]; then
  known=$(apt-cache search --names-only '^libboost-url1\.[0-9]+-dev$' | sed -n 's/^libboost-url1\.\([0-9]*\)-dev .*/\1/p' |
    awk -v oldest="$BOOST_OLDEST" '$1 >= oldest' | sort -n)
  [[ -n $known ]] || die "apt knows no libboost-url1.$BOOST_OLDEST-dev or newer; Debian 12 and Ubuntu 24.04 have one"
  if grep -qx "$BOOST_OLDEST" <<<"$known"; then
    minor=$BOOST_OLDEST
    say "Boost: 1.$minor, the version the code is written against"
  else
    minor=$(tail -n 1 <<<"$known")
    say "Boost: 1.$minor, the newest that apt knows here (there is no 1.$BOOST_OLDEST)"
  fi
  missing+=("libboost1.$minor-dev" "libboost-url1.$minor-dev")
fi

# Servers that this script brings are for tests: they must not take ports of this machine, now or after a boot.
new_servers=()
for package in "${missing[@]}"; do
  [[ " ${SERVERS[*]} " == *" $package "* ]] && new_servers+=("$package")
done
readonly POLICY=/usr/sbin/policy-rc.d
if [[ ${#new_servers[@]} -gt 0 && ! -e $POLICY ]]; then
  trap '"${as_root[@]}" rm -f "$POLICY"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$POLICY"
fi

if [[ ${#missing[@]} -gt 0 ]]; then
  say "installing ${#missing[@]}: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    die "apt-get install failed; its message above says why"
fi
if [[ ${#new_servers[@]} -gt 0 ]] && command -v systemctl >/dev/null; then
  "${as_root[@]}" systemctl disable --quiet "${new_servers[@]}" || true
fi
if $promtool; then
  fetch_promtool || die "promtool could not be fetched; the message above says why"
fi
say "done"
