"""`smidgen traffic --corrections`: what a desk may learn from its conversations, as a table that people approve."""

from __future__ import annotations

from pathlib import Path

from smidgen.cli.screen import print_json, print_line
from smidgen.core.errors import InputError
from smidgen.desk.flows.correction_table import read_table, write_table
from smidgen.desk.flows.corrections import add_approved, data_files
from smidgen.desk.store.conversation_store import ConversationStore


def review(corrections: Path | None, approved: Path | None, into: Path | None, as_json: bool) -> None:
    """Write, read or use the corrections of a desk's conversations."""
    if corrections is not None and (approved is not None or into is not None):
        raise InputError("desk.corrections_are_written_or_read", value="--corrections")
    told: dict[str, object] = {}
    with ConversationStore() as store:
        if corrections is not None:
            written = write_table(store, corrections)
            told["written"] = written
            number = f"{written:,} {'correction' if written == 1 else 'corrections'}"
            said = f"Wrote {number} to {corrections}. Write yes, no or unanswerable in the column approve."
        else:
            said = ""
        if approved is not None:
            counts = read_table(store, approved, "command line")
            told |= {"approved": counts.approved, "rejected": counts.rejected, "waiting": counts.waiting}
            said = f"Approved {counts.approved:,}, rejected {counts.rejected:,}; {counts.waiting:,} wait."
        if into is not None:
            done = add_approved(store, data_files(into))
            told |= {"added": dict(done.counts), "files": [str(file) for file in done.files], "left": dict(done.left)}
            said += f" Added {sum(done.counts.values()):,} rows to {', '.join(file.name for file in done.files) or 'no file'}."
            said += "".join(f" Left out: {why}." for why in sorted(set(done.left.values())))
            said += f" Build again: smidgen build {into}"
    if as_json:
        print_json(told)
    else:
        print_line(said.strip())


part_desk = review
