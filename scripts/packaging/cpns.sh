#!/bin/sh
# The installed `cpns` command: runs the program with the Node.js it came with, or with the system's where none did.
# As root, the commands about this machine's own server, gateway or PNE act as the user `cpns` on /var/lib/cpns and
# /etc/cpns, so that `sudo cpns gateway init` makes what cpns-gateway.service can use. --state or CPNS_STATE says otherwise.
# The other commands keep their rights, and root's places are those of the machine for them too.
set -eu
self=$(readlink -f "$0")
lib=${self%/bin/*}/lib/cpns
node=$lib/bin/node
[ -x "$node" ] || node=node

of_this_machine() {
  case "${1-}" in server | gateway | pne | pn | audit) ;; *) return 1 ;; esac
  [ "$(id -u)" -eq 0 ] && [ -z "${CPNS_STATE-}" ] || return 1
  for argument; do
    case "$argument" in --state | --state=*) return 1 ;; esac
  done
}

# The flags are those of the first line of main.js.
set -- "$node" --max-semi-space-size=1 --disable-warning=ExperimentalWarning "$lib/dist/src/cli/main.js" "$@"
if (shift 4; of_this_machine "$@"); then
  capabilities=''
  # `pne enrol` opens the adapter itself when no daemon runs.
  if [ "$5" = pne ]; then capabilities='--inh-caps=+net_raw,+net_admin --ambient-caps=+net_raw,+net_admin'; fi
  # shellcheck disable=SC2086
  exec setpriv --reuid=cpns --regid=cpns --init-groups $capabilities \
    env HOME=/var/lib/cpns XDG_STATE_HOME=/var/lib XDG_CONFIG_HOME=/etc "$@"
fi
if [ "$(id -u)" -eq 0 ]; then export XDG_STATE_HOME=/var/lib XDG_CONFIG_HOME=/etc; fi
exec "$@"
