/**
 * A personal network as a picture: this gateway, its members below it, and a line to each that shows the link. Owns what
 * nodes and lines look like; the list beside it says the same in words, so the picture is one image to whoever does not
 * see it.
 */
import type { MemberView } from '../../console/view.ts';
import { drawn } from './dom.ts';
import { layOut, NODE_RADIUS, type Place, SLOT } from './graph-layout.ts';

/** Of the widest letters in a name. */
const LETTER = 8;

export type LinkState = 'linked' | 'away' | 'joining';

export const linkState = ({ state, link }: MemberView): LinkState =>
  state === 'pending' ? 'joining' : link ? 'linked' : 'away';

export const memberName = ({ label, handle, joinId }: MemberView): string =>
  label ?? (handle === null ? `join ${joinId.slice(0, 8)}` : `member ${handle}`);

/** @param width of its place, in units of which sixteen are as large as the page's letters */
export function drawGraph(
  name: string,
  gateway: string,
  members: readonly MemberView[],
  width: number,
): SVGSVGElement {
  const { height, hub, members: places } = layOut(members.length, width);
  const edges: Node[] = [];
  const nodes: Node[] = [hubNode(hub, gateway)];
  for (const [i, member] of members.entries()) {
    const place = places[i] ?? hub;
    const state = linkState(member);
    edges.push(drawn('path', { class: `edge edge-${state}`, d: curve(hub, place) }));
    nodes.push(memberNode(place, state, memberName(member)));
  }
  const linked = members.filter((member) => linkState(member) === 'linked').length;
  const label = `Picture of “${name}”: ${linked} of ${members.length} linked with ${gateway}. The list below says the same.`;
  const viewBox = `0 0 ${width} ${height}`;
  return drawn('svg', { viewBox, class: 'graph', role: 'img', 'aria-label': label }, ...edges, ...nodes);
}

/** Straight down out of the gateway, straight down into the member. */
function curve(from: Place, to: Place): string {
  const bend = (to.y - from.y) / 2;
  return `M${from.x} ${from.y}C${from.x} ${from.y + bend} ${to.x} ${to.y - bend} ${to.x} ${to.y}`;
}

/** Its name stands beside it, where no line passes. */
function hubNode(at: Place, name: string): SVGElement {
  return drawn(
    'g',
    { class: 'node node-hub', transform: `translate(${at.x} ${at.y})` },
    drawn('rect', { x: -26, y: -26, width: 52, height: 52, rx: 14 }),
    drawn('path', { class: 'sign', d: HOUSE }),
    drawn('text', { class: 'name', x: 36, y: 5 }, shortened(name, at.x - 36)),
  );
}

function memberNode({ x, y }: Place, state: LinkState, name: string): SVGElement {
  const [first = '?'] = name.toUpperCase();
  return drawn(
    'g',
    { class: `node node-${state}`, transform: `translate(${x} ${y})` },
    drawn('circle', { r: NODE_RADIUS }),
    drawn('text', { y: 5 }, first),
    drawn('text', { class: 'name', y: NODE_RADIUS + 18 }, shortened(name, SLOT)),
  );
}

/** A house with its waves. */
const HOUSE = 'M-13 1L0-11 13 1M-9-2V12H9V-2M-3.5 12V4.5H3.5V12';

function shortened(name: string, width: number): string {
  const letters = [...name];
  const most = Math.floor(width / LETTER);
  return letters.length <= most ? name : `${letters.slice(0, most - 1).join('')}…`;
}
