"""A connection to an upstream is encrypted, and only to whoever has a trusted certificate of the name that is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smidgen.server.gateway.transport import DirectTransport


def test_a_certificate_is_trusted_where_the_environment_says_so_and_for_its_own_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(url: str, trust_env: bool) -> bytes:
        straight = DirectTransport(httpx.Limits(max_connections=2), trust_env=trust_env)
        said = b""
        try:
            for _ in range(2):
                response = await straight.handle_async_request(httpx.Request("POST", url, content=b"{}"))
                said += await response.aread()
                await response.aclose()
            return said
        finally:
            await straight.aclose()

    paper = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(paper))
    with _secret(paper) as port:
        assert asyncio.run(ask(f"https://localhost:{port}/", True)) == b"safesafe"
        for url, trust_env in ((f"https://localhost:{port}/", False), (f"https://127.0.0.1:{port}/", True)):
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                asyncio.run(ask(url, trust_env))


@contextlib.contextmanager
def _secret(paper: Path) -> Iterator[int]:
    """The port of a server that speaks TLS with this certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"safe")

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paper, paper.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> Path:
    """A certificate of `localhost`, which signs itself; its key lies beside it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    paper = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    (folder / "paper.pem").write_bytes(paper.public_bytes(serialization.Encoding.PEM))
    return folder / "paper.pem"
