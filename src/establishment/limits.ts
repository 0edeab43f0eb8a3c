/** Message limits by phase, in bytes as carried on the link (docs/protocol.md §3.4). */

/** Until the PNE is a live member on this link. */
export const AUTHENTICATED_LIMIT = 8_192;
export const LIVE_LIMIT = 65_535;
