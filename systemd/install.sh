#!/usr/bin/env bash
# Installs binaries, systemd units and a first configuration on this machine, without the package.
set -euo pipefail
umask 022

usage() {
  cat <<'TEXT'
usage: systemd/install.sh [FLAGS]

Installs infinilm-registry, infinilm-router, infinilm-agent and infinilm-ctl, their units, and where there is none yet a
configuration in /etc/infinilm; makes the system user infinilm and its folders. Starts nothing. Run it again after a
build: what is installed is replaced, configuration stays.

  --prefix DIR    binaries go to DIR/bin, manual pages to DIR/share/man; default /usr/local
  --bin-dir DIR   where the built binaries are; default build/release/bin of this checkout
  --root DIR      install below DIR, as for an image; nothing is reloaded or stopped then
  --uninstall     stop and disable the units, and remove what was installed; configuration, state and logs stay
  --purge         with --uninstall: remove those too (not the user)
  --dry-run       say what would be done, and do nothing
  -h, --help      print this

The Debian package (scripts/package.sh) does the same, with dependencies, below /usr.
TEXT
}

source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix=/usr/local
bin_dir=$source_root/build/release/bin
root=""
uninstall=false
purge=false
dry_run=false

say() { printf 'install.sh: %s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit "${2:-1}"
}
usage_error() {
  printf 'install.sh: %s; --help says what it takes\n' "$*" >&2
  exit 2
}

while [[ $# -gt 0 ]]; do
  flag=$1
  shift
  case "$flag" in
    --prefix | --bin-dir | --root)
      [[ $# -gt 0 && -n $1 ]] || usage_error "$flag needs a folder"
      case "$flag" in
        --prefix) prefix=$1 ;;
        --bin-dir) bin_dir=$1 ;;
        --root) root=$1 ;;
      esac
      shift
      ;;
    --prefix=* | --bin-dir=* | --root=*) set -- "${flag%%=*}" "${flag#*=}" "$@" ;;
    --uninstall) uninstall=true ;;
    --purge) purge=true ;;
    --dry-run) dry_run=true ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) usage_error "unknown flag '$flag'" ;;
  esac
done
[[ $prefix == /* ]] || usage_error "--prefix must be an absolute path, got '$prefix'"
# A unit's command is split at blanks, and % begins a specifier.
[[ $prefix != *[[:space:]%\"\'\\\$]* ]] || usage_error "a unit cannot name a program below '$prefix'"
$uninstall || ! $purge || usage_error "--purge goes with --uninstall"
root=${root%/}
[[ $prefix == / ]] || prefix=${prefix%/}

readonly BINARIES=(infinilm-registry infinilm-router infinilm-agent infinilm-ctl)
readonly UNITS=(infinilm-registry.service infinilm-router.service infinilm-agent@.service)
readonly PAGES=(infinilm-registry.8 infinilm-router.8 infinilm-agent.8 infinilm-ctl.1)
readonly unit_dir=$root/etc/systemd/system
readonly program_dir=$root${prefix%/}/bin
readonly man_dir=$root${prefix%/}/share/man

# Runs a command, or shows it.
run() {
  if $dry_run; then
    printf '  %s\n' "${*@Q}"
  else
    "$@"
  fi
}

systemd_runs() { [[ -z $root && -d /run/systemd/system ]]; }

need_root() {
  if ! $dry_run && [[ -z $root && $(id -u) -ne 0 ]]; then
    die "this needs root: sudo systemd/install.sh (or --root DIR, or --dry-run)"
  fi
}

# install_unit NAME: with the programs of this prefix.
install_unit() {
  local unit=$1 target=$unit_dir/$1
  if $dry_run; then
    printf '  write %s\n' "$target"
    return
  fi
  sed "s|=/usr/bin/infinilm-|=${prefix%/}/bin/infinilm-|" "$source_root/systemd/$unit" >"$target.new"
  chmod 644 "$target.new"
  mv "$target.new" "$target"
}

install_all() {
  local name page
  for name in "${BINARIES[@]}"; do
    [[ -x $bin_dir/$name ]] || die "$bin_dir/$name is not there: build it (scripts/build.sh), or name the folder with --bin-dir"
  done
  say "binaries to $program_dir"
  run mkdir -p "$program_dir" "$unit_dir"
  for name in "${BINARIES[@]}"; do
    # Beside the old one, then in its place: a running one goes on.
    run install -m 755 "$bin_dir/$name" "$program_dir/$name.new"
    run mv "$program_dir/$name.new" "$program_dir/$name"
  done
  for page in "${PAGES[@]}"; do
    [[ -f $bin_dir/../man/$page ]] || continue
    run install -D -m 644 "$bin_dir/../man/$page" "$man_dir/man${page##*.}/$page"
  done
  say "user infinilm, /etc/infinilm, /var/lib/infinilm, /var/log/infinilm"
  if [[ -n $root ]]; then
    run "$source_root/packaging/prepare_host.sh" "$root"
  else
    run "$source_root/packaging/prepare_host.sh"
  fi
  for name in registry_config.json router_config.json; do
    [[ -e $root/etc/infinilm/$name ]] || run install -m 644 "$source_root/packaging/etc/$name" "$root/etc/infinilm/$name"
  done
  say "units to $unit_dir"
  for name in "${UNITS[@]}"; do
    install_unit "$name"
  done
  if systemd_runs; then
    run systemctl daemon-reload
  fi
  cat <<'TEXT'

Start what this machine is for:
  systemctl enable --now infinilm-registry infinilm-router   # configured in /etc/infinilm
  systemctl enable --now infinilm-agent@NAME                 # configured in /etc/infinilm/agents/NAME.toml
TEXT
}

uninstall_all() {
  local name
  if systemd_runs; then
    say "stopping and disabling the units"
    run systemctl stop 'infinilm-agent@*.service' infinilm-router.service infinilm-registry.service || true
  fi
  say "removing units, binaries and manual pages"
  run rm -f "$unit_dir"/*.wants/infinilm-{registry,router}.service "$unit_dir"/*.wants/infinilm-agent@*.service
  run rm -f "${UNITS[@]/#/$unit_dir/}" "${BINARIES[@]/#/$program_dir/}"
  for name in "${PAGES[@]}"; do
    run rm -f "$man_dir/man${name##*.}/$name"
  done
  if systemd_runs; then
    run systemctl daemon-reload
  fi
  if $purge; then
    say "removing configuration, state and logs"
    run rm -rf --one-file-system "$root/etc/infinilm" "$root/var/lib/infinilm" "$root/var/log/infinilm"
    say "the user infinilm stays: files elsewhere may be its own"
  else
    say "/etc/infinilm, /var/lib/infinilm, /var/log/infinilm and the user infinilm stay"
  fi
}

need_root
if $uninstall; then
  uninstall_all
else
  install_all
fi
