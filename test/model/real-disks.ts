/**
 * The model's disks as the real stores, on SQLite in memory: to run a path of the model on both and compare.
 */
import type { GatewayId } from '../../src/base/ids.ts';
import { openGatewayStore } from '../../src/store/gateway-store.ts';
import { openPneStore } from '../../src/store/pne-store.ts';
import { openServerStore } from '../../src/store/server-store.ts';
import type { ServerDisk } from './disk-server.ts';
import { IN_TIME, REALM, type Scene, type SceneGateway } from './scene.ts';
import { named } from './symbolic.ts';
import type { Disks } from './world.ts';

export function realDisks(scene: Scene): { readonly disks: Disks; readonly close: () => void } {
  const pnes = scene.pnes.map(() => openPneStore(':memory:'));
  const gateway = openGatewayStore(':memory:');
  const homes = scene.homes.map(() => openGatewayStore(':memory:'));
  const server = realServer(scene);
  return {
    disks: {
      pnes,
      gateway: gateway.networks,
      homes: homes.map(({ home }) => home),
      server: server.disk,
    },
    close: () => {
      for (const store of [...pnes, gateway, ...homes, server]) store.close();
    },
  };
}

function realServer(scene: Scene): { readonly disk: ServerDisk; readonly close: () => void } {
  const store = openServerStore(':memory:');
  store.initialise(REALM, ['server.example'], IN_TIME);
  const { registrations, outbox, directory } = store;
  const enrol = ({ facts }: SceneGateway): void => {
    const user = directory.user(facts.userLabel) ?? directory.addUser(facts.userLabel, IN_TIME);
    const tokenId = named(`token ${facts.label}`, 8);
    const { userId } = user;
    directory.addToken({
      ...{
        tokenId,
        secretSha256: named('secret'),
        userId,
        gatewayLabel: facts.label,
        expiresAt: IN_TIME + 60,
      },
    });
    directory.enrolGateway(tokenId, { ...facts, userId, createdAt: IN_TIME }, new Uint8Array(0));
  };
  for (const party of [scene.gateway, ...scene.homes]) enrol(party);
  const disk: ServerDisk = {
    all: () => registrations.all(),
    registration: (key) => registrations.registration(key),
    registrationOfJoin: (joinId) => registrations.registrationOfJoin(joinId),
    openCount: (gatewayId, since) => registrations.openCount(gatewayId, since),
    verifiedOf: (pne) => registrations.verifiedOf(pne),
    pendingOfUser: (userId, except) => registrations.pendingOfUser(userId, except),
    backoffUntil: (gatewayId, pne) => registrations.backoffUntil(gatewayId, pne),
    pn: (pnId) => registrations.pn(pnId),
    earlierYes: (pnId, pne) => registrations.earlierYes(pnId, pne),
    isOvertaken: (row) => registrations.isOvertaken(row),
    evidence: (pnId) => registrations.evidence(pnId),
    commit: (change, clock) => registrations.commit(change, clock),
    deliveries: (gatewayId: GatewayId) => outbox.deliveries(gatewayId, 0, 100),
    acknowledge: (acknowledgements) => outbox.acknowledge(acknowledgements),
    networks: () =>
      registrations.pns().flatMap(({ pnId }) => {
        const pn = registrations.pn(pnId);
        return pn ? [pn] : [];
      }),
    forgetBackoff: () => {
      throw new Error('time does not pass in a real store');
    },
    get backsOff() {
      const { gatewayId } = scene.gateway.facts;
      return scene.pnes.some(({ facts }) => registrations.backoffUntil(gatewayId, facts.thumbprint) > 0);
    },
  };
  return { disk, close: () => store.close() };
}
