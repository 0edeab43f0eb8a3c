/**
 * Each safety rule is shown to bite: true views of a join, one thing spoiled, and the rule that must say so. And what looks
 * like a breach and is none is left alone.
 */
import assert from 'node:assert/strict';
import { checkJournal, type JournalEntry, type Rule, SafetyChecker } from './safety.ts';
import {
  entry,
  joined,
  journal,
  noOf,
  outcomeOf,
  PARTIES,
  refused,
  type Staged,
  spoiled,
  type Views,
  viewsOf,
} from './staged.ts';

/** A join of the staged PNE that nobody but it knows. */
const OTHER = 'ab'.repeat(32);
const DAY = 86_400;

describe('the safety rules', () => {
  let stage: Staged;
  let no: Staged;
  before(() => {
    stage = joined();
    no = refused();
  });

  const edited = (edit: (views: Views) => void, of = stage): Views => {
    const views = structuredClone(of.views);
    edit(views);
    return views;
  };
  const evidence = ({ server }: Views) => server.evidence[0] ?? assert.fail('no evidence');
  const row = ({ server }: Views) => server.registrations[0] ?? assert.fail('no registration');
  const atGw2 = ({ gw2 }: Views) => gw2.joins[0] ?? assert.fail('no join at GW2');
  const atPne = ({ pne }: Views) => pne.joins[0] ?? assert.fail('no join at the PNE');
  const pending = (th3: string, version = 0) => ({
    ...{ th3, state: 'pending' as const, version },
    ...{ pnId: atPne(stage.views).pnId, gatewayId: atPne(stage.views).gatewayId },
  });

  /** Exactly one breach, of this rule, at this party, in these words. */
  const assertBreaks = (entries: readonly JournalEntry[], rule: Rule, party: string, what: RegExp): void => {
    const violations = checkJournal(entries);
    const [first] = violations;
    assert.ok(first, 'nothing was found');
    assert.deepEqual([first.rule, first.party], [rule, party], first.what);
    assert.match(first.what, what);
    assert.equal(first.entry, entries[first.index]);
  };
  const holds = (entries: readonly JournalEntry[]): void => assert.deepEqual(checkJournal(entries), []);

  it('hold of a join that went well, and of one that was refused', () => {
    holds(journal(stage.views));
    holds(journal(no.views));
  });

  it('a journal survives JSON', () => {
    holds(JSON.parse(JSON.stringify(journal(stage.views))) as JournalEntry[]);
  });

  it('a breach is told once, at the first entry that shows it', () => {
    const entries = journal(
      edited((views) => (evidence(views).response = spoiled(evidence(views).response))),
    );
    const checker = new SafetyChecker();
    const [server, ...others] = entries;
    assert.ok(server);
    assert.ok(checker.take(server).length > 0);
    const told = checker.violations.length;
    for (let again = 0; again < 3; again++)
      checker.take({ ...server, view: entries[0]?.view ?? assert.fail() });
    assert.equal(checker.violations.length, told);
    assert.ok(others.length > 0);
  });

  describe('S1: REGISTERED needs the PNE’s signature and GW1’s two yeses', () => {
    const cases: readonly [string, RegExp, (views: Views) => void][] = [
      [
        'the PNE’s signature is another',
        /PNE's signature/,
        (views) => (evidence(views).response = spoiled(evidence(views).response)),
      ],
      [
        'GW1’s signature is another',
        /home gateway's signature/,
        (views) => (evidence(views).answer = spoiled(evidence(views).answer ?? '')),
      ],
      ['GW1 said no', /registered on a no/, (views) => (evidence(views).answer = noOf(stage, stage.th3))],
      [
        'the key is not the PNE’s',
        /key of another PNE/,
        (views) => (evidence(views).pneKey = evidence(views).homeKey),
      ],
      ['there is no evidence', /without evidence/, ({ server }) => (server.evidence = [])],
      [
        'there is evidence of what was not registered',
        /without a registration/,
        (views) => (row(views).state = 'verified'),
      ],
      [
        'the evidence is of another PN',
        /of another join/,
        (views) => (evidence(views).pnId = OTHER.slice(0, 16)),
      ],
      [
        'a refresh rests on no earlier yes',
        /rests on no yes/,
        (views) => {
          delete evidence(views).answer;
          evidence(views).earlierJoin = OTHER.slice(0, 32);
        },
      ],
    ];
    for (const [what, words, edit] of cases)
      it(what, () => assertBreaks(journal(edited(edit)), 'S1', 'server', words));
  });

  describe('S2: live and member only after the server’s commit', () => {
    const uncommitted = (views: Views): void => {
      row(views).state = 'verified';
      delete row(views).outcome;
      views.server.evidence = [];
      views.server.pns = [];
    };
    it('GW2 is live too early', () => {
      const views = edited(uncommitted);
      views.gw2.pns = [];
      assertBreaks(
        [entry('server', { view: views.server }), entry('gw2', { view: views.gw2 })],
        'S2',
        'gw2',
        /is live/,
      );
    });
    it('the PNE is a member too early', () => {
      const views = edited(uncommitted);
      assertBreaks(
        [entry('server', { view: views.server }), entry('pne', { view: views.pne })],
        'S2',
        'pne',
        /is a member/,
      );
    });
    it('nobody has ever seen the server', () => {
      assertBreaks([entry('pne', { view: stage.views.pne })], 'S2', 'pne', /is a member/);
    });
    it('the server lost what it had committed: each who relies on it is named', () => {
      const lost = edited((views) => {
        uncommitted(views);
        views.server.registrations = [];
      });
      const violations = checkJournal([...journal(stage.views), entry('server', { view: lost.server })]);
      assert.deepEqual(
        violations.map(({ rule, party }) => `${rule} ${party}`),
        ['S4 server', 'S2 gw2', 'S2 pne'],
      );
    });
  });

  describe('S3: inventories are the server’s, and never older than before', () => {
    it('other bytes at GW2', () => {
      const views = edited(({ gw2 }) => {
        const [pn] = gw2.pns;
        if (pn) pn.inventory = spoiled(pn.inventory ?? '');
      });
      assertBreaks(journal(views), 'S3', 'gw2', /never committed/);
    });
    it('other bytes at the PNE', () => {
      const views = edited((all) => (atPne(all).inventory = spoiled(atPne(all).inventory ?? '')));
      assertBreaks(journal(views), 'S3', 'pne', /never committed/);
    });
    it('a version that is still to come', () => {
      const views = edited((all) => (atPne(all).version = 2));
      assertBreaks(journal(views), 'S3', 'pne', /version 2/);
    });
    it('an older one than before, at whom you like', () => {
      const refreshed = refresh(stage);
      holds([...journal(stage.views), ...journal(refreshed)]);
      for (const party of ['gw2', 'pne'] as const)
        assertBreaks(
          [...journal(stage.views), ...journal(refreshed), entry(party, { view: stage.views[party] })],
          ...(['S3', party, /went back from version 2 to 1/] as const),
        );
      const back = structuredClone(refreshed.server);
      back.pns = stage.views.server.pns.map((pn) => ({ ...pn }));
      assertBreaks([...journal(refreshed), entry('server', { view: back })], 'S3', 'server', /went back/);
    });
  });

  describe('S4: one result of each join, one entry of each PNE', () => {
    it('GW2 holds a refusal of what was registered', () => {
      const views = edited((all) => {
        atGw2(all).state = 'refused';
        atGw2(all).outcome = outcomeOf(stage, stage.th3, 'user-refused');
      });
      assertBreaks(journal(views), 'S4', 'gw2', /ended ok and user-refused/);
    });
    it('GW1 was told another end than GW2', () => {
      const views = edited(({ gw1 }) => {
        const [asked] = gw1.home;
        if (asked) asked.outcome = outcomeOf(no, no.th3, 'confirmation-timeout');
      }, no);
      assertBreaks(journal(views), 'S4', 'gw1', /ended user-refused and confirmation-timeout/);
    });
    it('an outcome that the server did not sign', () => {
      const views = edited((all) => (row(all).outcome = spoiled(row(all).outcome ?? '')), no);
      assertBreaks(journal(views), 'S4', 'server', /not the server's/);
    });
    it('GW1 answers a second time, otherwise', () => {
      const views = edited(({ gw1 }) => {
        const [asked] = gw1.home;
        if (asked) asked.answer = noOf(stage, stage.th3);
      });
      assertBreaks(journal(views), 'S4', 'gw1', /two answers/);
    });
    it('a registration is undone', () => {
      const views = edited((all) => (row(all).state = 'refused'));
      assertBreaks(
        [...journal(stage.views), entry('server', { view: views.server })],
        'S4',
        'server',
        /no more/,
      );
    });
    it('two entries of one PNE', () => {
      const views = edited(({ server }) => {
        const [pn] = server.pns;
        const [member] = pn?.members ?? [];
        if (member) pn?.members.push({ ...member, joinId: OTHER.slice(0, 32) });
      });
      assertBreaks(journal(views), 'S4', 'server', /two entries/);
    });
    it('two inventories of one version', () => {
      const other = refresh(stage);
      const again = edited(({ server }) => {
        const [first, second] = other.server.evidence;
        if (!first || !second) assert.fail('no refresh');
        server.registrations = other.server.registrations;
        server.evidence = [first, { ...second, version: first.version }];
      });
      const views = checkJournal([entry('server', { view: again.server })]);
      assert.ok(views.some(({ rule, what }) => rule === 'S4' && /two inventories/.test(what)));
    });
  });

  describe('S5: who signed remembers it', () => {
    const signedOther = (): JournalEntry[] => {
      const views = edited(({ pne }) => {
        pne.joins = [pending(OTHER)];
      });
      return [
        entry('server', { view: views.server }),
        entry('pne', { view: views.pne }),
        entry('pne', { signed: OTHER }),
      ];
    };
    const later = (edit: (views: Views) => void) => entry('pne', { view: edited(edit).pne });

    it('holds while the join is pending', () => holds(signedOther()));
    it('step 6 with nothing on disk', () => {
      const empty = edited(({ pne }) => (pne.joins = []));
      assertBreaks(
        [entry('pne', { view: empty.pne }), entry('pne', { signed: OTHER })],
        ...(['S5', 'pne', /does not remember/] as const),
      );
      assertBreaks([entry('pne', { signed: OTHER })], 'S5', 'pne', /nothing on disk/);
    });
    it('forgotten, and nobody said that it may be', () => {
      assertBreaks(
        [...signedOther(), later(({ pne }) => (pne.joins = []))],
        'S5',
        'pne',
        /does not remember/,
      );
    });
    it('an earlier membership of the same PN is no reason', () => {
      assertBreaks([...signedOther(), later(() => {})], 'S5', 'pne', /does not remember/);
    });
    it('a refusal that the server has not signed is no reason', () => {
      const views = edited((all) => {
        delete row(all).outcome;
      }, no);
      const held = edited(({ pne }) => (pne.joins = [{ ...pending(no.th3), pnId: row(no.views).pnId }]), no);
      const entries = [
        ...[entry('server', { view: views.server }), entry('pne', { view: held.pne })],
        ...[entry('pne', { signed: no.th3 }), entry('pne', { view: views.pne })],
      ];
      assertBreaks(entries, 'S5', 'pne', /does not remember/);
    });
    it('a later membership of the same PN, a signed refusal and a day of power are', () => {
      const other = signedOther();
      const both = later(({ pne }) => pne.joins.push(pending(OTHER)));
      holds([...other, both, entry('pne', { signed: stage.th3 }), later(() => {})]);
      holds([
        ...signedOther(),
        later(({ pne }) => {
          pne.joins = [];
          pne.poweredSeconds += DAY + 1;
        }),
      ]);
      const held = edited(({ pne }) => (pne.joins = [{ ...pending(no.th3), pnId: row(no.views).pnId }]), no);
      holds([
        ...[entry('server', { view: no.views.server }), entry('pne', { view: held.pne })],
        ...[entry('pne', { signed: no.th3 }), entry('pne', { view: no.views.pne })],
      ]);
    });
    it('23 hours of power are no day', () => {
      const other = signedOther();
      const early = later(({ pne }) => {
        pne.joins = [];
        pne.poweredSeconds += DAY - 3_600;
      });
      assertBreaks([...other, early], 'S5', 'pne', /does not remember/);
    });
    it('a member that leaves later is free to', () => {
      holds([
        ...[
          entry('server', { view: stage.views.server }),
          later(({ pne }) => (pne.joins = [pending(stage.th3)])),
        ],
        ...[entry('pne', { signed: stage.th3 }), later(() => {}), later(({ pne }) => (pne.joins = []))],
      ]);
    });
  });

  it('every party takes part', () => assert.equal(journal(stage.views).length, PARTIES.length));
});

/** The same PNE joins the same PN again: version 2, and nobody asks Alice. */
function refresh({ scene }: Staged): Views {
  const { pne } = scene;
  if (pne.store.memberships()[0]?.join.version !== 2) {
    const [membership] = pne.store.memberships();
    if (!membership) assert.fail('no member');
    scene.audit.pause = true;
    pne.store.forgetMember(membership.join.pnId);
    pne.restart();
    scene.world.until('the refresh', () => pne.store.memberships()[0]?.join.version === 2, 1_000_000);
    scene.world.pass(2_000);
  }
  return viewsOf(scene);
}
