from __future__ import annotations

from dataclasses import replace

import pytest

from smidgen.bases.lookup import find
from smidgen.gguf.architectures import shape_of
from smidgen.students.decoder_training.engine_options import ROOMY_MB, attention_bits, attention_megabytes


def test_what_keys_and_values_take_is_two_bytes_for_each_number_of_both() -> None:
    shape = shape_of(find("smollm2").folder)
    assert (shape.layers, shape.kv_heads, shape.head) == (30, 3, 64)
    assert attention_megabytes(shape, 1) == pytest.approx(2 * 30 * 3 * 64 * 2 / 1e6)
    assert attention_megabytes(shape, 8 * 1024) == pytest.approx(188.7, abs=0.1)


def test_sixteen_bits_where_there_is_room_else_eight() -> None:
    shape = shape_of(find("smollm2").folder)
    most = int(ROOMY_MB / attention_megabytes(shape, 1))
    assert attention_bits(shape, 1, frugal=True) == "q8_0"
    assert (attention_bits(shape, 8 * 1024), attention_bits(shape, most), attention_bits(shape, most + 1)) == ("f16", "f16", "q8_0")


def test_heads_that_cannot_be_packed_stay_in_sixteen_bits() -> None:
    shape = shape_of(find("smollm2").folder)
    assert attention_bits(replace(shape, head=20), 10**9, frugal=True) == "f16"
