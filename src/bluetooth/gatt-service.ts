/**
 * The CPNS GATT service: its UUIDs and the shape of what is advertised. The only place these numbers are written
 * (docs/protocol.md §2).
 */

/** Primary service, 128-bit. */
export const CPNS_SERVICE_UUID = 'c9a50001-5b1e-4c0e-9d2a-7e1f0b64c950';
/** Central to peripheral: Write Without Response, one link segment a write. */
export const CPNS_UP_UUID = 'c9a50002-5b1e-4c0e-9d2a-7e1f0b64c950';
/** Peripheral to central: Notify, one link segment a notification. */
export const CPNS_DOWN_UUID = 'c9a50003-5b1e-4c0e-9d2a-7e1f0b64c950';

/** Largest segment: ATT_MTU 247 − 3; one more byte would spill into a second link-layer packet. */
export const MAX_SEGMENT_BYTES = 244;
/** Smallest segment of any LE link: the default ATT_MTU 23 − 3. */
export const MIN_SEGMENT_BYTES = 20;
