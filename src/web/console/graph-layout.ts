/**
 * Where the members of a network stand in its picture, for any width and any number of them. In units of which sixteen are as
 * large as the page's letters. Pure.
 */

/** Narrower, and the names under the nodes run into each other. */
export const SLOT = 96;
const ROW = 96;
const HUB_Y = 34;
const FIRST_ROW_Y = 142;
export const NODE_RADIUS = 20;

export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly height: number;
  readonly hub: Place;
  readonly members: readonly Place[];
}

/** Rows below the gateway; each second row stands in the gaps of the one before, so that its lines pass between. */
export function layOut(count: number, width: number): Layout {
  const perRow = Math.max(1, Math.floor(width / SLOT));
  const members: Place[] = [];
  for (let row = 0; members.length < count; row++) {
    const places = perRow - (row % 2 === 1 && perRow > 1 ? 1 : 0);
    const inRow = Math.min(places, count - members.length);
    const slot = width / perRow;
    // The first rows stand in the middle, whatever their number; the ones between keep to the gaps.
    const left = row % 2 === 1 ? (width - slot * places) / 2 : (width - slot * inRow) / 2;
    for (let i = 0; i < inRow; i++) members.push({ x: left + slot * (i + 0.5), y: FIRST_ROW_Y + ROW * row });
  }
  const lowest = members.at(-1)?.y ?? HUB_Y;
  return { height: lowest + NODE_RADIUS + 30, hub: { x: width / 2, y: HUB_Y }, members };
}
