"""Real mail servers for thorough tests: Dovecot and Postfix, where this machine has them and lets us start them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.eventually import eventually

CONFIG = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_server_cert_file = {certificate}
ssl_server_key_file = {certificate}
auth_allow_cleartext = yes
mail_driver = maildir
mail_home = {folder}/box/%{{user}}
mail_path = {folder}/box/%{{user}}/Maildir
first_valid_uid = 1
passdb static {{
  password = hush
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/box/%{{user}}
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
"""


POSTFIX = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mail.shop.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
broken_sasl_auth_clients = yes
virtual_mailbox_domains = shop.example, example.org
virtual_mailbox_base = {folder}/box
virtual_mailbox_maps = inline:{{ {{help@shop.example=desk/Maildir/}}, {{ann@example.org=ann/Maildir/}} }}
virtual_alias_maps = inline:{{ {{circle@example.org=help@shop.example}}, {{late@example.org=ghost@gone.example}} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
relay_domains = gone.example
transport_maps = inline:{{ {{gone.example=error:5.1.1 nobody of this name}} }}
default_transport = error:this test sends nothing away
"""
SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True)
class MailServer:
    """A running Dovecot. Each name is a user, with the password `hush`."""

    folder: Path
    port: int
    tls_port: int


@pytest.fixture(scope="package")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost` that it has signed itself, and its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[MailServer]:
    program = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("this machine has no Dovecot that we may start")
    import pwd

    user, port, tls_port = pwd.getpwnam("mail"), free_port(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="desk-mail-"))
    folder.chmod(0o755)
    (folder / "box").mkdir()
    os.chown(folder / "box", user.pw_uid, user.pw_gid)
    config = folder / "dovecot.conf"
    config.write_text(
        CONFIG.format(folder=folder, uid=user.pw_uid, gid=user.pw_gid, port=port, tls_port=tls_port, certificate=certificate),
        encoding="utf-8",
    )
    server = subprocess.Popen([program, "-F", "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def answers() -> bool:
        assert server.poll() is None, (folder / "log").read_text(encoding="utf-8") if (folder / "log").exists() else server.stdout.read()  # type: ignore[union-attr]
        return says(port, b"* OK")

    eventually(answers, 20.0)
    yield MailServer(folder, port, tls_port)
    server.terminate()
    server.wait(20)
    assert server.stdout is not None
    server.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def dovecot(mail_server: MailServer) -> int:
    """The port of a Dovecot with the user `desk`, whose password is `hush`."""
    return mail_server.port


@pytest.fixture
def postfix(mail_server: MailServer) -> Iterator[int]:
    """The port of a Postfix that delivers to Dovecot's mailboxes of help@shop.example (user `desk`) and ann@example.org (user `ann`).

    circle@example.org leads back to the desk; mail to late@example.org is taken at first, and bounces.
    """
    program = shutil.which("postfix") or shutil.which("postfix", path="/usr/sbin")
    if program is None:
        pytest.skip("this machine has no Postfix")
    import pwd

    user, port, folder = pwd.getpwnam("mail"), free_port(), mail_server.folder
    own = folder / "postfix"
    for made in (own, folder / "queue", folder / "data"):
        made.mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, 0)
    (own / "main.cf").write_text(POSTFIX.format(folder=folder, uid=user.pw_uid, gid=user.pw_gid), encoding="utf-8")
    (own / "master.cf").write_text(SERVICES.format(port=port), encoding="utf-8")
    started = subprocess.run([program, "-c", str(own), "start"], capture_output=True, text=True, timeout=60)
    assert started.returncode == 0, started.stderr
    try:
        eventually(lambda: says(port, b"220"), 20.0)
        yield port
    finally:
        subprocess.run([program, "-c", str(own), "stop"], capture_output=True, timeout=60)


def says(port: int, words: bytes) -> bool:
    """Whether a server greets with these words."""
    with socket.socket() as one:
        one.settimeout(2.0)
        return one.connect_ex(("127.0.0.1", port)) == 0 and one.recv(10).startswith(words)
