#!/usr/bin/env bash
# What the systemd units need of a machine besides files: the user infinilm, and the folders that it writes to. The
# package and systemd/install.sh both run it. What is there already stays as it is.
set -euo pipefail
umask 022

usage() {
  cat <<'TEXT'
usage: prepare_host.sh [ROOT]

Makes the system user infinilm (in the groups render and video, where they exist, for GPUs), /etc/infinilm,
/var/lib/infinilm and /var/log/infinilm; all below ROOT if that is given.
TEXT
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac
root=${1:-}
readonly root user=infinilm

# entry DATABASE NAME: the line of passwd or group, of the running system or of the files below ROOT.
entry() {
  if [[ -z $root ]]; then
    getent "$1" "$2" || true
  else
    grep "^$2:" "$root/etc/$1" 2>/dev/null || true
  fi
}

below_root=()
[[ -z $root ]] || below_root=(--prefix "$root")

if [[ -z $(entry group "$user") ]]; then
  groupadd "${below_root[@]}" --system "$user"
fi
if [[ -z $(entry passwd "$user") ]]; then
  useradd "${below_root[@]}" --system --gid "$user" --home-dir /var/lib/infinilm --no-create-home \
    --shell /usr/sbin/nologin --comment "InfiniLM Services" "$user"
fi
for group in render video; do
  members=$(entry group "$group")
  if [[ -n $members && ! ",${members##*:}," == *",$user,"* ]]; then
    usermod "${below_root[@]}" --append --groups "$group" "$user"
  fi
done

# By number: below ROOT there are other names than here.
uid=$(entry passwd "$user" | cut -d: -f3)
gid=$(entry group "$user" | cut -d: -f3)
[[ -n $uid && -n $gid ]] || {
  echo "prepare_host.sh: there is no user or no group $user, and none could be made" >&2
  exit 1
}

# folder PATH OWNER GROUP MODE: made so; one that is there keeps what an administrator has made of it, unless it is just as
# it was unpacked.
folder() {
  local path=$root$1
  if [[ ! -d $path ]]; then
    install -d -o "$2" -g "$3" -m "$4" "$path"
  elif [[ $(stat -c %u:%g:%a "$path") == 0:0:755 ]]; then
    chown "$2:$3" "$path"
    chmod "$4" "$path"
  fi
}

mkdir -p "$root/etc" "$root/var/lib" "$root/var/log"
# Tokens and keys may be put here: for the daemons, and nobody else.
folder /etc/infinilm 0 "$gid" 750
folder /etc/infinilm/agents 0 "$gid" 750
folder /var/lib/infinilm 0 0 755
folder /var/log/infinilm "$uid" "$gid" 750
for daemon in registry router agent; do
  folder "/var/lib/infinilm/$daemon" "$uid" "$gid" 750
  # The daemons write to logs/, below the folder that they run in.
  link=$root/var/lib/infinilm/$daemon/logs
  [[ -e $link || -L $link ]] || ln -s /var/log/infinilm "$link"
done
