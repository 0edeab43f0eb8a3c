/** The gateway's side of an enrolment in the virtual world, as src/nodes/gateway/pairing.ts does it. */
import type { Bytes } from '../../src/base/bytes.ts';
import { Thumbprint } from '../../src/base/ids.ts';
import { GATEWAY_ENROL_MACHINE } from '../../src/enrolment/gateway.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { encodeCbor } from '../../src/messages/cbor.ts';
import { CoseKey } from '../../src/messages/common.ts';
import type { Opened } from '../../src/nodes/link-session.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { VirtualDriver } from './virtual-world-driver.ts';
import type { VirtualGateway } from './virtual-world-gateway.ts';
import type { SessionMachine, VirtualSession } from './virtual-world-link.ts';

/** A code that was typed in, with the server's nonce for the attempt. */
export interface Pairing {
  readonly kind: 'enrol';
  readonly secret: Bytes;
  readonly thumbprintPrefix: Bytes;
  readonly nonce: Bytes;
}

/** The machine for a link that was opened with this code. */
export function startPairing(
  gateway: VirtualGateway,
  purpose: Pairing,
  opened: Opened,
  session: VirtualSession,
  enrolled: () => void,
): SessionMachine {
  const { world, server, gatewayId, store } = gateway;
  const { operator } = server;
  const machine = new Machine(
    GATEWAY_ENROL_MACHINE,
    {
      ...{ primitives: world.primitives, expectedThumbprint: purpose.thumbprintPrefix },
      salt: new Uint8Array(16),
      offer: {
        ...{ gatewayKey: coseKeyOf(gateway.signer.publicKey), rootKey: coseKeyOf(operator.root.publicKey) },
        ...{
          serverKeys: [coseKeyOf(operator.server.publicKey)],
          homeAddress: operator.homeAddressOf(gateway.signer),
        },
        ...{ userLabel: gateway.user, credential: gateway.credential, nonce: purpose.nonce },
      },
    },
    GATEWAY_ENROL_MACHINE.initial,
    world.nowMs,
  );
  const driver = new VirtualDriver(world, machine, {
    ...session.effects,
    claim: ({ nonce, request }) =>
      gateway.calls.request(
        'claim',
        () => server.enrol(gatewayId, nonce, request),
        { attempts: 4 },
        (answer) => {
          if ('value' in answer) driver.feed({ kind: 'receipt', receipt: answer.value });
          else driver.feed({ kind: 'refused', status: answer.status });
        },
      ),
    compare: (): void => {
      driver.feed({ kind: 'compared', status: 'ok' });
    },
    persistEnrolled: ({ pne }) => {
      const { thumbprint, key, pneId, capability, epoch, rms } = pne;
      store.home.savePne({
        ...{
          thumbprint: Thumbprint(thumbprint),
          key: encodeCbor(CoseKey.toCbor(coseKeyOf(key), 'CoseKey')),
        },
        ...{ pneId: pneId ?? '', ...(capability && { capability }), epoch, rms, enrolledAt: world.seconds },
      });
    },
    persistAcknowledged: ({ pne, nonce }) => {
      store.home.acknowledgePne(Thumbprint(pne.thumbprint));
      gateway.calls.request(
        'E4',
        () => server.acknowledgeEnrolment(nonce),
        { attempts: 1 },
        () => {},
      );
    },
    enrolled: (): void => {
      enrolled();
    },
  });
  const { th1, prk1, openG, openP } = opened;
  driver.feed({ kind: 'opened', th1, prk1, openG, openP });
  return driver as SessionMachine;
}
