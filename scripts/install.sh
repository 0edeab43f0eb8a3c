#!/bin/sh
# Installs cpns on Linux with systemd, from an unpacked release (offline) or from a checkout (which is built first).
# On Debian and Raspberry Pi OS the package cpns_VERSION_ARCH.deb does the same and is the better way.
#
#   sudo ./install.sh                    installs, or upgrades what is there; state and configuration stay
#   sudo ./install.sh --role gateway     the same, then makes state and configuration of that role and enables its unit
#   sudo ./install.sh --uninstall        removes the program; state and configuration stay
#   sudo ./install.sh --purge            removes state, keys and configuration too
#
#     --role pne|gateway|server   may be given more than once
#     --server URL                for --role gateway: the server's address
#     --realm DOMAIN              for --role server: the operator's domain
#     --adapter hci:N             for --role pne and gateway: the Bluetooth adapter, hci:0 by default
#     --dry-run                   says what would be done, and does nothing
#
#   sudo ./install.sh --role gateway --server https://cpns.example.net:8443
#   sudo ./install.sh --role pne --adapter hci:1 --dry-run
#
# Files go below /usr/local; running it again is harmless. Exit status: 0 done, 1 failed, 2 wrong usage.
set -eu

prefix=/usr/local
units='cpns-firstboot.service cpns-pne.service cpns-gateway.service cpns-server.service'
here=$(cd "$(dirname "$0")" && pwd)

usage() { sed -n '2,20s/^# \{0,1\}//p' "$0"; }
say() { printf '%s\n' "$*" >&2; }
wrong() { say "install.sh: $1; see --help"; exit 2; }
fail() { say "install.sh: $1"; exit 1; }

dry='' action=install roles='' server='' realm='' adapter=hci:0
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --dry-run) dry=yes; shift; continue ;;
    --uninstall) action=uninstall; shift; continue ;;
    --purge) action=purge; shift; continue ;;
    --role | --server | --realm | --adapter) [ $# -ge 2 ] || wrong "$1 wants a value" ;;
    *) wrong "unknown argument $1" ;;
  esac
  case "$1" in
    --role)
      case "$2" in pne | gateway | server) roles="$roles $2" ;; *) wrong "--role is pne, gateway or server" ;; esac ;;
    --server) server=$2 ;;
    --realm) realm=$2 ;;
    --adapter) adapter=$2 ;;
  esac
  shift 2
done
case "$roles" in
  *gateway*) [ -n "$server" ] || [ -f /etc/cpns/gateway.toml ] || wrong "--role gateway wants --server URL" ;;
esac
case "$roles" in
  *server*) [ -n "$realm" ] || [ -f /etc/cpns/server.toml ] || wrong "--role server wants --realm DOMAIN" ;;
esac
[ "$action" = install ] || [ -z "$roles" ] || wrong "--role goes with an installation"

[ "$(uname -s)" = Linux ] || fail "cpns runs on Linux"
[ -n "$dry" ] || [ "$(id -u)" -eq 0 ] || fail "this needs root: sudo $0"
if [ -x /usr/bin/dpkg-query ] && dpkg-query --show --showformat='${db:Status-Status}' cpns 2>/dev/null | grep -qx installed; then
  fail "the Debian package cpns is installed; use apt-get install ./cpns_VERSION_ARCH.deb, apt-get remove or apt-get purge"
fi

# Every change goes through here.
run() {
  if [ -n "$dry" ]; then printf 'would: %s\n' "$*"; else "$@"; fi
}
with_systemd() { [ -d /run/systemd/system ]; }

# The staged tree beside this script, in a release; or one that is built now, in a checkout.
find_tree() {
  if [ -d "$here/tree" ]; then
    tree=$here/tree
    return
  fi
  [ -x "$here/package-release" ] || fail "neither an unpacked release nor a checkout: $here"
  if [ -n "$dry" ]; then
    printf 'would: %s --out DIR, and unpack what it makes\n' "$here/package-release"
    tree=/nonexistent
    return
  fi
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$here/package-release" --fast --out "$work"
  tar xzf "$work"/cpns-*.tar.gz -C "$work"
  tree=$(echo "$work"/cpns-*/tree)
}

# The units name the paths of the Debian package.
install_unit() {
  if [ -n "$dry" ]; then printf 'would: write %s\n' "$2"; return; fi
  sed -e "s|/usr/bin/cpns|$prefix/bin/cpns|" -e "s|/usr/lib/cpns/|$prefix/lib/cpns/|" \
    -e "s|/usr/share/doc|$prefix/share/doc|" "$1" > "$2.new"
  chmod 644 "$2.new"
  mv "$2.new" "$2"
}

install_program() {
  for folder in bin lib lib/systemd/system lib/sysusers.d share/doc; do run mkdir -p "$prefix/$folder"; done
  # Whole beside the old one, then in its place: cut off at any moment one of the two is there.
  run rm -rf "$prefix/lib/cpns.new" "$prefix/lib/cpns.old"
  run cp -r "$tree/usr/lib/cpns" "$prefix/lib/cpns.new"
  run chown -R root:root "$prefix/lib/cpns.new"
  [ ! -d "$prefix/lib/cpns" ] || run mv "$prefix/lib/cpns" "$prefix/lib/cpns.old"
  run mv "$prefix/lib/cpns.new" "$prefix/lib/cpns"
  run rm -rf "$prefix/lib/cpns.old" "$prefix/share/doc/cpns"
  run cp -r "$tree/usr/share/doc/cpns" "$prefix/share/doc/cpns"
  run install -m 755 "$tree/usr/bin/cpns" "$prefix/bin/cpns"
  run install -m 644 "$tree/usr/lib/sysusers.d/cpns.conf" "$prefix/lib/sysusers.d/cpns.conf"
  for unit in $units; do install_unit "$tree/usr/lib/systemd/system/$unit" "$prefix/lib/systemd/system/$unit"; done
}

prepare_system() {
  run systemd-sysusers "$prefix/lib/sysusers.d/cpns.conf"
  for directory in /var/lib/cpns /etc/cpns; do
    [ -d "$directory" ] || run install -d -o cpns -g cpns -m 0750 "$directory"
  done
  with_systemd || { say "systemd does not run here: the units were put in place, and nothing was started"; return; }
  run systemctl daemon-reload
  run systemctl --quiet enable cpns-firstboot.service
  # What ran runs the new program now; what did not stays as it is.
  run systemctl try-restart cpns-server.service cpns-gateway.service cpns-pne.service
}

set_up() {
  cpns=$prefix/bin/cpns
  case "$1" in
    # The other two are harmless when it was done before.
    server) [ -f /var/lib/cpns/server/server.db ] || run "$cpns" server init ${realm:+--realm "$realm"} ;;
    gateway) run "$cpns" gateway init ${server:+--server "$server"} --adapter "$adapter" ;;
    pne) run "$cpns" pne init --adapter "$adapter" ;;
  esac
  with_systemd || return 0
  # A gateway that is not enrolled yet is started again until it is.
  run systemctl --quiet enable "cpns-$1.service"
  run systemctl start --no-block "cpns-$1.service"
}

remove_program() {
  if with_systemd; then
    # shellcheck disable=SC2086
    for unit in $units; do
      [ ! -f "$prefix/lib/systemd/system/$unit" ] || run systemctl --quiet disable --now "$unit"
    done
  fi
  for unit in $units; do run rm -f "$prefix/lib/systemd/system/$unit"; done
  run rm -rf "$prefix/lib/cpns" "$prefix/lib/cpns.new" "$prefix/lib/cpns.old" "$prefix/share/doc/cpns"
  run rm -f "$prefix/bin/cpns" "$prefix/lib/sysusers.d/cpns.conf"
  ! with_systemd || run systemctl daemon-reload
}

case "$action" in
  install)
    find_tree
    install_program
    prepare_system
    for role in $roles; do set_up "$role"; done
    [ -n "$dry" ] || say "cpns $("$prefix/bin/cpns" --version) is installed; see $prefix/share/doc/cpns/docs/install.md"
    ;;
  uninstall)
    remove_program
    say "removed; /var/lib/cpns and /etc/cpns were kept (--purge takes them)"
    ;;
  purge)
    remove_program
    run rm -rf /var/lib/cpns /etc/cpns
    say "removed with its state; the user cpns was kept, so that its number is nobody else's"
    ;;
esac
