/**
 * Enrolment of a PNE and resumption of a join, byte for byte, with the code, the gateway's token and the advertisement
 * (docs/protocol.md §2.2, §7, §8), in the ordinary and in the mirrored arrangement.
 */
import { concat } from '../../src/base/bytes.ts';
import { claimTranscript, comparedDigits, receiptTranscript } from '../../src/enrolment/transcript.ts';
import {
  EnrolAck,
  EnrolClaimPayload,
  EnrolComparison,
  EnrolmentRequest,
  EnrolOfferPayload,
  EnrolReceiptPayload,
} from '../../src/messages/enrolment.ts';
import { Open } from '../../src/messages/link.ts';
import { FreshnessPayload, Resume, Resumed } from '../../src/messages/resumption.ts';
import { coseKeyOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { createEnrolmentCode } from '../../src/security/enrolment-code.ts';
import { createGatewayToken } from '../../src/security/gateway-token.ts';
import {
  deriveHomeRms,
  derivePrk1,
  deriveRid,
  epochKeys,
  findTag,
  transcript1,
} from '../../src/security/key-schedule.ts';
import { capability, joinId, pnId, record, rms } from './establishment.ts';
import { fixedBytes, fixedEphemeral } from './fixed-keys.ts';
import {
  credential1,
  gw1,
  gw1Id,
  homeAddress,
  pne,
  pneThumbprint,
  root,
  SERVER_TIME,
  server,
} from './parties.ts';
import { primitives, signVector } from './signing.ts';

const common = { versions: [1], suites: [1], segmentBytes: 244, credits: 32 };

type Arrangement = 'ordinary' | 'mirrored';

/** The two OPENs of a link: `kind`, and rid with it, is the central's; rid is over what the peripheral sent. */
function opens(arrangement: Arrangement, of: 'enrolment' | 'resumption') {
  const mirrored = arrangement === 'mirrored';
  const name = mirrored ? `mirrored ${of}` : of;
  const gateway = fixedEphemeral(`${name} gateway ephemeral`);
  const device = fixedEphemeral(`${name} pne ephemeral`);
  const rid = deriveRid(primitives, rms, mirrored ? gateway.x : device.x);
  const asked = of === 'enrolment' ? ({ kind: 'enrol' } as const) : ({ kind: 'resume', rid } as const);
  return {
    ephemerals: {
      gateway: { privateKey: gateway.privateKey, x: gateway.x },
      pne: { privateKey: device.privateKey, x: device.x },
    },
    rid,
    openP: Open.encode({ ...common, role: 'pne', ephemeral: device.x, ...(mirrored && asked) }),
    openG: Open.encode({ ...common, role: 'gateway', ephemeral: gateway.x, ...(!mirrored && asked) }),
    z: gateway.agree(device.x),
  };
}

function enrolment(arrangement: Arrangement) {
  const secret = fixedBytes('enrolment secret', 12);
  const { ephemerals, openP, openG, z } = opens(arrangement, 'enrolment');
  const th1 = transcript1(primitives, 2, openG, openP);
  const prk1 = derivePrk1(primitives, th1, concat(z, secret));
  const { g2p, p2g } = epochKeys(primitives, prk1, 'hs');
  const nonce = fixedBytes('enrolment nonce', 16);
  const e1 = signVector(EnrolOfferPayload, gw1, th1, {
    gatewayKey: coseKeyOf(gw1.publicKey),
    rootKey: coseKeyOf(root.publicKey),
    serverKeys: [coseKeyOf(server.publicKey)],
    homeAddress,
    userLabel: 'Alice Example',
    nonce,
    credential: credential1.sign1,
  });
  const e2 = signVector(EnrolClaimPayload, pne, claimTranscript(primitives, th1, e1.sign1), {
    key: coseKeyOf(pne.publicKey),
    pneId: 'Watch',
    capability,
    epoch: 1,
  });
  const e3 = signVector(EnrolReceiptPayload, server, receiptTranscript(primitives, th1, e1.sign1, e2.sign1), {
    thumbprint: pneThumbprint,
    gatewayId: gw1Id,
    userLabel: 'Alice Example',
    epoch: 1,
    serverTime: SERVER_TIME,
  });
  const e4 = EnrolAck.encode({ status: 'ok' });
  const comparison = {
    salt: fixedBytes('comparison salt', 16),
    digits: comparedDigits(primitives, th1, e2.sign1, fixedBytes('comparison salt', 16)),
    body: EnrolComparison.encode({ salt: fixedBytes('comparison salt', 16) }),
  };
  const mirrored = arrangement === 'mirrored';
  const salt = fixedBytes('enrolment salt', 3);
  return {
    code: mirrored
      ? createEnrolmentCode(primitives, 'gateway', thumbprintOf(primitives, gw1.publicKey), secret)
      : createEnrolmentCode(primitives, 'pne', pneThumbprint, secret),
    secret,
    salt,
    findTag: findTag(primitives, secret, salt),
    ephemerals,
    openP,
    openG,
    th1,
    z,
    prk1,
    g2p,
    p2g,
    e1: { ...e1, ...record('EnrolOffer', e1.sign1, g2p, 0) },
    e2: { ...e2, ...record('EnrolClaim', e2.sign1, p2g, 0) },
    ...(mirrored && {
      comparison: { ...comparison, ...record('EnrolComparison', comparison.body, g2p, 1) },
    }),
    https: {
      path: 'enrolments/{nonce}',
      nonce,
      body: EnrolmentRequest.encode({ openG, openP, offer: e1.sign1, claim: e2.sign1 }),
    },
    e3: { ...e3, ...record('EnrolReceipt', e3.sign1, g2p, mirrored ? 2 : 1) },
    e4: { body: e4, ...record('EnrolAck', e4, p2g, 1) },
    homeRms: deriveHomeRms(primitives, prk1),
  };
}

function resumption(arrangement: Arrangement) {
  const { ephemerals, rid, openP, openG, z } = opens(arrangement, 'resumption');
  const th1 = transcript1(primitives, 3, openG, openP);
  const prk1 = derivePrk1(primitives, th1, concat(z, rms));
  const { g2p, p2g } = epochKeys(primitives, prk1, 'ap');
  const resume = Resume.encode({ pnId, version: 7 });
  const resumed = Resumed.encode({ status: 'ok', version: 7, serverKeysIssuedAt: SERVER_TIME });
  const freshness = signVector(FreshnessPayload, server, th1, {
    status: 'ok',
    version: 7,
    serverTime: SERVER_TIME + 100,
    joinId,
  });
  return {
    about: 'Resumes the join of establishment.json (its rms).',
    ephemerals,
    rms,
    rid,
    openP,
    openG,
    th1,
    z,
    prk1,
    g2p,
    p2g,
    resume: { body: resume, ...record('Resume', resume, g2p, 0) },
    resumed: { body: resumed, ...record('Resumed', resumed, p2g, 0) },
    freshness: { ...freshness, ...record('Freshness', freshness.sign1, g2p, 1) },
  };
}

export function enrolmentVectors() {
  return {
    enrolment: enrolment('ordinary'),
    gatewayToken: createGatewayToken(
      primitives,
      fixedBytes('ca thumbprint', 16),
      fixedBytes('token id', 8),
      fixedBytes('token secret', 16),
    ),
    gatewayTokenParts: {
      caThumbprint: fixedBytes('ca thumbprint', 16),
      id: fixedBytes('token id', 8),
      secret: fixedBytes('token secret', 16),
    },
    resumption: resumption('ordinary'),
  };
}

/** The PNE is central: it takes the gateway's code, and says kind and rid. */
export function mirroredVectors() {
  return {
    about:
      'The mirrored arrangement: `kind` and rid are in the OPEN of the PNE, rid is over the ephemeral of the gateway.',
    enrolment: enrolment('mirrored'),
    resumption: resumption('mirrored'),
  };
}
