/**
 * Rows of the doctor's table about the kernel's Bluetooth and its adapters. What opening an adapter can say is owned by
 * src/bluetooth/hci/unavailable.ts and taken from there. Data only.
 */
import { ADAPTER_FAULTS } from '../bluetooth/hci/unavailable.ts';
import type { Check } from './check.ts';

const { EAFNOSUPPORT, ENODEV, ENETDOWN, ERFKILL, EBUSY, EUNFINISHED, EUSERS } = ADAPTER_FAULTS;

export const ADAPTER_CHECKS = {
  'kernel-without-bluetooth': {
    severity: 'error',
    title: 'This kernel has no Bluetooth at all',
    sentence: `${EAFNOSUPPORT.what}, nor a module of it to load (kernel {release})`,
    command: 'sudo apt-get install -y linux-image-$(uname -r)',
    more: 'Containers and small virtual machines often have such a kernel. Everything but a real adapter works there: use `--adapter virtual` and `cpns radio`.',
  },
  'bluetooth-not-loaded': {
    severity: 'error',
    title: "The kernel's Bluetooth is not loaded",
    sentence: `${EAFNOSUPPORT.what} at the moment: its module is there and not loaded`,
    command: EAFNOSUPPORT.command,
    fix: 'asked',
    more: 'An adapter that is plugged in loads it by itself, unless a file in `/etc/modprobe.d` forbids it. To load it at each start, write `bluetooth` into `/etc/modules-load.d/bluetooth.conf`.',
  },
  'adapter-switched-off': {
    severity: 'error',
    title: 'The built-in adapter is switched off',
    sentence: '{file} switches the built-in Bluetooth off (dtoverlay=disable-bt)',
    command: `sudo sed -i 's/^dtoverlay=disable-bt/#&/' {file} && sudo reboot`,
    more: 'People do that to have the good serial port for something else. A USB adapter works beside it.',
  },
  'no-adapter': {
    severity: 'error',
    title: 'There is no adapter',
    sentence: 'The kernel has Bluetooth but knows no adapter',
    command: 'dmesg | grep -i -e bluetooth -e hci',
    more: 'The log says what became of it: firmware that is missing (`sudo apt-get install -y firmware-brcm80211 bluez-firmware`, or `pi-bluetooth` on a Raspberry Pi), a USB adapter without power, a serial port that the console uses.',
  },
  'wrong-adapter': {
    severity: 'error',
    title: 'The adapter of the configuration is not there',
    sentence: `hciN: ${ENODEV.what}; the {by} names it, and there are {there}`,
    command: ENODEV.command,
    more: 'Numbers are given in the order in which the adapters come up, so pulling one out may rename the others.',
  },
  'several-adapters': {
    pains: [13],
    severity: 'hint',
    title: 'Several adapters, told apart by number only',
    sentence:
      'There are {count} adapters ({there}), and after a reboot or a replug their numbers may be swapped',
    command: 'hciconfig',
    more: 'It lists them with their addresses. One process of cpns opens the one adapter that its configuration or `--adapter` names; variables like `NOBLE_HCI_DEVICE_ID` are not read.',
  },
  'rfkill-blocked': {
    pains: [12],
    severity: 'error',
    title: 'rfkill blocks the adapter',
    sentence: `hciN: ${ERFKILL.what}`,
    command: ERFKILL.command,
    fix: 'asked',
    more: 'Reported of Raspberry Pi OS Trixie and of the Zero 2 W, after a fresh installation. The units of the package unblock it before each start.',
  },
  'rfkill-switch': {
    pains: [12],
    severity: 'error',
    title: 'A switch of the device blocks the adapter',
    sentence: 'hciN is blocked by a switch or key of the hardware, which no command can change',
    command: 'rfkill list bluetooth',
    more: 'Move the switch, or press the key; the command shows whether it helped.',
  },
  'adapter-down': {
    severity: 'error',
    title: 'The adapter is down',
    sentence: `hciN: ${ENETDOWN.what}, and in raw mode it has to be up`,
    command: ENETDOWN.command,
    fix: 'asked',
    more: 'Without bluetoothd nobody powers an adapter. With `hci:N/user` it is the other way round: down is right, and cpns powers it.',
  },
  'adapter-up': {
    severity: 'error',
    title: 'The adapter is up, and the user channel wants it down',
    sentence: `hciN: ${EBUSY.what}`,
    command: EBUSY.command,
    fix: 'asked',
    more: 'Who powered it is often bluetoothd (`AutoEnable` in `/etc/bluetooth/main.conf`); it leaves the adapter alone once it is down, and does not see it while cpns has it.',
  },
  'bluetoothd-holds': {
    pains: [4],
    severity: 'error',
    title: 'bluetoothd uses the adapter that cpns is to use',
    sentence:
      'bluetoothd (process {pid}) manages hciN as well, and in raw mode its services hide those of cpns and its scans end those of cpns',
    command: 'sudo systemctl disable --now bluetooth',
    fix: 'named',
    more: 'Only needed in raw mode: with `hci:N/user` bluetoothd does not see the adapter and may run for others, say a keyboard or a loudspeaker on a second adapter.',
  },
  'adapter-taken': {
    severity: 'error',
    title: 'Another program has the adapter to itself',
    sentence: `hciN: ${EUSERS.what}: {program}`,
    command: '{stop}',
    more: 'A user channel excludes everybody else. Two roles on one host need an adapter each.',
  },
  'adapter-unfinished': {
    pains: [2],
    severity: 'error',
    title: 'The kernel could not set the adapter up',
    sentence:
      'hciN is there, but the kernel did not get through its set-up: the controller does not answer or lacks its firmware',
    command: EUNFINISHED.command,
    more: 'Replug a USB adapter, or restart the host: the kernel does not try again, and says that the adapter is busy. On a Raspberry Pi `sudo systemctl restart hciuart` starts the built-in one anew, where that unit exists.',
  },
  'controller-silent': {
    pains: [2],
    severity: 'error',
    title: 'The controller does not answer',
    sentence: 'hciN answered no command within 2 s: calls to it would never return',
    command: 'sudo hciconfig hciN reset',
    fix: 'asked',
    more: 'cpns puts a deadline on every call, so it fails instead of hanging. A controller that a reset does not wake has to be replugged, or the host restarted.',
  },
  'command-disallowed': {
    pains: [5],
    severity: 'warning',
    title: '"Command Disallowed" on scan or advertise',
    sentence:
      'hciN refuses to {what} (Command Disallowed): another program does already, or used the extended commands since the last reset',
    command: 'sudo hciconfig hciN reset',
    fix: 'asked',
    more: 'A controller lets one scan at a time happen, and after any extended advertising or scanning command it refuses the older ones that noble and bleno send. bluetoothd uses the extended ones. `hci:N/user` resets the controller by itself.',
  },
  'scan-stopped': {
    pains: [8],
    severity: 'warning',
    title: 'Scanning has stopped',
    sentence: 'The gateway wants to find PNEs and hciN does not scan',
    command: '{restart}',
    fix: 'asked',
    more: "Another program that ends its own scan ends everybody's, and scans were seen to stop by themselves after connects or hours. The gateway starts its scan again when it has heard nothing for 10 s; if it did not, start it anew.",
  },
  'place-taken': {
    pains: [9],
    severity: 'warning',
    title: 'A stranger has the one place of the PNE',
    sentence:
      'hciN is connected to {peer}, but the PNE has no link: it serves one gateway at a time, and until this one goes nobody else can reach it',
    command: 'sudo btmgmt --index {index} disconnect -t {type} {peer}',
    more: 'bleno serves one central. A PNE drops whoever opens no link within seconds; a phone with a Bluetooth scanner that connects again and again keeps it busy all the same.',
  },
  'link-limit': {
    pains: [10],
    severity: 'warning',
    title: 'More links than the adapter can hold',
    sentence: 'hciN holds {limit} at once, and {wanted}',
    command: 'cpns gateway status',
    more: 'A member without a link stays a member, and gets one when another ends; a newcomer waits for that as well. A second gateway on an adapter of its own takes more. CSR8510 holds 5, BCM20702 7; for the built-in adapter of a Raspberry Pi reports differ between 2 and more than 5.',
  },
  'short-supervision': {
    pains: [6],
    severity: 'hint',
    title: 'Links that are given up after less than half a second',
    sentence:
      "The kernel's own supervision timeout for hciN is {ms} ms, at which a Raspberry Pi lost 3 % of its links",
    command: 'echo 200 | sudo tee /sys/kernel/debug/bluetooth/hciN/supervision_timeout',
    fix: 'asked',
    more: 'The gateway asks for at least 2 s itself; the value matters where the kernel or bluetoothd makes the connection. To keep it, write `ConnectionSupervisionTimeout=200` below `[LE]` in `/etc/bluetooth/main.conf`.',
  },
  'short-packets': {
    pains: [14],
    severity: 'hint',
    title: 'Long values travel in small pieces',
    sentence:
      'hciN has no LE data length extension: each segment of 244 bytes takes ten packets of 27 instead of one',
    command: 'hciconfig hciN version',
    more: 'It works and is slow. Messages of any length are cut and put together again by the link layer of cpns, never by long reads or writes. An adapter with Bluetooth 4.2 or later has the extension.',
  },
  'fake-csr': {
    pains: [15],
    severity: 'warning',
    title: 'A clone of a CSR adapter',
    sentence: 'hciN says that it is of Cambridge Silicon Radio and is not: {why}',
    command: 'hciconfig hciN version',
    more: 'The USB id 0a12:0001 is on hundreds of clones, many of which do not do what they announce. The kernel judges them by the same rule. Some work; when links drop or calls hang, take another adapter first.',
  },
  'unreliable-adapter': {
    severity: 'warning',
    title: 'An adapter that is known to be unreliable',
    sentence: 'hciN: {why}',
    command: 'cpns profile detect --adapter hci:N',
    more: 'What is known of a kind of adapter stands in its firmware profile, with sources.',
  },
  'not-low-energy': {
    severity: 'error',
    title: 'The adapter has no Bluetooth LE',
    sentence: 'hciN has no Bluetooth LE',
    command: 'hciconfig hciN version',
    more: 'An adapter with Bluetooth 4.0 or later is needed.',
  },
  'other-mode': {
    severity: 'warning',
    title: "The configuration takes the other channel than the adapter's profile",
    sentence: 'The {by} takes hciN by the {configured} channel, and its profile would not: {why}',
    command: 'sudo sed -i \'s|^adapter = .*|adapter = "hci:N"|\' {file}',
    more: '`hci:N` leaves the channel to the profile; `hci:N/raw` shares the adapter with the kernel and its other users, `hci:N/user` has it to itself.',
  },
  'two-on-one': {
    pains: [3],
    severity: 'error',
    title: 'Two roles on one adapter',
    sentence: 'The {first} and the {second} of this host are both to use hciN',
    command: 'cpns {second} run --adapter {free}',
    more: "noble and bleno on one adapter get in each other's way: each takes the other's connections for its own. In raw mode cpns guards against the worst; in a user channel it is impossible.",
  },
  'other-program': {
    pains: [3],
    severity: 'warning',
    title: 'Another program uses Bluetooth adapters',
    sentence: 'Another program has a Bluetooth socket open, and in raw mode may be using hciN too: {program}',
    command: '{stop}',
    more: 'The kernel does not tell which adapter a socket belongs to. With `hci:N/user` it does not matter.',
  },
  'wifi-coexistence': {
    pains: [7],
    severity: 'hint',
    title: 'Wi-Fi on 2.4 GHz beside Bluetooth',
    sentence:
      '{wifi} is connected at {mhz} MHz{combo}: both use the same frequencies, and links get slower or drop',
    command:
      'sudo nmcli connection modify "$(nmcli -g GENERAL.CONNECTION device show {wifi})" 802-11-wireless.band a',
    more: 'On the built-in chips of a Raspberry Pi both share one antenna as well. Use 5 GHz where the Pi has it (3B+ and later), Ethernet, or a USB Bluetooth adapter on a short cable.',
  },
} as const satisfies Readonly<Record<string, Check>>;
