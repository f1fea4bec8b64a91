"""New champions under load, over real HTTP: no request fails, none is answered by two models, and what cannot be opened is refused."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import commands
from tests.certified_bundle import LABELS, text
from tests.eventually import eventually
from tests.line_versions import add, id_of, line_of, version
from tests.server.conftest import WordModel, running
from tests.server.gateway.test_certified import certify
from tests.upstream_stub import UpstreamStub

from smidgen.core.errors import BundleError, EngineError
from smidgen.flows import local_model
from smidgen.flows.learn.promotion import roll_back
from smidgen.flows.local_model import Model, load
from smidgen.machine import memory
from smidgen.server import champion_reload
from smidgen.server.gateway import certificates
from smidgen.server.models import ModelQueues
from smidgen.server.service import Service
from smidgen.store.line import Line

TURNS = 20
_PATIENCE = 30.0


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(champion_reload, "EVERY_SECONDS", 0.01)


def serving(client: httpx.Client, name: str = "support") -> str:
    """The id of the bundle that has a name now."""
    found: str = client.get(f"/v1/models/{name}").json()["smidgen"]["bundle"]
    return found


def metric(client: httpx.Client, line: str) -> float:
    found = [said for said in client.get("/metrics").text.splitlines() if said.startswith(line)]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0.0


def test_twenty_promotions_under_load_fail_no_request_and_mix_no_answer(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    right = {ids[0]: LABELS[0], ids[1]: LABELS[1]}  # what each answers to a text with word 0
    stop, faults, seen = threading.Event(), [], []

    def ask(client: httpx.Client, number: int) -> None:
        while not stop.is_set():
            if number % 2:
                found = client.post("/v1/classify", json={"model": "support", "input": [text(0, 1)] * 3})
                facts = found.json() if found.status_code == 200 else {}
                said, id = {result["output"] for result in facts.get("results", ())}, facts.get("bundle", "")
            else:
                body = {"model": "support", "messages": [{"role": "user", "content": text(0, 1)}]}
                found = client.post("/v1/chat/completions", json=body)
                facts = found.json() if found.status_code == 200 else {}
                said = {choice["message"]["content"] for choice in facts.get("choices", ())}
                id = facts.get("system_fingerprint", "")
            if found.status_code != 200 or said != {right.get(id)}:
                faults.append((found.status_code, found.text[:200]))
            seen.append(id)

    model = load(line.folder, 1)
    with running(model) as server, ThreadPoolExecutor(4) as pool, httpx.Client(base_url=server.url, timeout=20) as client:
        asking = [pool.submit(ask, client, number) for number in range(4)]
        try:
            for turn in range(TURNS):
                wanted, before = ids[turn % 2], ids[1 - turn % 2]
                line.point(wanted, by="hand", why="", instead_of=before)
                eventually(lambda wanted=wanted: serving(server.client) == wanted)
        finally:
            stop.set()
        for one in asking:
            one.result(_PATIENCE)
        assert faults == []
        assert len(seen) > 2 * TURNS and set(seen) == set(ids)
        assert metric(server.client, 'smidgen_champions_total{model="support",outcome="promoted"}') == TURNS
        # The old ones are gone: of all that served, one is left, whose thread begins with its first request.
        assert server.post("/v1/classify", {"input": text(0, 1)}).json()["bundle"] == ids[1]
        eventually(lambda: sum(thread.name == "model-support" for thread in threading.enumerate()) == 1)
        shown = server.client.get("/metrics").text
        assert shown.count("smidgen_model_info{") == 1 and ids[1] in shown


def test_what_an_old_champion_held_goes_back_to_the_system_once_nothing_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    opened: list[weakref.ref[Model]] = []
    there: list[list[bool]] = []
    real = local_model.load

    def load_noted(*asked: Any) -> Model:
        model = real(*asked)
        opened.append(weakref.ref(model))
        return model

    def give() -> bool:
        there.append([one() is not None for one in opened])
        return True

    monkeypatch.setattr(local_model, "load", load_noted)
    monkeypatch.setattr(memory, "trim", give)
    with running(local_model.load(line.folder, 1)) as server:
        for turn in range(4):
            monkeypatch.setattr(champion_reload, "_LET_GO_SECONDS", _PATIENCE if turn else 0.0)  # the first is held by this test's server
            assert server.post("/v1/classify", {"input": text(0, 1)}).status_code == 200
            line.point(ids[turn % 2], by="hand", why="", instead_of=ids[1 - turn % 2])
            eventually(lambda turn=turn: len(there) == turn + 2)
    # Once at the start; of those that followed the first none but the newest is there.
    assert [held[1:] for held in there] == [[], [True], [False, True], [False, False, True], [False, False, False, True]]


def test_what_a_refused_champion_held_goes_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, _ = line_of(tmp_path / "support", 2)
    opened: list[weakref.ref[Model]] = []
    there: list[bool] = []

    def cold(model: Model) -> None:
        opened.append(weakref.ref(model))
        raise EngineError("it does not answer", value="warm", todo="Build it anew.")

    def give() -> bool:
        if opened:
            there.append(opened[-1]() is not None)
        return True

    monkeypatch.setattr(champion_reload, "warm", cold)
    monkeypatch.setattr(memory, "trim", give)
    with running(load(line.folder, 1)):
        roll_back(line.folder)
        eventually(lambda: there)
    assert there[0] is False


def test_a_request_in_flight_is_finished_by_the_model_that_began_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    old, new = WordModel(), WordModel()
    old.id, old.line = ids[0], line  # type: ignore[attr-defined]

    def named_by_the_pointer(folder: Path, threads: int) -> WordModel:
        """With any other id it would be replaced by itself, and closed, when the pointer's file is read a second time."""
        new.id = line.read().champion
        return new

    monkeypatch.setattr(champion_reload.local_model, "load", named_by_the_pointer)
    with running(old) as server, ThreadPoolExecutor(1) as pool:
        old.gate.clear()
        body = {"model": "support", "input": "shipping"}
        first = pool.submit(httpx.post, f"{server.url}/v1/classify", json=body, timeout=_PATIENCE)
        eventually(old.entered.is_set)
        added = add(line, 1, ids[0])
        eventually(lambda: serving(server.client) == added)
        assert server.post("/v1/classify", body).json()["bundle"] == added
        assert not first.done() and not hasattr(old, "closed")
        old.gate.set()
        assert first.result(_PATIENCE).json()["bundle"] == ids[0]
        eventually(lambda: hasattr(old, "closed"))
        assert not hasattr(new, "closed")


def test_a_champion_that_cannot_be_opened_is_refused_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    looks, stamp = [], champion_reload._stamp
    monkeypatch.setattr(champion_reload, "_stamp", lambda file: (looks.append(file), stamp(file))[1])
    with running(load(line.folder, 1)) as server:
        eventually(lambda: len(looks) > 1)  # the first one found the pointer as it was
        bad = install_damaged(line, ids[0])
        eventually(lambda: metric(server.client, 'smidgen_champion_refused{model="support"}') == 1)
        assert serving(server.client) == ids[0]
        assert server.post("/v1/classify", {"input": text(0, 1)}).json()["results"][0]["output"] == LABELS[0]
        assert metric(server.client, 'smidgen_champions_total{model="support",outcome="refused"}') == 1
        assert "refused" in caplog.text and "linear.safetensors" in caplog.text
        good = add(line, 3, bad)
        eventually(lambda: serving(server.client) == good)
        assert metric(server.client, 'smidgen_champion_refused{model="support"}') == 0


def test_a_line_whose_new_champion_takes_long_to_open_keeps_no_other_line_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, slow_ids = line_of(tmp_path / "slow", 2, name="slow")
    quick, quick_ids = line_of(tmp_path / "quick", 2, name="quick")
    opening, go = threading.Event(), threading.Event()

    def held(folder: Path, threads: int | None) -> Model:
        if folder == slow.folder:
            opening.set()
            assert go.wait(_PATIENCE)
        return load(folder, threads)

    monkeypatch.setattr(champion_reload.local_model, "load", held)
    with running(load(slow.folder, 1), load(quick.folder, 1)) as server:
        try:
            roll_back(slow.folder)
            eventually(opening.is_set)
            roll_back(quick.folder)
            eventually(lambda: serving(server.client, "quick") == quick_ids[0])
            assert serving(server.client, "slow") == slow_ids[1]
        finally:
            go.set()
        eventually(lambda: serving(server.client, "slow") == slow_ids[0])


def test_a_line_whose_old_champions_are_still_answering_keeps_no_other_line_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, busy_ids = line_of(tmp_path / "busy", 2, name="busy")
    free, free_ids = line_of(tmp_path / "free", 2, name="free")
    go, retire = threading.Event(), Service.retire

    async def held(service: Service, post: ModelQueues) -> None:
        while post.model.name == "busy" and not go.is_set():
            await asyncio.sleep(0.005)
        await retire(service, post)

    monkeypatch.setattr(Service, "retire", held)
    monkeypatch.setattr(champion_reload, "_MOST_RETIRING", 1)
    with running(load(busy.folder, 1), load(free.folder, 1)) as server:
        try:
            roll_back(busy.folder)
            eventually(lambda: serving(server.client, "busy") == busy_ids[0])
            busy.point(busy_ids[1], by="hand", why="", instead_of=busy_ids[0])
            roll_back(free.folder)
            eventually(lambda: serving(server.client, "free") == free_ids[0])
            assert serving(server.client, "busy") == busy_ids[0]
        finally:
            go.set()
        eventually(lambda: serving(server.client, "busy") == busy_ids[1])


def install_damaged(line: Line, before: str) -> str:
    """Promote a version, one of whose files is not the one that was packed."""
    made = version(line, 1)
    id = id_of(made)
    file = made / "linear.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    made.replace(line.version(id))
    line.point(id, by="hand", why="", instead_of=before)
    return id


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_a_pointer_that_cannot_be_read_changes_nothing_until_it_is_mended(tmp_path: Path, how: str) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    whole = line.file.read_bytes()
    with running(load(line.folder, 1)) as server:
        line.file.write_bytes(b"{") if how == "damaged" else line.file.unlink()
        eventually(lambda: metric(server.client, 'smidgen_champion_refused{model="support"}') == 1)
        assert server.post("/v1/classify", {"input": text(0, 1)}).json()["bundle"] == ids[1]
        line.file.write_bytes(whole)
        eventually(lambda: metric(server.client, 'smidgen_champion_refused{model="support"}') == 0)
        roll_back(line.folder)
        eventually(lambda: serving(server.client) == ids[0])


def test_each_version_answers_under_its_own_certificate(tmp_path: Path, upstream: UpstreamStub) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    with_one = load(line.version(ids[0]), 1)
    paper = certify(with_one)
    with_one.close()
    body = {"model": "support", "messages": [{"role": "user", "content": text(3, 1)}]}

    def who() -> tuple[str, str | None, str | None]:
        headers = server.post("/v1/chat/completions", body).headers
        return headers["x-smidgen-answered-by"], headers.get("x-smidgen-certificate"), headers.get("x-smidgen-escalated", "").split(" (")[0]

    with running(load(line.folder, 1), fallback=(upstream.url,), fallback_model=("big",)) as server:
        assert who() == ("upstream", None, "no certificate")
        roll_back(line.folder)
        eventually(lambda: metric(server.client, 'smidgen_champions_total{model="support",outcome="promoted"}') == 1)
        assert who() == ("local", paper.id, "")


def test_what_was_judged_by_one_certificate_is_answered_by_its_bundle(
    tmp_path: Path, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The champion changes after a request's certificate was looked at, and before the small model is asked."""
    line, ids = line_of(tmp_path / "support", 2)
    papers = [certify(load(line.version(id), 1), id="0" * 31 + str(number)) for number, id in enumerate(ids)]
    looked, go, real = threading.Event(), threading.Event(), certificates.status_reader

    def held(folder: Path, manifest: Any, large: Any) -> Any:
        look = real(folder, manifest, large)

        def looking() -> Any:
            standing = look()
            if manifest.id == ids[1] and not looked.is_set():  # the first look is the request's
                looked.set()
                assert go.wait(_PATIENCE)
            return standing

        return looking

    monkeypatch.setattr(certificates, "status_reader", held)
    body = {"model": "support", "messages": [{"role": "user", "content": text(0, 1)}]}
    with running(load(line.folder, 1), fallback=(upstream.url,), fallback_model=("big",)) as server, ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=body, timeout=_PATIENCE)
        assert looked.wait(_PATIENCE)
        roll_back(line.folder)
        eventually(lambda: metric(server.client, 'smidgen_champions_total{model="support",outcome="promoted"}') == 1)
        second = server.post("/v1/chat/completions", body)
        go.set()
        for found, id, paper, said in ((first.result(_PATIENCE), ids[1], papers[1], LABELS[1]), (second, ids[0], papers[0], LABELS[0])):
            assert (found.headers["x-smidgen-answered-by"], found.headers["x-smidgen-certificate"]) == ("local", paper.id)
            assert (found.json()["system_fingerprint"], found.json()["choices"][0]["message"]["content"]) == (id, said)


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
def test_the_command_serves_a_line_and_takes_up_its_new_champion(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "line", 2, name="shop")
    with commands.smidgen("serve", line.folder, "--port", "0", "--json", "--threads", "1") as process:
        ready = process.ready()
        assert ready["models"] == ["shop"]
        with httpx.Client(base_url=ready["url"], timeout=20) as client:
            assert serving(client, "shop") == ids[1]
            roll_back(line.folder)
            eventually(lambda: serving(client, "shop") == ids[0])
        assert process.stop() == 0
        assert f"shop: {ids[0]} answers from now on" in process.log and "Traceback" not in process.log


def test_a_plain_bundle_is_not_watched(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    shutil.copytree(line.version(ids[0]), tmp_path / "plain")
    with running(load(tmp_path / "plain", 1)) as server:
        assert server.post("/v1/classify", {"input": text(0, 1)}).json()["bundle"] == ids[0]
        assert "smidgen_champion_refused{" not in server.client.get("/metrics").text


def test_the_questions_of_system_one_are_those_of_the_champion_of_now(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    body = {"state": text(0, 1), "questions": {"q": {"type": "choice", "instructions": "?", "criteria": {"yes": None, "no": None}}}}
    with running(load(line.folder, 1)) as server:
        first = server.post("/v1/systemone", body).json()
        roll_back(line.folder)
        eventually(lambda: serving(server.client) == ids[0])
        second = server.post("/v1/systemone", body).json()
    assert [found["smidgen"]["q"] for found in (first, second)] == [ids[1], ids[0]]
    assert [found["answers"]["q"]["choice"] for found in (first, second)] == [LABELS[1], LABELS[0]]


def _unreadable() -> BundleError:
    """A pointer that could not be read just then."""
    error = BundleError("it cannot be read", value="line.json", todo="Mend it.")
    error.__cause__ = OSError(24, "too many open files")
    return error


@pytest.mark.parametrize(
    "error", [EngineError("its process died", value="x", todo="Try again."), MemoryError(), OSError(12, "no memory"), _unreadable()]
)
def test_a_champion_that_failed_by_chance_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    monkeypatch.setattr(champion_reload, "AGAIN_SECONDS", 0.02)
    tries = []

    def once(folder: Path, threads: int | None) -> Model:
        tries.append(folder)
        if len(tries) == 1:
            raise error
        return load(folder, threads)

    monkeypatch.setattr(champion_reload.local_model, "load", once)
    with running(load(line.folder, 1)) as server:
        roll_back(line.folder)
        eventually(lambda: serving(server.client) == ids[0])
        assert metric(server.client, 'smidgen_champion_refused{model="support"}') == 0
        assert metric(server.client, 'smidgen_champions_total{model="support",outcome="refused"}') == 1 and len(tries) == 2


def test_a_champion_that_must_not_be_opened_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    monkeypatch.setattr(champion_reload, "AGAIN_SECONDS", 0.0)
    looks, tries, stamp = [], [], champion_reload._stamp

    def looking(file: Path) -> Any:
        looks.append(file)
        return stamp(file)

    def never(folder: Path, threads: int | None) -> Model:
        tries.append(folder)
        raise BundleError("a file is altered", value="linear.safetensors", todo="Pack it anew.")

    monkeypatch.setattr(champion_reload, "_stamp", looking)
    monkeypatch.setattr(champion_reload.local_model, "load", never)
    with running(load(line.folder, 1)) as server:
        roll_back(line.folder)
        eventually(lambda: metric(server.client, 'smidgen_champion_refused{model="support"}') == 1)
        # A look that began before the pointer was written, and read it after, is followed by another.
        settled = len(looks) + 3
        eventually(lambda: len(looks) >= settled)
        tried = len(tries)
        eventually(lambda: len(looks) >= settled + 10)
        assert len(tries) == tried <= 2 and serving(server.client) == ids[1]
