"""Lines to paste that call a served model: for curl, Python, JavaScript and OpenAI's own client."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping

from smidgen.studio.store.data_rows import DataRow

KEY_PLACE = "YOUR_API_KEY"
"""Where the caller's API key goes. A server without keys takes it as well."""
_TEXT = "your text"
_LONGEST = 200


def example_text(rows: Iterable[DataRow]) -> str:
    """A text that the model knows what to do with: the first short one of these rows."""
    fit = (row.input for row in rows if row.second is None and len(row.input) <= _LONGEST and row.input.isprintable())
    return next(fit, _TEXT)


def snippets(url: str, model: str, text: str = _TEXT) -> Mapping[str, str]:
    """The lines, by language, for a server at this URL and a model of this name, which is sent this text."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    name, said, base = _written(model), _written(text), json.dumps(f"{url}/v1")
    call = json.dumps(f"{url}/v1/chat/completions")
    return {
        "curl": "\n".join(
            (
                f"curl {shlex.quote(f'{url}/v1/chat/completions')} \\",
                f"  -H 'Authorization: Bearer {KEY_PLACE}' \\",
                "  -H 'Content-Type: application/json' \\",
                f"  -d {shlex.quote(_written(body))}",
            )
        ),
        "python": "\n".join(
            (
                "import httpx",
                "",
                "answer = httpx.post(",
                f"    {call},",
                f'    headers={{"Authorization": "Bearer {KEY_PLACE}"}},',
                f'    json={{"model": {name}, "messages": [{{"role": "user", "content": {said}}}]}},',
                "    timeout=60,",
                ")",
                "answer.raise_for_status()",
                'print(answer.json()["choices"][0]["message"]["content"])',
            )
        ),
        "javascript": "\n".join(
            (
                f"const answer = await fetch({call}, {{",
                '  method: "POST",',
                f'  headers: {{ Authorization: "Bearer {KEY_PLACE}", "Content-Type": "application/json" }},',
                f'  body: JSON.stringify({{ model: {name}, messages: [{{ role: "user", content: {said} }}] }}),',
                "});",
                "console.log((await answer.json()).choices[0].message.content);",
            )
        ),
        "openai": "\n".join(
            (
                "from openai import OpenAI",
                "",
                f'client = OpenAI(base_url={base}, api_key="{KEY_PLACE}")',
                "answer = client.chat.completions.create(",
                f"    model={name},",
                f'    messages=[{{"role": "user", "content": {said}}}],',
                ")",
                "print(answer.choices[0].message.content)",
            )
        ),
    }


def _written(value: object) -> str:
    """JSON, which is also how Python and JavaScript write a text."""
    return json.dumps(value, ensure_ascii=False)
