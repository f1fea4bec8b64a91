"""The chat's files: their sizes, their policy, who may embed them, and that nothing of them is read as markup."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.desk.routes.sample_desk import SampleDesk, paragraphs
from tests.desk.routes.serving import ShownDesk, shown_desk

from smidgen.desk.routes import frame_page
from smidgen.desk.routes.widget_settings import WidgetSettings

MOST_BYTES = 30_000
SITE = files("smidgen") / "samples" / "homeware" / "site"


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[ShownDesk]:
    with shown_desk(tmp_path, SampleDesk(greeting={"en": '"><script>alert(1)</script>'}), name="Fern & <Hearth>") as found:
        yield found


def test_the_whole_chat_is_under_30_kb(shown: ShownDesk) -> None:
    page = shown.client.get("/desk/shop/frame")
    names = re.findall(r'(?:href|src)="(/desk/assets/[^"]+)"', page.text)
    sizes = {"frame": len(gzip.compress(page.content, 9))}
    for address in ("/desk/widget.js", *names):
        with shown.client.stream("GET", address, headers={"accept-encoding": "gzip"}) as response:
            assert response.status_code == 200 and response.headers["content-encoding"] == "gzip"
            sizes[address.rpartition("/")[2]] = sum(len(piece) for piece in response.iter_raw())
    assert set(sizes) == {"frame", *frame_page.assets()}, "each file is on the page"
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_files_are_kept_and_asked_again_by_their_hash(shown: ShownDesk) -> None:
    script = shown.client.get("/desk/widget.js")
    assert script.headers["cross-origin-resource-policy"] == "cross-origin" and "max-age=300" in script.headers["cache-control"]
    assert shown.client.get("/desk/widget.js", headers={"if-none-match": script.headers["etag"]}).status_code == 304
    own = f"/desk/assets/{frame_page.version()}"
    assert "immutable" in shown.client.get(f"{own}/frame.js").headers["cache-control"]
    missing = ["frame.html", "../visits.py", "%2e%2e/visits.py", "none.js"]
    assert [shown.client.get(f"{own}/{name}").status_code for name in missing] == [404] * len(missing)
    assert shown.client.get("/desk/assets/older/frame.js").status_code == 404


def test_the_page_is_under_a_strict_policy_and_takes_no_markup(shown: ShownDesk) -> None:
    page = shown.client.get("/desk/shop/frame?lang=de")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self' http://localhost:* http://127.0.0.1:*",
    }
    assert '<html lang="de"' in page.text and "<script>" not in page.text and "<Hearth>" not in page.text
    assert '<html lang="en"' in shown.client.get("/desk/shop/frame?lang=xx").text
    assert "set-cookie" not in page.headers


def test_only_allowed_pages_show_the_frame(tmp_path: Path) -> None:
    origins = ["https://shop.example", "https://www.shop.example:8443"]
    cases = {
        "": 200,
        "https://shop.example/": 200,
        "https://www.shop.example:8443/a?b": 200,
        "https://shop.example.evil.example/": 403,
        "https://shop.example@evil.example/": 403,
        "http://shop.example/": 403,
        "http://localhost:3000/": 403,
    }
    with shown_desk(tmp_path, origins=origins, image_hosts=["https://images.shop.example"]) as shown:
        found = {page: shown.client.get("/desk/shop/frame", headers={"referer": page}).status_code for page in cases}
        assert found == cases
        assert shown.client.get("/desk/shop/frame", headers={"referer": f"{shown.url}/x"}).status_code == 200
        policy = shown.client.get("/desk/shop/frame").headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'self' https://shop.example https://www.shop.example:8443")
        assert "img-src 'self' data: https://images.shop.example;" in policy


def test_without_origins_only_this_machine_shows_the_frame() -> None:
    settings = WidgetSettings()
    machine = ("http://localhost", "http://localhost:3000", "http://127.0.0.1:81", "http://[::1]:5")
    others = ("https://shop.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "null", "")
    assert all(settings.embeds(one) for one in machine) and not any(settings.embeds(one) for one in others)


@pytest.mark.parametrize(
    "origin", ["https://a.example; script-src *", "https://a.example/path", "*", "ftp://a.example", "https://a b", "a"]
)
def test_an_origin_that_would_change_the_policy_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError):
        WidgetSettings(origins=(origin,))
    with pytest.raises(ValidationError):
        WidgetSettings(image_hosts=(origin,))


def test_no_script_reads_data_as_markup_or_code() -> None:
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "document.cookie")
    forbidden = re.compile("|".join(re.escape(word) for word in words))
    seen = 0
    for name, asset in frame_page.assets().items():
        if name.endswith(".js"):
            assert not forbidden.search(asset.plain.decode("utf-8")), name
            seen += 1
    assert seen >= 8


def test_both_languages_have_the_same_texts() -> None:
    text = frame_page.assets()["texts.js"].plain.decode("utf-8")
    blocks = re.split(r"^  (?:en|de): \{$", text.partition("\n};")[0], flags=re.MULTILINE)[1:]
    keys = [re.findall(r"^    (\w+):", block, flags=re.MULTILINE) for block in blocks]
    places = [re.findall(r"\{(\w+)\}", block) for block in blocks]
    assert len(keys) == 2 and keys[0] == keys[1] and len(keys[0]) > 40 and places[0] == places[1]
    used = {name for asset in frame_page.assets().values() for name in re.findall(r'text\("(\w+)"', asset.plain.decode("utf-8"))}
    assert used <= set(keys[0])


def test_the_sample_shop_says_what_its_policies_say_and_fetches_nothing() -> None:
    policies = (SITE / "policies.html").read_text(encoding="utf-8")
    plain = re.sub(r"<[^>]+>", "", policies).replace("&amp;", "&")
    seen = 0
    for paragraph in paragraphs():
        assert paragraph.text in plain and f'id="p{paragraph.number.replace(".", "-")}"' in policies
        seen += 1
    assert seen > 40
    pages = [file for file in SITE.iterdir() if file.name.endswith(".html")]
    assert len(pages) == 3
    for page in pages:
        content = page.read_text(encoding="utf-8")
        links = re.findall(r'(?:href|src)="([^"#]*)', content)
        own = {link for link in links if link and link not in ("data:,", "%WIDGET%")}
        assert all(SITE.joinpath(*link.split("/")).is_file() for link in own), own
