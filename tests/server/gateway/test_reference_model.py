"""A certificate against a large model that has a name is worth nothing before another one; what watches which certificate is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.server.gateway.test_certified import CHAT, PATIENCE, SURE, asking, certify
from tests.upstream_stub import UpstreamStub

from smidgen.cli import serve as command
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.local_model import Model
from smidgen.gateway import route
from smidgen.gateway.certificate import JudgeError, Reference
from smidgen.gateway.certificate_status import check_certificate
from smidgen.gateway.route import RequestedModel
from smidgen.server.settings import ServeSettings


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    def start(**settings: Any) -> Any:
        given = {"fallback": (upstream.url,), "fallback_model": ("big",), "audit_share": 0.0, **settings}
        return serve(model, patience=PATIENCE, **given)

    return start


def lines(model: Model, **settings: Any) -> list[str]:
    return list(command._watched([model], ServeSettings(fallback=("http://127.0.0.1:9/v1",), fallback_model=("big",), **settings)))


@pytest.mark.parametrize(
    ("named", "accepted", "by"),
    [("big", (), "local"), ("", (), "local"), ("other", (), "upstream"), ("other", ("an alias", "other"), "local")],
)
def test_another_large_model_is_no_reference(gateway: Any, model: Model, named: str, accepted: tuple[str, ...], by: str) -> None:
    certify(model, reference=Reference(kind="model", model=named))
    running = gateway(reference_model=accepted)
    for _ in range(2):
        found = running.post(CHAT, asking(SURE))
        assert found.headers["x-smidgen-answered-by"] == by
        assert found.headers.get("x-smidgen-escalated") == ("another large model" if by == "upstream" else None)
    state = 'smidgen_certificate_state{model="support",state="another large model"}'
    assert f"{state} {1.0 if by == 'upstream' else 0.0}" in running.client.get("/metrics").text
    told = " ".join(lines(model, reference_model=accepted))
    assert ("everything escalates" in told and "--reference-model other" in told) is (by == "upstream")


def test_the_name_of_a_judge_is_no_large_models(gateway: Any, model: Model) -> None:
    """Whatever gave the marks, another model is asked where the bundle does not answer."""
    judge = Reference(kind="judge", judge=JudgeError(wrong=0, reviewed=400, bound=0.01), model="judge-1")
    certify(model, reference=judge, measure="judge")
    assert gateway().post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local"
    assert route.decision_before(
        check_certificate(model.folder, certificate_subject(model.manifest)), RequestedModel("support", model="big")
    ).local


def test_a_new_certificate_against_the_right_one_is_taken_up(gateway: Any, model: Model) -> None:
    certify(model, reference=Reference(kind="model", model="other"))
    running = gateway()
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "upstream"
    certify(model, reference=Reference(kind="model", model="big"), id="ab" * 16)
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local"


def test_the_start_says_which_certificates_nothing_watches(model: Model) -> None:
    (said,) = lines(model)
    assert said.startswith("support: everything escalates, because the certificate is not valid (none)")
    certify(model)
    assert lines(model) == [
        "support: nothing monitors its certificate, whose reference is gold labels: audits compare with the large model only"
    ]
    (said,) = lines(model, capture="answers")
    assert said.endswith(f"; people can audit it: smidgen audit {model.folder}")
    certify(model, reference=Reference(kind="model", model="big"))
    (said,) = lines(model)
    assert said.startswith("audits: the large model is also asked for 0.02 of the answers of support")
    (said,) = lines(model, audit_share=0.0)
    assert "nothing monitors its certificate, whose reference is the large model big" in said and "--audit-share 0" in said
