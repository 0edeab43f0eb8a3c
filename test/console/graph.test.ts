/** Where the members of a network stand in its picture: within it, apart, and in the order of the list. */
import assert from 'node:assert/strict';
import { layOut } from '../../src/web/console/graph-layout.ts';

describe('the picture of a network', () => {
  for (const width of [260, 322, 700])
    it(`has room for any number of members at ${width} pixels`, () => {
      for (let count = 0; count <= 40; count++) {
        const { height, hub, members } = layOut(count, width);
        assert.equal(members.length, count);
        for (const [i, { x, y }] of members.entries()) {
          assert.ok(x >= 40 && x <= width - 40 && y > hub.y + 60 && y < height, `${count}: ${x} ${y}`);
          for (const other of members.slice(0, i)) {
            const apart = Math.abs(other.x - x) >= 80 || Math.abs(other.y - y) >= 80;
            assert.ok(apart, `${count}: ${x} ${y} and ${other.x} ${other.y}`);
          }
        }
      }
    });

  it('stands in the middle when it is alone, and lines pass between the nodes of the row before', () => {
    assert.deepEqual(layOut(1, 322).members[0]?.x, 161);
    const { members } = layOut(5, 322);
    const [first, second] = [members.slice(0, 3), members.slice(3)];
    for (const { x } of second) for (const other of first) assert.ok(Math.abs(other.x - x) > 40);
  });
});
