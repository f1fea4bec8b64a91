"""Which slot reads for which adapter."""

from __future__ import annotations

import threading

from smidgen.engines.llama_worker import AdapterSlots


def test_a_request_comes_back_to_the_slot_that_knows_its_adapter() -> None:
    slots = AdapterSlots(3)
    first = slots.take("a")
    slots.give(first)
    second = slots.take("b")
    slots.give(second)
    assert second != first, "what the first has read is kept as long as there are others"
    for adapter, wanted in (("a", first), ("b", second), ("a", first)):
        assert slots.take(adapter) == wanted
        slots.give(wanted)


def test_a_new_adapter_gets_the_slot_that_has_rested_longest() -> None:
    slots = AdapterSlots(2)
    for adapter, wanted in (("a", 0), ("b", 1), ("a", 0), ("c", 1), ("b", 0)):
        assert slots.take(adapter) == wanted
        slots.give(wanted)


def test_two_at_a_time_never_share_one() -> None:
    slots, taken, lock = AdapterSlots(4), set(), threading.Lock()
    seen: list[int] = []

    def work(adapter: int) -> None:
        for _ in range(200):
            slot = slots.take(adapter)
            with lock:
                assert slot not in taken
                taken.add(slot)
                seen.append(slot)
            with lock:
                taken.discard(slot)
            slots.give(slot)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == 800 and set(seen) <= {0, 1, 2, 3} and not taken
