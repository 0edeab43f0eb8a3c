"""The server's HTTPS side as a gateway uses it (docs/protocol.md §7.3, §9): enrolment, requests, the channel.

Owns TLS, HTTP and WebSocket. What a body means is gateway.py's.
"""
import base64
import http.client
import os
import socket
import ssl
import struct
import tempfile
import threading
import time
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

import enrolment_code
from canonical import decode, encode
from cose import thumbprint

BASE = '/cpns/v1'
TIMEOUT_S = 30


class Problem(Exception):
    """An answer that is no success: HTTP status and the protocol's status (§11)."""

    def __init__(self, http_status, body):
        self.http_status = http_status
        try:
            self.status = decode(body)['tag:cpns-ble,2026:status'][1]
        except Exception:
            self.status = 97
        super().__init__(f'HTTP {http_status}, status {self.status}')


def _tls13(purpose_check):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if not purpose_check:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _pinned_ca(host, port, thumbprint_start):
    """The CA certificate in the chain that the server sends, when its key is the one that the token names."""
    tcp = socket.create_connection((host, port), TIMEOUT_S)
    with _tls13(False).wrap_socket(tcp, server_hostname=host) as tls:
        # Public from Python 3.13 on.
        chain = getattr(tls, 'get_unverified_chain', None) or tls._sslobj.get_unverified_chain
        certificates = [
            x509.load_der_x509_certificate(
                one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()))
            for one in chain()]
    ca = certificates[-1]
    if ca.issuer != ca.subject or thumbprint(ca.public_key())[:16] != thumbprint_start:
        raise ConnectionError('this server is not the one of the token')
    return ca.public_bytes(serialization.Encoding.PEM).decode()


def _certification_request(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'gateway')])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def enrol(url, token_text, key):
    """With a one-time token. @returns the GatewayEnrolment and the CA certificate"""
    token = enrolment_code.read_token(token_text)
    where = urlsplit(url)
    ca = _pinned_ca(where.hostname, where.port, token.ca_thumbprint_start)
    context = _tls13(True)
    context.load_verify_locations(cadata=ca)
    body = encode({1: token.id, 2: token.secret, 3: _certification_request(key)})
    return decode(_exchange(url, context, 'POST', 'gateways', body)), ca


def _exchange(url, context, method, path, body):
    where = urlsplit(url)
    connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=TIMEOUT_S, context=context)
    try:
        headers = {'content-type': 'application/cbor'} if body is not None else {}
        connection.request(method, f'{BASE}/{path}', body, headers)
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise Problem(answer.status, data)
    return data


class Server:
    """As an enrolled gateway."""

    def __init__(self, url, key, certificates, ca):
        """@param certificates DER, the gateway's own first @param ca PEM"""
        self._url = url
        self._context = _tls13(True)
        self._context.load_verify_locations(cadata=ca)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        with tempfile.NamedTemporaryFile('w') as file:  # of mode 0600; ssl wants a file
            file.write(pem + ''.join(ssl.DER_cert_to_PEM_cert(one) for one in certificates))
            file.flush()
            self._context.load_cert_chain(file.name)

    def request(self, method, path, value=None):
        """@raises Problem, OSError"""
        return decode(_exchange(self._url, self._context, method, path, None if value is None else encode(value)))

    def channel(self, on_frame):
        """Dials, and dials again, for ever. Each frame goes to on_frame in a thread; what that returns goes back."""
        def run():
            while True:
                try:
                    _WebSocket(self._url, self._context).serve(on_frame)
                except (OSError, ConnectionError):
                    pass
                time.sleep(1)

        threading.Thread(target=run, daemon=True).start()


class _WebSocket:
    """RFC 6455, as much as the channel needs."""

    CONTINUATION, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10

    def __init__(self, url, context):
        where = urlsplit(url)
        tcp = socket.create_connection((where.hostname, where.port), 60)
        self._tls = context.wrap_socket(tcp, server_hostname=where.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        self._tls.sendall((
            f'GET {BASE}/channel HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
            f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: cpns1\r\n\r\n').encode())
        self._in = self._tls.makefile('rb')
        status = self._in.readline()
        while self._in.readline().strip():
            pass
        if b' 101 ' not in status:
            raise ConnectionError(status.decode('latin-1').strip())

    def serve(self, on_frame):
        message = b''
        while True:
            final, opcode, data = self._frame()
            if opcode == self.PING:
                self._send(self.PONG, data)
            elif opcode == self.CLOSE:
                self._send(self.CLOSE, data[:2])
                raise ConnectionError('closed')
            elif opcode in (self.BINARY, self.CONTINUATION):
                message += data
                if final:
                    answer, message = on_frame(decode(message)), b''
                    if answer is not None:
                        self._send(self.BINARY, encode(answer))

    def _frame(self):
        first, length = self._exactly(2)
        if length == 126:
            length, = struct.unpack('>H', self._exactly(2))
        elif length == 127:
            length, = struct.unpack('>Q', self._exactly(8))
        if length > 65536:
            raise ConnectionError('a frame too long')
        return first & 0x80, first & 0x0F, self._exactly(length)

    def _exactly(self, count):
        data = self._in.read(count)
        if len(data) < count:
            raise ConnectionError('ended')
        return data

    def _send(self, opcode, data):
        mask = os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + struct.pack('>H', len(data))
        self._tls.sendall(bytes([0x80 | opcode]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
