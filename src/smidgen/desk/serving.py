"""How desks are served: ready for customers, shown by a desk file, and tried in a test copy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from smidgen.core.parts import Raw, Runner
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.desk.reply_json import reply_output


class DeskServing:
    """Serves the bundles of desks: see `core.parts.Serving`. The code of channels and stores is loaded only by the methods that need it."""

    def settings(self, settings: Any, models: Sequence[Any]) -> Any:
        """Return the server's settings with a desk's privacy policy for requests to the fallback, if they have none of their own."""
        from smidgen.desk.flows.customer_privacy import leaving_privacy

        return settings.model_copy(update={"privacy": leaving_privacy(models, settings.privacy)})

    def prepare(self, model: Any) -> None:
        """Make a loaded desk one for customers: see `Desk.for_customers`."""
        from smidgen.desk.flows.live_desk import serve_desk

        serve_desk(model)

    def shown(self, file: Path, models: Sequence[Any]) -> AbstractContextManager[Sequence[Any]]:
        """Show the desk among the models to customers, with its channels at work, until the block ends."""
        from smidgen.desk.routes.desk_file import shown_desks

        return shown_desks(file, models)

    def warnings(self, models: Sequence[Any], shown: Sequence[Any]) -> list[str]:
        """Return a line for each desk with tools that it cannot call, because their tool file is not known here."""
        from smidgen.desk.flows.live_desk import desk_of

        desks = {model.name: desk_of(model) for model in models} | {one.desk.name: one.desk for one in shown}
        left_out = {name: ", ".join(getattr(desk, "left_out", ())) for name, desk in desks.items()}
        return [
            f"{name} cannot call its tools here, so it looks up and proposes nothing ({tools}): its tool file is not on this machine. "
            "Name the file as tools in a desk file, and serve with --desk"
            for name, tools in left_out.items()
            if tools
        ]

    def tried_out(self, runner: Runner, texts: Sequence[Text], settings: Any) -> Raw | None:
        """Return the replies with the calls of the conversations made in the test copy; None without one."""
        from smidgen.desk.answering import Desk
        from smidgen.desk.live_test import live_replies

        desk = getattr(runner, "desk", None)
        if settings.tools_env is None or not settings.tools or not isinstance(desk, Desk):
            return None
        replies = live_replies(desk, [joined(text) for text in texts], settings.tools_env)
        return {"replies": [{"output": reply_output(reply), "score": reply.score} for reply in replies]}

    def replies(self, model: Any, texts: Sequence[Text], copy: str | None = None, tools: Path | None = None) -> list[Reply] | None:
        """Return the replies of a desk with its calls made in a test copy; None without a copy."""
        from smidgen.desk.flows.live_desk import tried_replies

        return tried_replies(model, texts, copy, tools)
