"""Count the modules that five walks through the code enter: the numbers only fall.

A walk is one request, one build or one project. A module counts if one of its functions is called during the walk. Its import does not
count, nor do calls that an import makes.

The requests `chat`, `gateway` and `desk` are traced alone, after the same request has been answered before: loading and the application do
not count. The walks `row` and `studio` begin with a table and end with a bundle. Processes that they start count as well: `row` is the
command `smidgen build`, and the Studio starts one for each reading of an upload, for the first look, which follows an import, and for the
build. A build measures the machine as briefly as in all tests.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests import certified_bundle
from tests.commands import OUTGOING
from tests.conftest import quick_environment, write_csv
from tests.desk.routes.serving import Visitor
from tests.desk_project import desk_bundle
from tests.eventually import eventually
from tests.server.gateway.test_certified import CHAT, SURE, asking, certify
from tests.tried_model import LINEAR, ticket_rows
from tests.upstream_stub import upstream_stub

import smidgen
from smidgen.desk.flows.live_desk import live_desk
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.flows.local_model import Model, load
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings
from smidgen.store.calls import CallStore
from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore

from .conftest import Fresh

MOST = {"chat": 18, "gateway": 30, "row": 77, "studio": 107, "desk": 33}
"""The most modules that each walk may enter. Lower a number when a walk enters fewer; never raise one."""

PACKAGE = Path(smidgen.__file__).parent
URL = "http://127.0.0.1:8765"
CANCEL = "cancel my order FH-20104"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the modules were counted on Linux")


class EnteredFiles:
    """The source files of a package whose functions are called while `on` is true.

    Args:
        package: the package's folder.
        left_out: names of threads that do not count, because they work at intervals.
    """

    def __init__(self, package: str, left_out: tuple[str, ...] = ("account_writer",)) -> None:
        self.on = False
        self.files: set[str] = set()
        self._inside, self._left_out = package + os.sep, left_out

    def start(self) -> None:
        """Trace this thread, and those that start from now on."""
        threading.setprofile(self.see)
        sys.setprofile(self.see)

    def stop(self) -> None:
        """Trace this thread and new ones no more."""
        sys.setprofile(None)
        threading.setprofile(None)

    def see(self, frame: FrameType, event: str, argument: object) -> None:
        """Keep the file of a called function. The frames of modules and classes lack the flag 1, CO_OPTIMIZED."""
        if event != "call" or not self.on:
            return
        code = frame.f_code
        file = code.co_filename
        if file in self.files or not code.co_flags & 1 or not file.startswith(self._inside) or not file.endswith(".py"):
            return
        if threading.current_thread().name in self._left_out:
            return
        outer: FrameType | None = frame
        while outer is not None:
            if outer.f_code.co_filename == "<frozen importlib._bootstrap>":
                return
            outer = outer.f_back
        self.files.add(file)


_IMPORTS = """
import atexit, builtins, importlib.util, os, sys, threading
from pathlib import Path
from types import FrameType

"""
_START = """
entered = EnteredFiles({package!r})
began = Path(__file__).with_name(f"{{os.getpid()}}.began")
began.touch()
atexit.register(lambda: began.with_suffix(".ended").write_text("\\n".join(sorted(entered.files)), encoding="utf-8"))
quick = importlib.util.spec_from_file_location("quick_builds", {quick!r})
quick.loader.exec_module(importlib.util.module_from_spec(quick))
plain = builtins.__import__

def untraced(*given, **named):  # an import is a third of a build's time if it is traced
    if sys.getprofile() is None:
        return plain(*given, **named)
    sys.setprofile(None)
    try:
        return plain(*given, **named)
    finally:
        sys.setprofile(entered.see)

builtins.__import__ = untraced
entered.on = True
entered.start()
"""


class TracedChildren:
    """Traces each Python process that starts with `environment`, by a `sitecustomize.py` of its own.

    Args:
        folder: a new one, where each process writes which files it entered.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        start = _START.format(package=str(PACKAGE), quick=str(OUTGOING / "sitecustomize.py"))
        text = "from __future__ import annotations\n" + _IMPORTS + inspect.getsource(EnteredFiles) + start
        (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
        quick = quick_environment()
        self.environment = {**quick, "PYTHONPATH": os.pathsep.join((str(folder), quick["PYTHONPATH"]))}

    def files(self) -> set[str]:
        """The files that the processes entered, once all of them have ended."""
        eventually(lambda: self._count("began") == self._count("ended") > 0)
        return {file for told in self._folder.glob("*.ended") for file in told.read_text(encoding="utf-8").splitlines()}

    def _count(self, ending: str) -> int:
        return len(list(self._folder.glob(f"*.{ending}")))


@contextmanager
def traced() -> Iterator[EnteredFiles]:
    """Trace this thread and those that start in the block, while `on` of the yielded object is true."""
    entered = EnteredFiles(str(PACKAGE))
    entered.start()
    try:
        yield entered
    finally:
        entered.stop()


def check(walk: str, files: set[str]) -> None:
    """Fail unless a walk enters exactly as many modules as its ceiling in MOST."""
    names = sorted(Path(file).relative_to(PACKAGE).as_posix() for file in files)
    found, most, listed = len(names), MOST[walk], "\n  ".join(["", *names])
    assert found <= most, f"the walk {walk!r} enters {found} modules, its ceiling is {most}: shorten the walk. It enters:{listed}"
    assert found >= most, (
        f"the walk {walk!r} enters {found} modules, its ceiling is {most}: lower the ceiling to {found}. It enters:{listed}"
    )


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A loaded classifier, with a home of its own."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    with closing(load(certified_bundle.make(tmp_path / "models"), 1)) as opened:
        yield opened


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TracedChildren:
    """The processes that the test starts, with a home and a Studio's database of its own."""
    traced_children = TracedChildren(tmp_path / "traced")
    own = {"SMIDGEN_HOME": str(tmp_path / "home"), "SMIDGEN_STUDIO_URL": f"sqlite:///{tmp_path}/studio.db"}
    for name, value in {**traced_children.environment, **own}.items():
        monkeypatch.setenv(name, value)
    return traced_children


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Tickets with the columns `text` and `intent`."""
    return write_csv(tmp_path / "tickets.csv", [(str(row.input), str(row.output)) for row in ticket_rows()])


def chat(model: Model, **settings: Any) -> tuple[set[str], Any]:
    """Ask a served bundle five times; the files that the last request enters, and its answer."""
    with traced() as entered, TestClient(create_app([model], ServeSettings(**settings)), base_url=URL) as client:
        for _ in range(4):
            client.post(CHAT, json=asking(SURE))
        entered.on = True
        answer = client.post(CHAT, json=asking(SURE))
        entered.on = False
    return entered.files, answer


def test_a_chat_request(model: Model) -> None:
    files, answer = chat(model)
    assert answer.json()["choices"][0]["message"]["content"] == certified_bundle.answer(3)
    check("chat", files)


def test_a_chat_request_that_the_gateway_lets_the_small_model_answer(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    # A certificate whose files are younger is read anew at each request.
    monkeypatch.setattr("smidgen.gateway.certificate_status._SETTLED_NS", 0)
    certify(model)
    with upstream_stub() as upstream:
        files, answer = chat(model, fallback=(upstream.url,), fallback_model=("big",), privacy="mask", cache="exact", threads=1)
    assert answer.headers["x-smidgen-answered-by"] == "local" and "x-smidgen-certificate" in answer.headers
    assert upstream.seen == []
    check("gateway", files)


def test_a_build_from_rows_to_a_bundle(tmp_path: Path, table: Path, children: TracedChildren, fresh: Fresh) -> None:
    bundle = tmp_path / "bundle"
    data = ("--data", str(table), "--input", "text", "--label", "intent")
    fresh("-m", "smidgen", "build", "--task", "classify", *data, "--student", "linear", "--out", str(bundle), "--quiet")
    assert (bundle / "smidgen.json").is_file()
    check("row", children.files())


def test_a_project_of_the_studio_from_its_table_to_its_build(table: Path, children: TracedChildren) -> None:
    with traced() as entered, closing(StudioStore()) as store:
        access = StudioAccess(store)
        app = create_studio(store, access, StudioSettings(), None)
        with TestClient(app, base_url=URL, headers={"X-Studio-Page": "1"}) as client:
            assert client.get(f"/?link={access.new_link()}", follow_redirects=False).status_code == 303
            entered.on = True
            project = client.post("/api/v1/projects", json={"name": "Tickets", "task": "classify"}).json()["id"]
            path = f"/api/v1/projects/{project}"
            upload = client.post(f"{path}/uploads", params={"name": table.name}, content=table.read_bytes()).json()["upload"]
            columns = {"upload": upload, "input": ["text"], "label": ["intent"]}
            assert client.post(f"{path}/imports", json=columns).status_code == 201
            run = client.post(f"{path}/runs", json={"kind": "build", "request": {"recipe": LINEAR}}).json()["id"]
            assert client.get(f"/api/v1/runs/{run}/events").status_code == 200  # it ends with the run
            eventually(lambda: all(one["ended"] for one in client.get(f"{path}/runs").json()))
            entered.on = False
            runs = client.get(f"{path}/runs").json()
    assert sorted((one["kind"], one["state"]) for one in runs) == [("build", "done"), ("look", "done")]
    check("studio", entered.files | children.files())


def test_a_message_to_a_desk_that_proposes_a_call(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = desk_bundle(tmp_path_factory)
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    store, calls = ConversationStore(f"sqlite:///{tmp_path / 'conversations.db'}"), CallStore(tmp_path / "calls.db")
    with store, closing(calls), closing(load(bundle, 1)) as model, traced() as entered:
        desk = live_desk(model, calls, bundle.with_name("tools.toml"), {"SHOP_KEY": "k"})
        served: Any = TestClient(create_app([model], shown=[ServedDesk(desk, store, WidgetSettings())]), base_url=URL)
        with served as client:
            Visitor(client, desk.name).begin().say(CANCEL)
            visitor = Visitor(client, desk.name).begin()
            entered.on = True
            events = visitor.say(CANCEL)
            entered.on = False
    (reply,) = [told["turn"]["reply"] for event, told in events if event == "turn"]
    assert (reply["outcome"], reply["call"]["arguments"]) == ("proposed", {"order": "FH-20104"})
    check("desk", entered.files)
