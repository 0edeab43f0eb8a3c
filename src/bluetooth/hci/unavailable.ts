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

const ADAPTER_MENDS: Readonly<Record<string, readonly [what: string, mend: string]>> = {
  EAFNOSUPPORT: [
    'this kernel has no Bluetooth',
    'Load it with `sudo modprobe bluetooth`, or use `virtual` for the virtual radio.',
  ],
  EPERM: [
    'this user may not open the adapter',
    'Give the service AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN, or run `sudo setcap cap_net_raw,cap_net_admin+eip "$(readlink -f "$(which node)")"`.',
  ],
  EACCES: ['this user may not open the adapter', 'Run with the capabilities CAP_NET_RAW and CAP_NET_ADMIN.'],
  ENODEV: [
    'there is no such adapter',
    'List the adapters with `ls /sys/class/bluetooth` and name one of them.',
  ],
  ENETDOWN: [
    'the adapter is down',
    'Run `sudo rfkill unblock bluetooth` and `sudo hciconfig hci0 up` (with its number).',
  ],
  EBUSY: [
    'another program has the adapter',
    'Stop it (often `sudo systemctl stop bluetooth`) and take the adapter down (`sudo hciconfig hci0 down`, with its number); or share it with hci:N/raw.',
  ],
  ENOBINDING: [
    'the native Bluetooth module is not built',
    'Install a C++ toolchain and run `npm rebuild`; the virtual radio needs neither.',
  ],
};

/** The error for an adapter of the kernel that could not be opened. */
export function adapterUnavailable(controller: string, cause: unknown): BluetoothUnavailableError {
  const code = errorCode(cause);
  const [what, mend] = ADAPTER_MENDS[code] ?? [
    'the adapter can not be opened',
    'Look at `dmesg | grep -i bluetooth`.',
  ];
  return new BluetoothUnavailableError(controller, what, code, mend, { cause });
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

function errorCode(cause: unknown): string {
  if (!(cause instanceof Error)) return 'EUNKNOWN';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED') return 'ENOBINDING';
  if (code !== undefined) return code;
  // The native module throws errors whose only content is strerror().
  if (/address family not supported/i.test(cause.message)) return 'EAFNOSUPPORT';
  if (/not permitted/i.test(cause.message)) return 'EPERM';
  if (/permission denied/i.test(cause.message)) return 'EACCES';
  if (/no such device/i.test(cause.message)) return 'ENODEV';
  if (/network is down/i.test(cause.message)) return 'ENETDOWN';
  if (/busy/i.test(cause.message)) return 'EBUSY';
  return 'EUNKNOWN';
}
