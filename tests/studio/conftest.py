"""The tests of this folder share one browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.studio_browser import close_chromium


@pytest.fixture(scope="package", autouse=True)
def _one_browser() -> Iterator[None]:
    yield
    close_chromium()
