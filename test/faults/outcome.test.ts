/**
 * Every legal outcome is recognised from true final views, and what is near to one but is none is described.
 */
import assert from 'node:assert/strict';
import { type FinalState, judge, mayStandTogether, type OutcomeKind, worst } from './outcome.ts';
import { joined, refused, type Staged, spoiled, type Views } from './staged.ts';

const OTHER = 'ab'.repeat(32);

describe('the outcome of a run', () => {
  let stage: Staged;
  let no: Staged;
  before(() => {
    stage = joined();
    no = refused();
  });

  const of = (
    staged: Staged,
    edit: (views: Views) => void = () => {},
    told?: FinalState['told'],
  ): FinalState => {
    const views = structuredClone(staged.views);
    edit(views);
    return { ...views, ...(told && { told }) };
  };
  const assertIs = (state: FinalState, kind: OutcomeKind, detail: RegExp): void => {
    const outcome = judge(state);
    assert.equal(outcome.kind, kind, outcome.detail);
    assert.match(outcome.detail, detail);
  };
  const pending = (th3: string) => {
    const { pnId = '', gatewayId = '' } = stage.views.pne.joins[0] ?? {};
    return { th3, state: 'pending' as const, version: 0, pnId, gatewayId };
  };
  const nowhere = ({ server, gw2, gw1, pne }: Views): void => {
    Object.assign(server, { registrations: [], pns: [], evidence: [], outbox: [] });
    Object.assign(gw2, { pns: [], joins: [] });
    gw1.home = [];
    pne.joins = [];
  };

  it('a member', () => assertIs(of(stage), 'member', /^version 1 of PN/));

  it('a member, though an earlier attempt was signed and nobody heard it', () => {
    assertIs(
      of(stage, ({ pne }) => pne.joins.unshift(pending(OTHER))),
      'member',
      /1 signed and unheard/,
    );
  });

  it('nothing: one word of the server at both', () => {
    const told = { pne: 'user-refused', gw2: 'user-refused', join: no.th3 } as const;
    assertIs(of(no, undefined, told), 'nothing', /user-refused, signed by the server/);
    assertIs(of(no, undefined, { ...told, pne: undefined }), 'nothing', /user-refused/);
    assertIs(
      of(no, undefined, { ...told, pne: 'link-lost' }),
      'illegal',
      /signed user-refused, but: PNE link-lost/,
    );
    assertIs(
      of(no, undefined, { ...told, gw2: 'confirmation-timeout' }),
      'illegal',
      /GW2 confirmation-timeout/,
    );
  });

  it('nothing: words of their own that agree', () => {
    assertIs(
      of(stage, nowhere, { pne: 'link-lost', gw2: 'peer-lost' }),
      'nothing',
      /PNE link-lost, GW2 peer-lost/,
    );
    assertIs(of(stage, nowhere), 'nothing', /silent/);
    assertIs(of(stage, nowhere, { pne: 'declined', gw2: 'server-unreachable' }), 'illegal', /do not agree/);
    assertIs(of(stage, nowhere, { pne: 'ok', gw2: 'ok' }), 'illegal', /do not agree/);
  });

  it('registered, and the PNE has not heard of it', () => {
    const state = of(stage, ({ pne }) => (pne.joins = [pending(stage.th3)]));
    assertIs(state, 'not-yet-notified', /the PNE has version 1 .* to hear of/);
  });

  it('registered, and GW2 has not heard of it either', () => {
    const state = of(stage, ({ gw2, pne }) => {
      pne.joins = [pending(stage.th3)];
      for (const join of gw2.joins) join.state = 'pending';
      for (const pn of gw2.pns) {
        delete pn.inventory;
        Object.assign(pn, { setup: 'provisional', version: 0 });
      }
    });
    assertIs(state, 'not-yet-notified', /GW2 has not version 1.*the PNE has/);
  });

  it('registered, and GW1 has not heard of it', () => {
    const silent = (views: Views): void => {
      for (const asked of views.gw1.home) {
        delete asked.outcome;
        asked.state = 'answered';
      }
    };
    const [row] = stage.views.server.registrations;
    const onItsWay = ({ server }: Views) =>
      server.outbox.push({ to: row?.home ?? '', kind: 'join-outcome', joinId: row?.joinId ?? '' });
    assertIs(
      of(stage, (views) => [silent(views), onItsWay(views)]),
      'not-yet-notified',
      /GW1 has the outcome/,
    );
    assertIs(of(stage, silent), 'illegal', /GW1 has no outcome/);
  });

  it('signed, and nobody heard it', () => {
    const state = of(stage, (views) => {
      nowhere(views);
      views.pne.joins = [pending(OTHER)];
    });
    assertIs(state, 'signed-unheard', /join abababab/);
  });

  describe('anything else is described', () => {
    const cases: readonly [string, RegExp, (views: Views) => void][] = [
      ['the PNE forgot its membership', /the PNE knows nothing of join/, ({ pne }) => (pne.joins = [])],
      [
        'the PNE holds other bytes',
        /the PNE holds other bytes/,
        ({ pne }) => {
          const [join] = pne.joins;
          if (join) join.inventory = spoiled(join.inventory ?? '');
        },
      ],
      ['GW2 forgot the join', /GW2 knows nothing of join/, ({ gw2 }) => (gw2.joins = [])],
      [
        'GW2 refused what was registered',
        /GW2 has join \w+ refused/,
        ({ gw2 }) => {
          for (const join of gw2.joins) join.state = 'refused';
        },
      ],
      [
        'GW2 holds an older inventory and none is on its way',
        /GW2 has version 0, not version 1/,
        ({ gw2 }) => {
          for (const pn of gw2.pns) Object.assign(pn, { version: 0, inventory: '' });
        },
      ],
      [
        'the server knows nothing of a membership',
        /not the server's entry/,
        ({ server }) => Object.assign(server, { pns: [], registrations: [] }),
      ],
      [
        'a transaction is still open',
        /the server has join \w+ still verified/,
        ({ server }) => {
          const [row] = server.registrations;
          if (row) server.registrations.push({ ...row, th3: OTHER, state: 'verified' });
        },
      ],
      [
        'GW2 waits for the server still',
        /GW2 has join \w+ still pending/,
        ({ gw2 }) => {
          const [join] = gw2.joins;
          if (join) gw2.joins.push({ ...join, th3: OTHER, joinId: OTHER.slice(0, 32), state: 'pending' });
        },
      ],
      [
        'a provisional network is left',
        /provisional PN/,
        (views) => {
          nowhere(views);
          views.gw2.pns = [{ pnId: OTHER.slice(0, 16), setup: 'provisional', version: 0 }];
        },
      ],
    ];
    for (const [what, words, edit] of cases) it(what, () => assertIs(of(stage, edit), 'illegal', words));

    it('the PNE waits for what has ended', () => {
      const state = of(no, ({ pne }) => (pne.joins = [pending(no.th3)]));
      assertIs(state, 'illegal', /pending, which ended user-refused/);
    });
    it('GW1 waits still', () => {
      const state = of(no, ({ gw1 }) => {
        for (const asked of gw1.home) asked.state = 'asked';
      });
      assertIs(state, 'illegal', /GW1 has the question/);
    });
  });

  it('local statuses beside each other', () => {
    for (const [pne, gw2, may] of [
      ['declined', 'declined', true],
      ['link-lost', 'peer-lost', true],
      ['timeout', 'link-lost', true],
      ['link-lost', 'server-unreachable', true],
      ['declined', 'link-lost', true],
      [undefined, 'challenge-invalid', true],
      ['declined', 'too-many-memberships', false],
      ['ok', 'link-lost', false],
      ['link-lost', 'ok', false],
      ['cannot-persist', 'quota-exceeded', false],
    ] as const)
      assert.equal(mayStandTogether(pne, gw2), may, `${pne} beside ${gw2}`);
  });

  it('of several PNEs the one that fared worst counts', () => {
    const outcomes = [judge(of(stage)), judge(of(stage, ({ pne }) => (pne.joins = [])))];
    assert.equal(worst(outcomes).kind, 'illegal');
    assert.equal(worst([]).kind, 'illegal');
  });
});
