"""Connections: whose certificates are believed, and one connection for what is bound to it."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from telco_bridge.provider import ConfigError, NotSent
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.hosts import open_hosts


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        if self.path == "/closing":
            self.send_header("Connection", "close")
        self.end_headers()

    def do_GET(self):
        self.do_POST()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A server with a certificate of nobody's, its address, and the file that makes it believed."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - dt.timedelta(days=1), now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted, whole = folder / "ca.pem", folder / "server.pem"
    trusted.write_bytes(certificate.public_bytes(Encoding.PEM))
    whole.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(whole)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", trusted, certificate.public_bytes(Encoding.DER)
    server.shutdown()
    serving.join()
    server.server_close()


def settings(url, **more):
    return UcwaConfig(application_url=f"{url}/a", username="ada", password="s3cret", **more)


async def test_an_authority_of_the_organizations_own_is_believed_once_it_is_named(secure):
    url, trusted, _ = secure

    async with open_hosts(settings(url)) as hosts:
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            await hosts.ask(httpx.URL(f"{url}/"))
    async with open_hosts(settings(url, ca_file=trusted)) as hosts:
        assert (await hosts.ask(httpx.URL(f"{url}/"))).status_code == 204


async def test_what_is_bound_to_a_connection_has_one_of_its_own_and_its_certificate(secure):
    url, trusted, certificate = secure

    async with open_hosts(settings(url, ca_file=trusted)) as hosts, hosts.alone(httpx.URL(url)) as connection:
        for _ in range(3):
            await connection.send(httpx.Request("POST", f"{url}/x", content=b"1"))
        assert (connection.certificate, connection.changed) == (certificate, False)

        await connection.send(httpx.Request("POST", f"{url}/closing"))
        await connection.send(httpx.Request("POST", f"{url}/x"))
        assert connection.changed


async def test_a_file_without_certificates_is_said_to_be_one(tmp_path):
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")

    with pytest.raises(ConfigError, match=r"ca\.pem holds no certificates"):
        async with open_hosts(settings("https://pool.example.org", ca_file=empty)):
            pass
