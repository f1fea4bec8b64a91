"""Fields by a tagger: which stand in the texts, how words become values, what a tagger cannot do, and objects out of what it finds."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.core.parts import Marking, formed
from smidgen.core.rows import Row
from smidgen.samples import homeware
from smidgen.tasks import field_plan, field_ways
from smidgen.tasks.extract import ExtractSettings, part
from smidgen.tasks.field_schema import normal
