"""A real IMAP server for thorough tests: Dovecot, where this machine has it and lets us start it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.eventually import eventually

CONFIG = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
auth_allow_cleartext = yes
mail_driver = maildir
mail_home = {folder}/box
mail_path = {folder}/box/Maildir
first_valid_uid = 1
passdb static {{
  password = hush
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/box
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


@pytest.fixture
def dovecot() -> Iterator[int]:
    """The port of a Dovecot with the user `desk`, whose password is `hush`."""
    program = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("this machine has no Dovecot that we may start")
    import pwd

    user = pwd.getpwnam("mail")
    folder = Path(tempfile.mkdtemp(prefix="desk-dovecot-"))
    folder.chmod(0o755)
    (folder / "box").mkdir()
    os.chown(folder / "box", user.pw_uid, user.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    config = folder / "dovecot.conf"
    config.write_text(CONFIG.format(folder=folder, uid=user.pw_uid, gid=user.pw_gid, port=port), encoding="utf-8")
    server = subprocess.Popen([program, "-F", "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def answers() -> bool:
        assert server.poll() is None, (folder / "log").read_text(encoding="utf-8") if (folder / "log").exists() else server.stdout.read()  # type: ignore[union-attr]
        with socket.socket() as one:
            one.settimeout(1.0)
            return one.connect_ex(("127.0.0.1", port)) == 0 and one.recv(10).startswith(b"* OK")

    eventually(answers, 20.0)
    yield port
    server.terminate()
    server.wait(20)
    assert server.stdout is not None
    server.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)
