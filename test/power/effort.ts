/** How hard the power-cut tests look: little in the ordinary run, as long as one likes by the environment. */

export interface Effort {
  /** Seeded disks at each point. */
  readonly seeds: number;
  readonly firstSeed: number;
  /** At each event, not only where something is about to be synced. */
  readonly everywhere: boolean;
}

/** @param ordinary seeded disks at each point when nothing is set */
export function powerSeeds(ordinary: number): Effort {
  const { CPNS_POWER_SEEDS, CPNS_POWER_SEED } = process.env;
  return {
    seeds: CPNS_POWER_SEEDS === undefined ? ordinary : Number(CPNS_POWER_SEEDS),
    firstSeed: Number(CPNS_POWER_SEED ?? 1),
    everywhere: CPNS_POWER_SEEDS !== undefined,
  };
}

/** How often four parties are started again. @param ordinary when nothing is set */
export function revivals(ordinary: number): number {
  return Number(process.env['CPNS_POWER_REVIVALS'] ?? ordinary);
}
