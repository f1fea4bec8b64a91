"""Values from environment variables in a tool's target: `${NAME}`. They may be secret, so what is shown has them masked."""

from __future__ import annotations

import re
from collections.abc import Mapping

from smidgen.core.errors import InputError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """The text with the value of each `${NAME}`. Raises InputError for a variable that is not set; no message shows a value."""

    def value(match: re.Match[str]) -> str:
        found = environment.get(match[1], "").strip()
        if not found:
            raise InputError("tools.tool_needs_environment_variable", value=match[1], match=match[1])
        if any(ord(char) < 32 or ord(char) == 127 for char in found):
            raise InputError("tools.variable_has_control_characters", value=match[1])
        return found

    return VARIABLE.sub(value, text)


def secrets_in(texts: list[str], environment: Mapping[str, str]) -> list[str]:
    """The values of all variables that the texts name, the longest first: what must not be shown."""
    names = {name for text in texts for name in VARIABLE.findall(text)}
    return sorted({environment[name].strip() for name in names if environment.get(name, "").strip()}, key=len, reverse=True)


def masked(text: str, secrets: list[str]) -> str:
    """The text without these secrets."""
    for secret in secrets:
        text = text.replace(secret, "•••")
    return text
