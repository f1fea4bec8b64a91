"""Personal data, found by a model and by patterns: nothing is overlooked in silence, and what cannot be read does not pass."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.build_steps import context
from tests.forms import label_form, span_form
from tests.house.conftest import Fresh, fresh  # noqa: F401
from tests.redaction_bundle import redaction_bundle  # noqa: F401
from tests.students.test_encoder import tiny_base  # noqa: F401

import smidgen
from smidgen.core.errors import BundleError, InputError, RedactionError
from smidgen.core.parts import Task
from smidgen.core.rows import Row
from smidgen.flows import redaction_model
from smidgen.flows.build.teachers import RemoteTeacher, open_teacher
from smidgen.flows.build.work import Work
from smidgen.flows.redaction_model import PersonalDataFinder
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.privacy import text_patterns
from smidgen.privacy.redactor import Redactor

TEXT = "where is my lamp please a@example.org i want refund money"


@pytest.fixture
def shipped(redaction_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A copy of the tiny bundle, in the place of the one that comes with smidgen."""
    folder = tmp_path / "shipped" / "redaction"
    shutil.copytree(redaction_bundle, folder)
    monkeypatch.setattr(redaction_model, "SHIPPED", folder)
    return folder


@pytest.fixture
def unshipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction_model, "SHIPPED", tmp_path / "nowhere" / "redaction")


@pytest.mark.usefixtures("shipped")
def test_what_the_model_and_the_patterns_find_is_one() -> None:
    redactor = smidgen.redactor()
    found = [(TEXT[span["start"] : span["end"]], span["label"]) for span in redactor.spans(TEXT)]
    assert found == [("lamp", "person"), ("a@example.org", "email"), ("refund money", "address")]
    safe = redactor.mask(TEXT)
    assert safe == "where is my [PERSON_1] please [EMAIL_1] i want [ADDRESS_1]"
    assert redactor.unmask(safe) == TEXT
    assert redactor.mask("return my broken plate please where is my lamp") == "return my [PERSON_2] please where is my [PERSON_1]", (
        "a value keeps its stand-in"
    )
    assert redactor.unmask("return [PERSON_2] to [EMAIL_1]; [PERSON_9]") == "return broken plate to a@example.org; [PERSON_9]"
    assert redactor.counts == {"person": 3, "email": 1, "address": 1}


@pytest.mark.usefixtures("shipped")
def test_what_cards_say_and_numbers_that_a_word_makes_personal_are_taken_out() -> None:
    text = "where is my lamp MRN 558812 card 4111 1111 1111 1111 exp 12/27 CVV 737"
    assert smidgen.redactor().mask(text) == "where is my [PERSON_1] MRN [ID_1] card [CARD_1] exp [EXPIRY_1] CVV [CVV_1]"
    assert opened().redactor().mask(text).endswith("MRN [ID_1] card [CARD_1] exp [EXPIRY_1] CVV [CVV_1]")


@pytest.mark.usefixtures("shipped")
def test_kinds_narrow_the_model_and_not_the_patterns() -> None:
    assert smidgen.redactor(kinds=("address",)).mask(TEXT) == "where is my lamp please [EMAIL_1] i want [ADDRESS_1]"
    with pytest.raises(InputError, match=r"does not know this kind: 'people'.*person, address"):
        smidgen.redactor(kinds=("people",))


def test_nothing_beyond_what_a_tagger_reads_is_left(redaction_bundle: Path) -> None:  # noqa: F811
    """A tagger reads 100,000 characters of a text and no more; the name stands behind them."""
    text = "help please " * 8_600 + "my lamp is late"
    assert len(text) > 103_000
    assert smidgen.redactor(redaction_bundle).mask(text)[-21:] == "my [PERSON_1] is late"


def test_long_texts_are_read_in_pieces_that_overlap(redaction_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    finder = redaction_model.finder(redaction_bundle)
    text = "please cancel my lamp order \N{FULLWIDTH COMMA} " * 12
    whole = finder.many([text])[text]
    assert len(whole) == 12
    monkeypatch.setattr(redaction_model, "PIECE", 70)
    monkeypatch.setattr(redaction_model, "OVERLAP", 30)
    assert len(list(redaction_model._parts(text))) > 6
    covered = {place for _, start, end in finder.many([text])[text] for place in range(start, end)}
    assert covered >= {place for _, start, end in whole for place in range(start, end)}
    ends = [part.places[-1] for part in redaction_model._parts(text)]
    assert ends[-1] == len(text) - 1 and ends == sorted(ends), "the last piece reaches the end"


@pytest.mark.parametrize("hidden", ["la\u200bmp", "l\u00adamp", "\uff4c\uff41\uff4d\uff50", "lam\ufeffp"])
def test_invisible_characters_hide_no_name_from_the_model(redaction_bundle: Path, hidden: str) -> None:  # noqa: F811
    redactor = smidgen.redactor(redaction_bundle)
    safe = redactor.mask(f"where is my {hidden} please")
    assert safe == "where is my [PERSON_1] please"
    assert redactor.unmask(safe) == f"where is my {hidden} please"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (r"where is my la\u006dp please", "where is my [PERSON_1] please"),
        (r'so: {"body": "where is my\nlamp please"}', r'so: {"body": "where is my\n[PERSON_1] please"}'),
        (r"where\tis my lamp\tplease", r"where\tis my [PERSON_1]\tplease"),
        (r"where is my l\u200bamp please", "where is my [PERSON_1] please"),
    ],
)
def test_the_model_reads_escapes_as_they_are_meant(redaction_bundle: Path, text: str, safe: str) -> None:  # noqa: F811
    redactor = smidgen.redactor(redaction_bundle)
    assert redactor.mask(text) == safe and redactor.unmask(safe) == text


def test_what_cannot_be_read_whole_is_refused(redaction_bundle: Path) -> None:  # noqa: F811
    redactor = smidgen.redactor(redaction_bundle)
    for text, reason in (("well " * 200_001, "too long"), ("half \ud800", "half a character"), ("mail jane\u200b@example.org", "email")):
        with pytest.raises(RedactionError, match=reason) as refused:
            redactor.mask(text)
        assert "jane" not in str(refused.value) and "well" not in str(refused.value), "a message shows nothing of the text"
    assert redactor.mask("") == "" and redactor.mask(" \n") == " \n"


def test_long_texts_are_not_kept(redaction_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    finder = redaction_model.finder(redaction_bundle)
    monkeypatch.setattr(redaction_model, "PIECE", 70)
    monkeypatch.setattr(redaction_model, "OVERLAP", 30)
    for text in ("where is my lamp please", "please cancel my lamp order , " * 4):
        assert [kind for kind, _, _ in finder(text)].count("person") >= 1 and finder(text) == finder(text)
    assert finder._short.cache_info().currsize == 1


@pytest.mark.usefixtures("unshipped")
def test_without_a_model_it_says_what_to_do() -> None:
    with pytest.raises(BundleError, match=r"does not come with this smidgen: 'redaction'\. Install a release.*--bundle DIR"):
        smidgen.redactor()


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "smidgen.json"])
def test_a_damaged_model_is_refused(shipped: Path, file: str) -> None:
    (shipped / file).write_bytes((shipped / file).read_bytes() + b" ")
    if file == "smidgen.json":  # a space after it changes nothing that it says
        (shipped / file).unlink()
    with pytest.raises(BundleError, match=file):
        smidgen.redactor()
    with pytest.raises(BundleError, match=file):
        opened()


def test_a_bundle_that_finds_no_spans_is_refused() -> None:
    other: Any = SimpleNamespace(name="sorter", form=label_form(), manifest=SimpleNamespace(task="classify"))
    with pytest.raises(InputError, match=r"does not find spans: 'sorter \(classify\)'"):
        PersonalDataFinder(other)


def test_it_needs_no_network_and_no_torch(fresh: Fresh, redaction_bundle: Path) -> None:  # noqa: F811
    """In a process in which nothing can be connected to."""
    lines = [
        "import socket, sys",
        "def refuse(*a, **k): raise AssertionError('it went to the network')",
        "socket.socket.connect = refuse",
        "import smidgen",
        f"print(smidgen.redactor({str(redaction_bundle)!r}).mask('where is my lamp please'))",
        "print([name for name in ('torch', 'transformers', 'onnx', 'polars', 'sklearn', 'scipy') if name in sys.modules])",
    ]
    assert fresh("-c", "\n".join(lines)).stdout.splitlines() == ["where is my [PERSON_1] please", "[]"]


def elsewhere(**more: object) -> tuple[Recipe, Task]:
    """A recipe with a teacher that is not on this machine."""
    teacher = {"source": "https://api.example.com/v1", "model": "large", "budget_tokens": 1000, **more}
    return make({"name": "tickets", "task": "classify", "data": {"teacher": teacher}}), registry.find("tasks", "classify")


def opened(**more: object) -> RemoteTeacher:
    recipe, task = elsewhere(**more)
    form = task.form([Row(f"text {number}", label) for label in "xy" for number in range(2)], recipe.sections["classify"])
    teacher = open_teacher(Work(recipe, form=form), context(), None)
    assert isinstance(teacher, RemoteTeacher)
    teacher.close()
    return teacher


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, "where is my [PERSON_1] please [EMAIL_1] i want [ADDRESS_1]"),
        ({"redact": "model"}, "where is my [PERSON_1] please [EMAIL_1] i want [ADDRESS_1]"),
        ({"redact_kinds": ["person"]}, "where is my [PERSON_1] please [EMAIL_1] i want refund money"),
        ({"redact": "patterns"}, "where is my lamp please [EMAIL_1] i want refund money"),
    ],
)
def test_what_goes_to_a_teacher_elsewhere_goes_through_the_model(asked: dict[str, Any], sent: str) -> None:
    teacher = opened(**asked)
    assert teacher.redactor().mask(TEXT) == sent
    ((questions, _),) = teacher._prompts.ask([Row(TEXT)], 1)
    assert questions[0].messages[-1] == ("user", sent)


@pytest.mark.usefixtures("unshipped")
def test_a_teacher_elsewhere_is_not_asked_without_the_model_that_it_was_to_go_through() -> None:
    with pytest.raises(BundleError, match="does not come with this smidgen"):
        opened()
    assert opened(redact="patterns").redactor().mask(TEXT) == "where is my lamp please [EMAIL_1] i want refund money"


@pytest.mark.usefixtures("shipped")
def test_a_kind_that_the_model_does_not_know_is_told_before_anything_is_asked() -> None:
    with pytest.raises(InputError, match="does not know this kind: 'names'"):
        opened(redact_kinds=["names"])


class Marked:
    """A model that finds what a text of it is given as: a kind for each of some pieces."""

    name = "marked"
    form = span_form(["person", "place", "url", "id", "phone", "email", "card", "iban", "ip", "date", "organisation"])
    manifest = SimpleNamespace(task="extract")

    def __init__(self, **pieces: str) -> None:
        self.pieces, self.read = pieces, list[str]()

    def predict(self, texts: list[str]) -> list[Any]:
        self.read += texts
        return [
            SimpleNamespace(
                output=[
                    {"label": kind, "start": text.index(piece), "end": text.index(piece) + len(piece)}
                    for kind, piece in self.pieces.items()
                    if piece in text
                ]
            )
            for text in texts
        ]


@pytest.mark.parametrize(
    ("kind", "piece", "counts"),
    [
        ("person", "ORD-5531", False),
        ("person", "Ana Lima", True),
        ("person", "Zoë", True),
        ("url", "payment", False),
        ("url", "docs.example.org/a", True),
        ("url", "3.11.2", False),
        ("id", "passport", False),
        ("id", "AB 12", True),
        ("email", "me at home", False),
        ("phone", "call 911", False),
        ("phone", "555 0199", True),
        ("card", "visa 4242", False),
        ("ip", "10", False),
        ("place", "anything", True),
    ],
)
def test_a_finding_of_the_shipped_model_looks_like_its_kind(kind: str, piece: str, counts: bool) -> None:
    model: Any = Marked(**{kind: piece})
    found = PersonalDataFinder(model, (), redaction_model._FORMS)(f"the {piece} here")
    assert bool(found) is counts
    assert PersonalDataFinder(model)(f"the {piece} here"), "a bundle of the user's own says itself what its kinds are"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("activate_my_card", "activate my card"),
        ("the intent is card_arrival.", "the intent is card arrival."),
        ("ask john_smith about it", "ask john smith about it"),
        ("see ana_lima@example.org", "see ana_lima@example.org"),
        ("open /srv/ana_lima/x_y.txt", "open /srv/ana_lima/x_y.txt"),
        ("__init__ and _x", "__init__ and _x"),
    ],
)
def test_the_model_reads_an_identifier_as_words(text: str, read: str) -> None:
    model: Any = Marked(person="john smith", place="card", organisation="activate")
    found = PersonalDataFinder(model)(text)
    assert model.read == [read]
    assert [text[start:end] for _, start, end in found] == (["john_smith"] if "john" in text else [])


def test_kinds_that_are_named_count_wherever_they_stand() -> None:
    model: Any = Marked(place="Porto")
    text = "weather in Porto"
    made = {
        kinds: Redactor(finder, forms=text_patterns.usual_spans, beside_person=finder.beside_person).mask(text)
        for kinds in ((), ("place",), ("all",), ("person",))
        for finder in [PersonalDataFinder(model, kinds)]
    }
    assert made == {(): text, ("place",): "weather in [PLACE_1]", ("all",): "weather in [PLACE_1]", ("person",): text}


ORDINARY = (
    "The meeting starts at nine and the room has a new screen.",
    "Please bring the printed forms, we cannot open the shared folder.",
    "My order came with a broken lid, and the bag was wet.",
    "It rained all week, so the roof had to wait.",
    "The battery lasts two hours, which is less than the box says.",
    "Add the onions, stir well and let it rest for ten minutes.",
    "Revenue grew by four percent while costs stayed flat.",
    "The build fails since the last update of the compiler.",
    "Visitors park behind the building and use the side door.",
    "No fever, no cough, blood pressure within limits.",
)
PEOPLE = (
    *("Margaret Holloway", "Tomasz Nowak", "Priya Raman", "Diego Fuentes", "Aisha Bello", "Henrik Lund", "Mei Tanaka", "Olga Petrova"),
    *("Samuel Okafor", "Claire Dubois", "Jonas Weber", "Lucia Romano", "Patrick Doyle", "Fatima Haddad", "Grace Turner", "Ivan Horvat"),
)


def test_the_shipped_model_finds_a_name_however_long_the_text_is() -> None:
    """A model that learnt that long texts are about nobody overlooks who is in them."""
    finder = redaction_model.finder(threads=1)
    texts = {}
    for place, person in enumerate(PEOPLE):
        for around in (0, 4, 10, 20):
            before = [ORDINARY[(place + number) % len(ORDINARY)] for number in range(around)]
            after = [ORDINARY[(place * 3 + number) % len(ORDINARY)] for number in range(around)]
            texts[" ".join([*before, f"Yesterday {person} asked me for the invoice.", *after])] = (around, person)
    found: dict[int, int] = dict.fromkeys((0, 4, 10, 20), 0)
    for text, pieces in finder.many(texts).items():
        around, person = texts[text]
        found[around] += any(kind == "person" and person in text[start:end] for kind, start, end in pieces)
    assert len(texts) == 64
    assert min(found.values()) >= 15, found
