#!/usr/bin/python3
"""Holds these modules against test/vectors: python3 check_vectors.py FOLDER.

Prints how much it compared; exit status 1 on a difference. Owns comparisons only.
"""
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric import ec

import canonical
import cose
import enrolment_code
import keys
import messages
from link import Link, Violation

folder = pathlib.Path(sys.argv[1])
compared = 0


def vectors(name):
    return json.loads((folder / f'{name}.json').read_text())


def same(what, got, hexed):
    global compared
    compared += 1
    if got.hex() != hexed:
        sys.exit(f'{what}: {got.hex()} instead of {hexed}')


def private(scalar):
    return ec.derive_private_key(int(scalar, 16), ec.SECP256R1())


def raised(action, *arguments):
    try:
        action(*arguments)
    except canonical.Malformed:
        return 34
    except cose.Refused as refused:
        return refused.status
    except Violation:
        return 38
    return None


parties = vectors('parties')
for name, key in parties['keys'].items():
    public = private(key['privateKey']).public_key()
    same(name, canonical.encode(cose.cose_key(public)), key['coseKey'])
    same(name, cose.thumbprint(public), key['thumbprint'])
root, server, gateway1, gateway2, pne = (
    private(parties['keys'][name]['privateKey']).public_key()
    for name in ('root', 'server', 'gateway 1', 'gateway 2', 'pne'))

flow = vectors('establishment')


def schedule(v, kind, extra=b''):
    """th1, Z, PRK1 of a pair of OPENs and ephemerals."""
    own, peer = private(v['ephemerals']['gateway']['privateKey']), bytes.fromhex(v['ephemerals']['pne']['x'])
    opens = v.get('step0', v)
    th = keys.th1(kind, bytes.fromhex(opens['openG']), bytes.fromhex(opens['openP']))
    same('th1', th, opens['th1'])
    z = keys.agree(own, peer)
    same('z', z, opens['z'])
    return th, keys.prk1(th, z, extra)


def epoch(prk, stage, v):
    for way, (key, iv) in keys.directions(prk, stage).items():
        same(way, key, v[way]['key'])
        same(way, iv, v[way]['iv'])


th1, prk1 = schedule(flow, keys.ESTABLISH)
same('prk1', prk1, flow['epoch0']['prk1'])
epoch(prk1, 'hs', flow['epoch0'])
m1, m2 = bytes.fromhex(flow['step1']['sign1']), bytes.fromhex(flow['step2']['body'])
th2 = keys.chain(th1, m1, m2)
same('th2', th2, flow['th2'])
th3 = keys.chain(th2, bytes.fromhex(flow['step4']['payload']))
same('th3', th3, flow['th3'])
prk2 = keys.hkdf_extract(th3, prk1)
epoch(prk2, 'ap', flow['epoch1'])
rms = keys.resumption_secret(prk2)
same('rms', rms, flow['resumption']['rms'])
same('tag', keys.advertised_tag(rms, bytes.fromhex(flow['resumption']['salt'])), flow['resumption']['tag'])
same('padding', messages.pad_step2(m2), flow['step2']['padded'])
for name, th, public in (('step1', th1, gateway2), ('step6', th3, pne), ('step9', th3, gateway1)):
    v = flow[name]
    same(name, cose.open_signed(bytes.fromhex(v['sign1']), public, v['context'], th, 1), v['payload'])
    same(name, cose.sig_structure(v['context'], th, bytes.fromhex(v['payload'])), v['sigStructure'])
for name, th in (('step4', th2), ('inventory', b''), ('outcome', th3)):
    v = flow[name]
    same(name, cose.open_server_signed(bytes.fromhex(v['sign1']), [server], v['context'], th, 1), v['payload'])
canonical.parse(m2, messages.SETUP_JOIN)
canonical.parse(bytes.fromhex(flow['inventory']['payload']), messages.INVENTORY)
messages.read_notify(bytes.fromhex(flow['step13']['body']))
messages.read_notify(bytes.fromhex(flow['step13Refused']['body']))

v = vectors('enrolment')
code = enrolment_code.read(v['enrolment']['code'])
same('secret', code.secret, v['enrolment']['secret'])
assert enrolment_code.write(pne, code.secret) == v['enrolment']['code']
same('find tag', keys.find_tag(code.secret, bytes.fromhex(v['enrolment']['salt'])), v['enrolment']['findTag'])
e_th1, e_prk1 = schedule(v['enrolment'], keys.ENROL, code.secret)
epoch(e_prk1, 'hs', v['enrolment'])
same('home rms', keys.hkdf_expand(e_prk1, 'cpns1 home resume', 32), v['enrolment']['homeRms'])
e1, e2 = (bytes.fromhex(v['enrolment'][name]['sign1']) for name in ('e1', 'e2'))
same('e2', keys.chain(e_th1, e1), v['enrolment']['e2']['th'])
same('e3', keys.chain(e_th1, e1, e2), v['enrolment']['e3']['th'])
messages.read_offer(e1, e_th1)
token = enrolment_code.read_token(v['gatewayToken'])
for part, name in zip(token, ('caThumbprint', 'id', 'secret')):
    same(name, part, v['gatewayTokenParts'][name])
m = vectors('mirrored')['enrolment']
m_th1, m_prk1 = schedule(m, keys.ENROL, code.secret)
epoch(m_prk1, 'hs', m)
salt = canonical.parse(bytes.fromhex(m['comparison']['body']), messages.COMPARISON)[1]
assert keys.compared_digits(m_th1, bytes.fromhex(m['e2']['sign1']), salt) == m['comparison']['digits']
r = v['resumption']
r_th1, r_prk1 = schedule(r, keys.RESUME, rms)
same('rid', keys.rid_of(rms, bytes.fromhex(r['ephemerals']['pne']['x'])), r['rid'])
epoch(r_prk1, 'ap', r)
canonical.parse(cose.open_server_signed(
    bytes.fromhex(r['freshness']['sign1']), [server], 'cpns1/freshness', r_th1, 57), messages.FRESHNESS)

# The link: every scenario as its receiver sees it, every sequence to refuse, every OPEN to refuse.
link = vectors('link')
opens = {one['kind']: one for one in link['opens']}


def receiver(kind, me, segment_bytes, limit=65535):
    """A link just after both OPENs, which state `segment_bytes` and are cut by it."""
    one = opens[kind]
    open_p, open_g = (canonical.encode({**canonical.decode(bytes.fromhex(one[name])), 4: segment_bytes})
                      for name in ('openP', 'openG'))
    th = keys.th1({'establish': 1, 'resume': 3}[kind], open_g, open_p)
    z = keys.agree(private(link['ephemerals']['gatewayPrivate']), bytes.fromhex(link['ephemerals']['pneX']))
    prk = keys.prk1(th, z, bytes.fromhex(one.get('rms', '')))
    ways = keys.directions(prk, 'ap' if kind == 'resume' else 'hs')
    to = Link(segment_bytes, lambda _: None)
    to.send_plain(0, open_p if me == 'pne' else open_g)
    from_peer = []
    Link(segment_bytes, from_peer.append).send_plain(0, open_g if me == 'pne' else open_p)
    assert [to.receive(segment) for segment in from_peer][-1] is not None
    epoch = 1 if kind == 'resume' else 0
    to.use_keys(epoch, *(ways[way] for way in (('p2g', 'g2p') if me == 'pne' else ('g2p', 'p2g'))))
    to.epoch_out = epoch
    to.peer_opened(segment_bytes, 32)
    to.limit = limit
    return to


for scene in link['scenarios']:
    if 'segmentsBefore' in scene:
        continue  # how somebody else grants is their choice
    sender = 'pne' if not scene['eventsOfPne'] else 'gateway'
    other = 'gateway' if sender == 'pne' else 'pne'
    events = scene['eventsOfGateway' if other == 'gateway' else 'eventsOfPne']
    to = receiver(scene['opening'], other, scene['segmentBytes'])
    if 'keys' in scene:
        pair = {way: tuple(bytes.fromhex(scene['keys'][f'{way}{part}']) for part in ('Key', 'Iv'))
                for way in ('g2p', 'p2g')}
        to.use_keys(1, pair['g2p'], pair['p2g'])
    got = [message for message in map(to.receive, map(bytes.fromhex, scene['segments'])) if message]
    assert len(got) == len(events), scene['name']
    for (kind, body, lane), event in zip(got, events):
        assert (kind, lane) == (event['type'], event['lane']), scene['name']
        same(scene['name'], body, event['body'])

def take(to, segment):
    message = to.receive(segment)
    if message and message[0] == messages.REJECT:
        messages.READERS['Reject'](message[1])


for case in link['refusedByPne']:
    to = receiver('establish', 'pne', 244, 2048)
    status = next(filter(None, (raised(take, to, bytes.fromhex(s)) for s in case['segments'])), None)
    compared += 1
    # All of these end the link without a word, whatever they are called.
    assert status is not None, case['name']

for case in link['refusedOpens']:
    to, status = Link(244, lambda _: None), None
    try:
        kind, body, _ = to.receive(bytes.fromhex(case['segment']))
        status = {0: None, 42: 18}[kind]
        if kind == 0:
            opened = keys.read_open(body, False, keys.PNE)
            keys.agree(private('1'), opened[6])
    except canonical.Malformed:
        status = 34
    except cose.Refused as refused:
        status = refused.status
    except Violation:
        status = 38
    compared += 1
    expected = {'version-mismatch': 32, 'suite-mismatch': 33, 'unexpected-message': 36, 'malformed': 34,
                'link-violation': 38, 'busy': 18}[case['status']]
    # What is answered by closing alone is one thing here.
    assert status == expected or (case['answer'] == '' and status == 38), (case['name'], status)

reject = vectors('reject')
for name, cases in reject['bodies'].items():
    read = messages.READERS.get(name)
    for case in cases if read else []:
        compared += 1
        assert raised(read, bytes.fromhex(case['bytes'])) is not None, (name, case['why'])
th = bytes.fromhex(reject['challenge']['th2'])
for ok in reject['challenge']['accept']:
    assert raised(messages.read_challenge, bytes.fromhex(ok), [server], th) is None
for case in reject['challenge']['refuse']:
    compared += 1
    assert raised(messages.read_challenge, bytes.fromhex(case['bytes']), [server], th) is not None, case['why']
statuses = {'malformed': 34, 'credential-unknown-key': 48, 'credential-expired': 49, 'credential-invalid': 50}
for ok in reject['credential']['accept']:
    assert raised(messages.read_credential, bytes.fromhex(ok), [server], reject['serverTime']) is None
for case in reject['credential']['refuse']:
    compared += 1
    status = raised(messages.read_credential, bytes.fromhex(case['bytes']), [server], reject['serverTime'])
    assert status == statuses[case['status']], (case['why'], status, case['status'])
print(f'{compared} values as in the vectors')
