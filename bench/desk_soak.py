"""Messages to a desk by four channels while its worker is killed and vendors fail: what is lost, doubled, or told to another person."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from bench import results
from bench.context import Context

NAME = "desk_soak"
MESSAGES, CUSTOMERS, KILLS, SECONDS = 20_000, 2_000, 60, 1_500.0
QUICK = (400, 60, 2, 10.0)
COLUMNS = ("messages", "kills", "faults", "lost", "to another person", "out of order", "channels", "arrived twice", "left to people")


def run(context: Context) -> None:
    """One soak."""
    messages, customers, kills, seconds = QUICK if context.quick else (MESSAGES, CUSTOMERS, KILLS, SECONDS)
    about = (
        "Messages come by Slack, WhatsApp, Chatwoot and Telegram, and vendors repeat themselves. The process that answers and delivers is "
        "killed with SIGKILL. The vendors answer 8 % of the requests with 429, 500 or 503, or not in time; a silent one has taken every "
        "other message. Half of Telegram's customers write to a bot with `on_doubt = repeat`, half to one with `give_up`. The desk repeats "
        "what it is told, so that each answer can be checked against its question."
    )
    section = results.Section(NAME, "A desk's channels under failures", about, COLUMNS, facts={"load before": results.load_average()})
    settings = {"messages": messages, "kills": kills, "seconds": seconds}
    found = context.measured(NAME, settings, lambda: _soak(messages, customers, kills, seconds), peer=False)
    every = [f"{found['messages']:,}", str(kills), f"{sum(found['refusals'].values()):,}", str(found["lost"]), str(found["wrong"])]
    every.append(str(found["disordered"]))
    once = found["messages"] // 4 - found["by telegram"]
    section.rows = [
        [*every, "Slack, WhatsApp, Chatwoot", str(found["doubled"]), "0"],
        [""] * 6 + [f"Telegram, repeat ({found['by telegram']:,})", str(found["repeated in doubt"]), "0"],
        [""] * 6 + [f"Telegram, give_up ({once:,})", "0", f"{found['left to people']}, of which {found['of these arrived']} had arrived"],
    ]
    section.goals = [
        results.at_most("lost", 0, found["lost"], "messages"),
        results.at_most("to another person", 0, found["wrong"], "messages"),
        results.at_most("arrived twice, where the vendor can settle it or may not repeat", 0, found["doubled"], "messages"),
        results.at_most("arrived twice, Telegram with repeat", 0, found["repeated in doubt"], "messages"),
    ]
    results.publish(context, section)


def _soak(messages: int, customers: int, kills: int, seconds: float) -> dict[str, Any]:
    from tests.desk.flows import test_soak

    os.environ.update(test_soak.SECRETS)
    with tempfile.TemporaryDirectory() as folder:
        return test_soak.soak(Path(folder), messages, customers, kills, seconds)
