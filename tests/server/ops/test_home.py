"""The page at the server's address: what is served, how its certificate stands, a form that works; nothing from elsewhere, nothing run that
data brought in, and nothing told of a bundle where a key is needed."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import pairs, write_pairs
from tests.server.conftest import running

from smidgen.flows.certify.certification import CertificateTerms, certify
from smidgen.flows.local_model import load

NASTY = "</script><script>alert(1)</script>'\"&{{7*7}}"


def page(server: Any) -> Any:
    response = server.client.get("/", follow_redirects=False)
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/html")
    return response


def test_it_says_what_is_served_and_how_to_go_on(serve: Any) -> None:
    text = page(serve()).text
    for words in ("support", "billing/refund", "3 labels", "Certificate: none yet", 'href="/docs"', "Try it"):
        assert words in text, words


def test_it_runs_and_loads_what_is_its_own(serve: Any) -> None:
    for path in ("/", "/docs"):
        response = serve().client.get(path)
        policy, text = response.headers["content-security-policy"], response.text
        assert "default-src 'none'" in policy and "unsafe" not in policy and "connect-src 'self'" in policy
        for name in ("style", "script"):
            (inner,) = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
            assert f"{name}-src 'sha256-{digest}'" in policy, path
        assert not re.search(r"https?://|//[a-z]+\.|\sstyle=|\son[a-z]+=", text), path
        assert not re.search(r'(?:src|href)="(?!/)', text), path


def test_what_data_brings_is_text(serve: Any, word_model: Any) -> None:
    text = page(serve(word_model(name="a <b>", labels=(NASTY, "shipping", "x" * 1000)))).text
    assert "<b>" not in text.partition("<script>")[0].replace("<body>", "") and "alert(1)</script>" not in text
    assert "&lt;script&gt;alert(1)" in text and "{{7*7}}" in text and "x" * 301 not in text


def test_many_labels_are_told_in_number(serve: Any, word_model: Any) -> None:
    text = page(serve(word_model(labels=[f"label {number}" for number in range(500)]))).text
    assert "500 labels" in text and text.count("<li>label ") == 60 and "and 440 more" in text


@pytest.mark.parametrize("setting", ["api_key", "admin_key"])
def test_where_a_key_is_needed_nothing_is_told_of_bundles(serve: Any, setting: str) -> None:
    server = serve(**{setting: ("secret",)})
    text = page(server).text
    assert "support" not in text and "billing" not in text and "Certificate" not in text and "asks for a key" in text
    assert "support" not in server.client.get("/openapi.json").text
    assert server.client.get("/v1/models").status_code == 401


def test_the_state_of_the_certificate(serve: Any, certified_bundle: Path) -> None:
    with_none = load(certified_bundle, 1)
    assert "Certificate: none yet" in page(serve(with_none)).text
    model = load(certified_bundle, 1)
    sample = write_pairs(certified_bundle.parent / "fresh.csv", pairs(800, 5, start=50_000))
    certify(model, sample, CertificateTerms(alpha=0.2, delta=0.05))
    text = page(serve(model)).text
    assert re.search(r"Certificate: valid until \d{4}-\d\d-\d\d", text) and "disagree" in text
    certificate = next(certified_bundle.parent.glob("*.certificate.json"))
    certificate.write_text(certificate.read_text(encoding="utf-8").replace('"alpha": 0.2', '"alpha": 0.1'), encoding="utf-8")
    assert "valid until" not in page(serve(load(certified_bundle, 1))).text


def test_the_examples_of_the_docs_name_the_model(serve: Any) -> None:
    server = serve()
    schemas = server.client.get("/openapi.json").json()["components"]["schemas"]
    sent = 0
    for path, methods in server.client.get("/openapi.json").json()["paths"].items():
        body = methods.get("post", {}).get("requestBody")
        if body is None or path == "/v1/feedback":
            continue
        example = schemas[body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]]["example"]
        assert example["model"] == "support", path
        reply = server.post(path, example)
        # As it stands it is answered; a classifier has no vectors and suggests nothing, and says so.
        assert reply.status_code == 200 or path in ("/v1/embeddings", "/v1/recommend"), reply.text
        sent += 1
    assert sent == 7


def test_the_form_works_in_a_browser(serve: Any) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine")
    server = serve()
    with playwright.sync_playwright() as tool:
        chrome = tool.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        shown = chrome.new_page(viewport={"width": 390, "height": 800})
        faults: list[str] = []
        shown.on("console", lambda message: faults.append(message.text))
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.goto(f"{server.url}/")
        shown.fill("#text", "I want a refund for this charge <b>")
        shown.click("button[type=submit]")
        shown.wait_for_selector(".said", timeout=20_000)
        assert shown.inner_text(".said").startswith("billing/") and "answered here" in shown.inner_text("#answer")
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        assert faults == []
        chrome.close()


def test_a_gateway_says_where_the_rest_goes(serve: Any, upstream: Any, word_model: Any) -> None:
    asked = {"fallback": (upstream.url,), "fallback_model": ("big-one",)}
    assert "What no certificate lets a model here answer goes to big-one." in page(serve(word_model(), **asked)).text
    with_none = _alone(asked)
    assert "Every request goes to big-one." in with_none and "Gateway to big-one" in with_none
    assert upstream.bodies == [], "the page itself asks no large model"


def _alone(settings: dict[str, Any]) -> str:
    with running(**settings) as server:
        return str(page(server).text)
