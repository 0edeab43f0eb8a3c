/**
 * The error for a controller that can't be used, with the one thing that mends it. Owns the sentences; the doctor
 * command and the nodes print them.
 */

export class BluetoothUnavailableError extends Error {
  override readonly name = 'BluetoothUnavailableError';
  /** The system's code: `EAFNOSUPPORT`, `EPERM`, `ENODEV`, `ENETDOWN`, `EBUSY`, `ENOENT`, `ECONNREFUSED`, `ETIMEDOUT`, … */
  readonly code: string;
  /** What to do, one sentence for a person. */
  readonly mend: string;

  constructor(controller: string, what: string, code: string, mend: string, options?: ErrorOptions) {
    super(`${controller}: ${what} (${code}). ${mend}`, options);
    this.code = code;
    this.mend = mend;
  }
}

/** Why an adapter can't be used. `hciN` stands for its name wherever it occurs. */
export interface AdapterFault {
  /** What is so, as the end of a sentence. */
  readonly what: string;
  /** The one command that mends it. */
  readonly command: string;
  /** The same in a sentence, where the command alone does not say enough. Default: Run it. */
  readonly mend?: string;
}

/** By the system's code. The doctor's table takes its sentences and commands from here. */
export const ADAPTER_FAULTS = {
  EAFNOSUPPORT: {
    what: 'this kernel has no Bluetooth',
    command: 'sudo modprobe bluetooth',
    mend: 'Load it with `sudo modprobe bluetooth`, or use `virtual` for the virtual radio.',
  },
  EPERM: {
    what: 'this user may not open the adapter',
    command: 'sudo setcap cap_net_raw,cap_net_admin+eip "$(readlink -f "$(command -v node)")"',
    mend: 'Give the service AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN, or run `sudo setcap cap_net_raw,cap_net_admin+eip "$(readlink -f "$(command -v node)")"`.',
  },
  ENODEV: {
    what: 'there is no such adapter',
    command: 'ls /sys/class/bluetooth',
    mend: 'List the adapters with `ls /sys/class/bluetooth` and name one of them.',
  },
  ENETDOWN: {
    what: 'the adapter is down',
    command: 'sudo hciconfig hciN up',
    mend: 'Run `sudo hciconfig hciN up`; when that is refused, `sudo rfkill unblock bluetooth` first.',
  },
  ERFKILL: { what: 'the adapter is blocked by rfkill', command: 'sudo rfkill unblock bluetooth' },
  EBUSY: {
    what: 'the adapter is up, and a user channel wants it down',
    command: 'sudo hciconfig hciN down',
    mend: 'Take it down with `sudo hciconfig hciN down` (bluetoothd need not be stopped for that); or share it with hci:N/raw.',
  },
  EUNFINISHED: {
    what: 'the kernel is still setting the adapter up, or did not get through that',
    command: 'dmesg | grep -i -e bluetooth -e hci',
    mend: 'Wait some seconds; if it stays so, replug the adapter or restart the host, and see `dmesg | grep -i -e bluetooth -e hci`.',
  },
  EUSERS: {
    what: 'another program has the adapter to itself',
    command: 'sudo cpns doctor --adapter hci:N',
    mend: 'Stop it, or use another adapter; `sudo cpns doctor` says which program it is.',
  },
  ENOBINDING: {
    what: 'the native Bluetooth module is not built',
    command: 'sudo apt-get install -y build-essential python3 && npm rebuild',
    mend: 'Install a C++ toolchain and run `npm rebuild`; the virtual radio needs neither.',
  },
} as const satisfies Readonly<Record<string, AdapterFault>>;

const OTHER_FAULT: AdapterFault = {
  what: 'the adapter can not be opened',
  command: 'dmesg | grep -i bluetooth',
  mend: 'Look at `dmesg | grep -i bluetooth`.',
};

/** A text about an adapter with its number in the place of N. */
export function aboutAdapter(text: string, index: number): string {
  return text.replaceAll('hciN', `hci${index}`).replaceAll('hci:N', `hci:${index}`);
}

/** The error for an adapter of the kernel that could not be opened. */
export function adapterUnavailable(
  controller: string,
  index: number,
  cause: unknown,
): BluetoothUnavailableError {
  const code = errorCode(cause);
  const faults: Readonly<Record<string, AdapterFault>> = { ...ADAPTER_FAULTS, EACCES: ADAPTER_FAULTS.EPERM };
  const { what, command, mend = `Run \`${command}\`.` } = faults[code] ?? OTHER_FAULT;
  return new BluetoothUnavailableError(controller, what, code, aboutAdapter(mend, index), { cause });
}

/** The error for a controller behind a socket that could not be reached. */
export function socketUnavailable(
  controller: string,
  virtual: boolean,
  cause: unknown,
): BluetoothUnavailableError {
  const mend = virtual
    ? 'Start the virtual radio first (`cpns radio`).'
    : 'Check that the program that owns the controller listens there.';
  return new BluetoothUnavailableError(controller, 'no controller answers there', errorCode(cause), mend, {
    cause,
  });
}

/** The error for a controller that answers and yet does not come up for LE. */
export function notPoweredOn(controller: string): BluetoothUnavailableError {
  return new BluetoothUnavailableError(
    controller,
    'the controller does not power on for Bluetooth LE',
    'ENOTSUP',
    'Use an adapter with Bluetooth 4.0 or later, and check `dmesg | grep -i bluetooth`.',
  );
}

/** The error for a Bluetooth library that is not installed. */
export function backEndMissing(
  controller: string,
  packageName: string,
  cause: unknown,
): BluetoothUnavailableError {
  const mend = packageName.startsWith('@stoprocent/')
    ? 'Run `npm install --omit=optional @stoprocent/noble@2.8.0 @stoprocent/bleno@0.12.4` where cpns is installed, or take `backend` out of [bluetooth].'
    : 'Run `npm install` where cpns is installed.';
  return new BluetoothUnavailableError(
    controller,
    `the Bluetooth library ${packageName} is not installed`,
    'ENOBACKEND',
    mend,
    { cause },
  );
}

/** The system's code of an error from loading or using the native module; `EUNKNOWN` when it says none. */
export function errorCode(cause: unknown): string {
  if (!(cause instanceof Error)) return 'EUNKNOWN';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED') return 'ENOBINDING';
  // Node gives an empty code for those it has no name for.
  if (code) return code;
  // The native module throws errors whose only content is strerror().
  if (/address family not supported/i.test(cause.message)) return 'EAFNOSUPPORT';
  if (/not permitted/i.test(cause.message)) return 'EPERM';
  if (/permission denied/i.test(cause.message)) return 'EACCES';
  if (/no such device/i.test(cause.message)) return 'ENODEV';
  if (/network is down/i.test(cause.message)) return 'ENETDOWN';
  if (/busy/i.test(cause.message)) return 'EBUSY';
  if (/too many users/i.test(cause.message)) return 'EUSERS';
  if (/rf-?kill/i.test(cause.message)) return 'ERFKILL';
  return 'EUNKNOWN';
}
