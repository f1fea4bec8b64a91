"""A certificate that is watched: read once, looked at often, and nothing that changes goes unseen; nor does a clock that is set back."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.gateway.test_certificate import DAY, NOW, SUBJECT, folder, given, own_home, paper  # noqa: F401

from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, certificate_status, revocation
from smidgen.gateway.certificate_status import CertificateState, CertificateWatch, check_certificate
from smidgen.store import files

MINUTE = timedelta(minutes=1)


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW + MINUTE

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once: the tests write them just before they look."""
    monkeypatch.setattr(certificate_status, "_SETTLED_NS", 0)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The certificates that are read from now on."""
    seen: list[Path] = []
    read = papers.read

    def noted(file: Path) -> papers.Certificate:
        seen.append(file)
        return read(file)

    monkeypatch.setattr(papers, "read", noted)
    return seen


def test_it_is_read_once_and_then_known(folder: Path, time: Time, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    signed = given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch.known() is None and watch().certificate == signed
    seen = reads(monkeypatch)
    for _ in range(50):
        found = watch.known()
        assert found is not None and found.valid and found.certificate == signed
    assert watch().valid and seen == []


def test_what_was_changed_a_moment_ago_is_read_anew(folder: Path, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """It could be changed again within the same tick of the disk's clock, and look the same."""
    given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch().valid and watch.known() is None
    seen = reads(monkeypatch)
    assert watch().valid and len(seen) == 2


def _revoke_beside(folder: Path, home: Path) -> None:  # noqa: F811
    revocation.revoke(folder, paper().id, "drift", NOW)
    (home / "revocations" / f"{paper().id}.json").unlink()


def _revoke_at_home(folder: Path, home: Path) -> None:  # noqa: F811
    revocation.revoke(folder, paper().id, "drift", NOW)
    revocation.place(folder).unlink()


def _dangling_record(folder: Path, home: Path) -> None:  # noqa: F811
    revocation.place(folder).symlink_to(folder / "nowhere")


def _audited_to_the_end(folder: Path, home: Path) -> None:  # noqa: F811
    """As where the revocation could not be written."""
    for _ in range(20):
        certificate_audit.observe(folder, paper(), 1.0)
    for file in (revocation.place(folder), *(home / "revocations").iterdir()):
        file.unlink()


def _audits_damaged(folder: Path, home: Path) -> None:  # noqa: F811
    file = certificate_audit.audit_file(paper().id)
    file.parent.mkdir()
    file.write_bytes(b"[]")


def _edited(folder: Path, home: Path) -> None:  # noqa: F811
    file = papers.place(folder)
    facts = file.stat()
    file.write_text(file.read_text(encoding="utf-8").replace('"alpha": 0.05', '"alpha": 0.06'), encoding="utf-8")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # same size, same time, same file


def _removed(folder: Path, home: Path) -> None:  # noqa: F811
    papers.place(folder).unlink()


def _another_bundles(folder: Path, home: Path) -> None:  # noqa: F811
    given(folder, bundle=SUBJECT.model_copy(update={"sha256": "e" * 64}))


def _key_lost(folder: Path, home: Path) -> None:  # noqa: F811
    (home / "keys" / "certificate.pem").unlink()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (_revoke_beside, CertificateState.REVOKED),
        (_revoke_at_home, CertificateState.REVOKED),
        (_dangling_record, CertificateState.REVOKED),
        (_audited_to_the_end, CertificateState.REVOKED),
        (_audits_damaged, CertificateState.REVOKED),
        (_edited, CertificateState.UNSIGNED),
        (_removed, CertificateState.NONE),
        (_another_bundles, CertificateState.BUNDLE),
        (_key_lost, CertificateState.UNSIGNED),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_change_is_seen_at_the_next_look(
    folder: Path,  # noqa: F811
    own_home: Path,  # noqa: F811
    time: Time,
    settled: None,
    change: Callable[[Path, Path], None],
    state: CertificateState,
) -> None:
    given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch().valid and watch.known() is not None
    change(folder, own_home)
    assert watch.known() is None
    assert watch().state is state


def test_a_bundle_that_was_rebuilt_in_its_place_has_no_certificate_until_it_is_opened(folder: Path, time: Time, settled: None) -> None:  # noqa: F811
    """The certificate is still of the one before; but whatever reads its files once more reads others."""
    given(folder)
    manifest = folder / "manifest.json"
    manifest.write_bytes(b"{}")
    watch = CertificateWatch(folder, SUBJECT, time, manifest=manifest.name)
    assert watch().valid and watch.known() is not None
    os.utime(manifest, ns=(1, 1))
    assert watch.known() is None and watch().valid and watch.known() is not None  # the same content
    manifest.write_bytes(b"[]")
    os.utime(manifest, ns=(1, 1))
    assert watch.known() is None
    assert (watch().state, "restart" in watch().why) == (CertificateState.BUNDLE, True)
    manifest.unlink()
    assert watch().state is CertificateState.BUNDLE
    manifest.write_bytes(b"{}")
    assert watch().valid and CertificateWatch(folder, SUBJECT, time, manifest=manifest.name)().valid


def test_an_audit_that_does_not_revoke_is_read_alone(
    folder: Path,  # noqa: F811
    time: Time,
    settled: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed = given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch().valid
    seen = reads(monkeypatch)
    for _ in range(3):
        assert not certificate_audit.observe(folder, signed, 0.0)
        assert watch.known() is None and watch().valid and watch.known() is not None
    assert seen == []


def test_a_certificate_that_comes_later_is_seen_too(folder: Path, time: Time, settled: None) -> None:  # noqa: F811
    watch = CertificateWatch(folder, SUBJECT, time)
    none = watch()
    assert none.state is CertificateState.NONE and watch.known() == none
    given(folder)
    assert watch.known() is None and watch().valid


def test_a_stranger_that_is_trusted_no_longer_counts_no_longer(
    folder: Path,  # noqa: F811
    own_home: Path,  # noqa: F811
    time: Time,
    settled: None,
) -> None:
    stranger = Ed25519PrivateKey.generate()
    named = paper(key=papers.public_key(stranger))
    papers.write(named.model_copy(update={"signature": papers.sign(stranger, named.content)}), folder)
    (own_home / "keys" / "trusted").mkdir(parents=True)
    pub = own_home / "keys" / "trusted" / "stranger.pub"
    pub.write_bytes(stranger.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch().valid and watch.known() is not None
    pub.unlink()
    assert watch.known() is None and watch().state is CertificateState.UNSIGNED


def test_what_does_not_hold_is_not_remembered(folder: Path, time: Time, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A disk that did not answer once would leave it so for ever: nothing about the files would be different."""
    given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    with monkeypatch.context() as patch:
        patch.setattr(papers, "trusted_keys", frozenset)
        assert watch().state is CertificateState.UNSIGNED and watch.known() is None
    assert watch().valid


def test_the_time_is_looked_at_on_every_call(folder: Path, time: Time, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch().valid
    seen = reads(monkeypatch)
    time.now = NOW + 90 * DAY
    assert (watch().state, seen) == (CertificateState.EXPIRED, [])


def test_a_clock_that_is_set_back_revives_nothing(folder: Path, time: Time, settled: None) -> None:  # noqa: F811
    signed = given(folder)
    end = signed.valid_until
    watch = CertificateWatch(folder, SUBJECT, time)
    time.now = end - 10 * MINUTE
    assert watch().valid
    time.now = end + MINUTE
    assert watch().state is CertificateState.EXPIRED
    time.now = end - 2 * MINUTE  # within what time servers do
    assert watch().state is CertificateState.EXPIRED and CertificateWatch(folder, SUBJECT, time)().state is CertificateState.EXPIRED
    time.now = end - 30 * DAY
    later = CertificateWatch(folder, SUBJECT, time)()  # as after a restart
    assert (watch().state, later.state) == (CertificateState.SET_BACK, CertificateState.SET_BACK)
    assert "certify again" in later.why and check_certificate(folder, SUBJECT, time.now).state is CertificateState.SET_BACK
    given(folder, id="0" * 31 + "2", valid_until=end - DAY)
    assert CertificateWatch(folder, SUBJECT, time)().valid  # a new certificate begins anew


def test_a_clock_that_is_set_back_while_it_runs_escalates_until_it_is_right(folder: Path, time: Time, settled: None) -> None:  # noqa: F811
    given(folder)
    watch = CertificateWatch(folder, SUBJECT, time)
    states = []
    for now in (NOW + DAY, NOW + DAY - 4 * MINUTE, NOW + DAY - 6 * MINUTE, NOW + DAY + MINUTE):
        time.now = now
        states.append((watch.known() or watch()).state)
    assert states == [CertificateState.VALID, CertificateState.VALID, CertificateState.SET_BACK, CertificateState.VALID]


def test_the_time_is_written_down_once_a_minute(folder: Path, time: Time, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    signed = given(folder)
    written: list[Path] = []
    write = files.write

    def noted(file: Path, content: bytes, mode: int = 0o644) -> None:
        written.append(file)
        write(file, content, mode)

    monkeypatch.setattr(files, "write", noted)
    watch = CertificateWatch(folder, SUBJECT, time)
    for second in range(0, 150):
        time.now = NOW + timedelta(seconds=second)
        assert (watch.known() or watch()).valid
    assert written == [certificate_status.clock_file(signed.id)] * 3
    assert certificate_status.latest_time(signed.id) == NOW + timedelta(seconds=120)


def test_a_home_that_cannot_be_written_is_no_reason_to_stop(
    folder: Path,  # noqa: F811
    time: Time,
    settled: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(folder)

    def full(file: Path, content: bytes, mode: int = 0o644) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files, "write", full)
    watch = CertificateWatch(folder, SUBJECT, time)
    assert watch().valid
    time.now = NOW - DAY
    assert watch().state is CertificateState.SET_BACK  # the process itself remembers


@pytest.mark.parametrize("content", [b"", b"[]", b'{"seen": "x"}', b'{"seen": 1e400}', b"\xff", b" " * 2000, b'{"seen": true}'])
def test_a_time_that_cannot_be_read_escalates(folder: Path, own_home: Path, time: Time, content: bytes) -> None:  # noqa: F811
    signed = given(folder)
    certificate_status.clock_file(signed.id).parent.mkdir(parents=True)
    certificate_status.clock_file(signed.id).write_bytes(content)
    for found in (CertificateWatch(folder, SUBJECT, time)(), check_certificate(folder, SUBJECT, time.now)):
        assert found.state is CertificateState.SET_BACK and "cannot be read" in found.why


def test_answers_without_an_audit_make_it_stale_also_over_a_restart(folder: Path, time: Time, settled: None) -> None:  # noqa: F811
    signed = given(folder, audit_days=7)
    watch = CertificateWatch(folder, SUBJECT, time)
    for _ in range(520):
        assert watch().valid
        watch.answered(signed)
    time.now += MINUTE
    assert watch.known() is None, "they are to be written down"
    assert watch().valid and certificate_audit.read_state(signed).silence.answers == 520
    time.now += 8 * DAY
    for looked in (watch, CertificateWatch(folder, SUBJECT, time)):
        assert looked().state is CertificateState.UNAUDITED
    certificate_audit.observe(folder, signed, 0.0, now=time.now)
    assert watch().valid and certificate_audit.read_state(signed).silence.answers == 0


def test_answers_are_counted_where_the_home_cannot_be_written(
    folder: Path,  # noqa: F811
    time: Time,
    settled: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed = given(folder, audit_days=7)

    def full(*given: object, **more: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(certificate_audit, "note_answers", full)
    watch = CertificateWatch(folder, SUBJECT, time)
    for _ in range(520):
        assert watch().valid
        watch.answered(signed)
    time.now += 8 * DAY
    watch()
    assert watch().state is CertificateState.UNAUDITED
