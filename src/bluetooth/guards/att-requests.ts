/**
 * GUARD(B8): what a client may send to the attribute server of either bleno. They read beyond a short request (and
 * throw), answer commands and even responses with errors, take an empty or reversed range for one with nothing in it, and
 * any bits for a subscription, and a write to a characteristic's declaration for one to its value.
 * Owns the form of requests (Core Specification 5.4, Vol 3 Part F §3.4); attributes and their permissions are bleno's.
 */

const ERROR_RESPONSE = 0x01;
const EXCHANGE_MTU = 0x02;
const FIND_INFORMATION = 0x04;
const FIND_BY_TYPE_VALUE = 0x06;
const READ_BY_TYPE = 0x08;
const READ = 0x0a;
const READ_BLOB = 0x0c;
const READ_BY_GROUP_TYPE = 0x10;
const WRITE = 0x12;
const PREPARE_WRITE = 0x16;
const EXECUTE_WRITE = 0x18;
const WRITE_COMMAND = 0x52;
/** Of an opcode: nobody answers it. */
const COMMAND_BIT = 0x40;

const INVALID_HANDLE = 0x01;
const WRITE_NOT_PERMITTED = 0x03;
const INVALID_PDU = 0x04;
const VALUE_NOT_ALLOWED = 0x13;

const CLIENT_CONFIGURATION = '2902';
const NOTIFICATIONS = 1;
const INDICATIONS = 2;

/** Bytes of a request, opcode included: one of these, or at least this many. */
const LENGTHS: ReadonlyMap<number, readonly number[] | { readonly atLeast: number }> = new Map([
  [EXCHANGE_MTU, [3]],
  [FIND_INFORMATION, [5]],
  [FIND_BY_TYPE_VALUE, { atLeast: 7 }],
  [READ_BY_TYPE, [7, 21]],
  [READ, [3]],
  [READ_BLOB, [5]],
  [READ_BY_GROUP_TYPE, [7, 21]],
  [WRITE, { atLeast: 3 }],
  [PREPARE_WRITE, { atLeast: 5 }],
  [EXECUTE_WRITE, [2]],
]);
const RANGED: ReadonlySet<number> = new Set([
  FIND_INFORMATION,
  FIND_BY_TYPE_VALUE,
  READ_BY_TYPE,
  READ_BY_GROUP_TYPE,
]);

export interface BlenoAttribute {
  readonly type: string;
  readonly uuid?: string;
  readonly properties?: number;
  readonly valueHandle?: number;
  readonly attribute?: { readonly properties?: readonly string[] };
}

export interface BlenoGatt {
  readonly _handles: readonly (BlenoAttribute | undefined)[];
  /** The connection is named where the library has several. */
  handleRequest(request: Buffer, connection?: number): void;
  errorResponse(opcode: number, handle: number, code: number): Buffer;
  send(data: Buffer, connection?: number): void;
}

/** Lets through to bleno what is a request, or a write command that it will take without a word. */
export function guardAttRequests(gatt: BlenoGatt): void {
  const handle = gatt.handleRequest;
  gatt.handleRequest = function (request, connection) {
    const [opcode = ERROR_RESPONSE] = request;
    if (opcode & COMMAND_BIT) {
      if (opcode === WRITE_COMMAND && takesCommand(gatt, request)) handle.call(this, request, connection);
      return;
    }
    if (!isRequest(opcode)) return;
    const refusal = faultOf(gatt, request);
    if (refusal) this.send(this.errorResponse(opcode, ...refusal), connection);
    else handle.call(this, request, connection);
  };
}

/** Requests have even opcodes; the others are responses, notifications and indications. 0x1e is a confirmation. */
function isRequest(opcode: number): boolean {
  return opcode % 2 === 0 && opcode !== 0x1e;
}

/** @returns handle and error code, when it is refused */
function faultOf(gatt: BlenoGatt, request: Buffer): readonly [number, number] | undefined {
  const opcode = request.readUInt8(0);
  const lengths = LENGTHS.get(opcode);
  // bleno itself refuses what it does not know.
  if (lengths === undefined) return undefined;
  const fits = 'atLeast' in lengths ? request.length >= lengths.atLeast : lengths.includes(request.length);
  if (!fits) return [0, INVALID_PDU];
  if (RANGED.has(opcode)) {
    const first = request.readUInt16LE(1);
    if (first === 0 || first > request.readUInt16LE(3)) return [first, INVALID_HANDLE];
  }
  if (opcode === WRITE && isDeclaration(gatt, request)) return [request.readUInt16LE(1), WRITE_NOT_PERMITTED];
  if (opcode === WRITE && !isSubscription(gatt, request)) return [request.readUInt16LE(1), VALUE_NOT_ALLOWED];
  return undefined;
}

/** False for a client configuration with bits that its characteristic does not have. Its length bleno checks. */
function isSubscription({ _handles }: BlenoGatt, request: Buffer): boolean {
  const target = _handles[request.readUInt16LE(1)];
  if (target?.uuid !== CLIENT_CONFIGURATION || request.length !== 5) return true;
  const has = (property: string) => target.attribute?.properties?.includes(property) === true;
  const allowed = (has('notify') ? NOTIFICATIONS : 0) | (has('indicate') ? INDICATIONS : 0);
  return (request.readUInt16LE(3) & ~allowed) === 0;
}

function isDeclaration({ _handles }: BlenoGatt, request: Buffer): boolean {
  return _handles[request.readUInt16LE(1)]?.type === 'characteristic';
}

function takesCommand(gatt: BlenoGatt, request: Buffer): boolean {
  if (request.length < 3 || isDeclaration(gatt, request)) return false;
  const handle = request.readUInt16LE(1);
  const target = gatt._handles[handle];
  const holder = target?.type === 'characteristicValue' ? gatt._handles[handle - 1] : target;
  return ((holder?.properties ?? 0) & 0x04) !== 0 && isSubscription(gatt, request);
}
