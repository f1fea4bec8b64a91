"""HTTP: routes and bodies from the application's OpenAPI document, and headers, held against those that the source names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from smidgen.gateway.certificate_status import CertificateState
from tools.reference.tables import SOURCE, cell, table

ASKED: Mapping[str, str] = {
    "authorization": "`Bearer KEY`. With `--api-key` it is smidgen's own key and goes nowhere else. Without it, it goes to the first "
    "fallback where no `SMIDGEN_FALLBACK_KEY` is set; so do `api-key`, `x-api-key` and `x-goog-api-key`.",
    "x-request-id": "A name for this request. The reply repeats it, unless it begins with `req_`.",
    "x-smidgen-user": "Who asks, for the scope of the cache. It does not go to the fallback.",
    "cache-control": "`no-store`: the cache neither looks this request up nor keeps its answer. `no-cache`: the "
    "fallback is asked anew. `max-age=SECONDS`: an older cached answer does not count.",
    "x-smidgen-conversation": "The token of a visitor's conversation with a desk. The chat's frame sends it; nothing else needs it.",
    "x-smidgen-via": "Written by a gateway for the fallback. It finds a fallback that leads back here (508).",
}
"""Headers of requests that the server reads, besides those of HTTP itself."""

SAID: Mapping[str, str] = {
    "x-request-id": "The id of this request, in the log and for `/v1/feedback`.",
    "x-smidgen-answered-by": "`local`, `upstream`, `cache`, or `none` where nobody answered.",
    "x-smidgen-model": "The bundle's name, or the model's name as the fallback was told.",
    "x-smidgen-score": "The score of the small model's answer, where it gave one.",
    "x-smidgen-certificate": "The id of the certificate that the answer was judged by.",
    "x-smidgen-escalated": "Why the request went to the fallback; see below.",
    "x-smidgen-measured-error": "With `--local measured`: the measured share of wrong answers among those that this bundle gives.",
    "x-smidgen-unsure": "Without a fallback: why the answer is unsure. Its score is under the operating point.",
    "x-smidgen-uncertified": "Why no certificate covers an answer of this server: `no certificate`, `asked directly`, `over budget`, "
    "`upstream failed`, "
    "`from the cache`, `1 of 2 questions`.",
    "x-smidgen-cost": "What the answer cost at the fallback, in US dollars. 0 where nobody was asked. Not on "
    "streams, nor on replies over 500 kB.",
    "x-smidgen-saved": "What a local or cached answer would have cost at the fallback, in US dollars.",
    "x-smidgen-cached": "`exact` or `similar`, on an answer from the cache.",
    "age": "Seconds since the cached answer was given.",
    "cache-status": "What the cache did, as RFC 9211 says: `hit`, `fwd=miss`, `fwd=request`, or `fwd=bypass` with the reason in `detail`.",
    "x-upstream-request-id": "The fallback's own request id.",
    "retry-after": "With 429 and 503: seconds after which to try again.",
}
"""Headers of replies that the server writes."""

REASONS: Mapping[str, str] = {
    "no certificate": "The bundle has none.",
    "score": "The score is under the threshold, or there is none.",
    "quality": "The request or `--quality` asks for a smaller alpha than the certificate has.",
    "segment": "The certificate does not cover the request's segment.",
    "job": "With `--take`: the certificate was not tested on requests of this job.",
    "client": "Audits of this client's requests alone contradicted the certificate.",
    "repeated text": "The text is more than a fifth of alpha of the requests, and its answer is not known to be right.",
    "held out": "The text is kept to measure on (`--held-out-aside`).",
    "request": "The request is not one message of a user, or has a field that a bundle cannot honour. The field stands in brackets.",
    "never": "The server runs with `--local never`.",
    "no local answer": "The small model refused, failed, or was cut short.",
    CertificateState.DAMAGED.value: "The certificate's file cannot be read.",
    CertificateState.UNSIGNED.value: "A key that this machine does not trust signed it, or it was changed.",
    CertificateState.BASE.value: "The base's file is another than the certified one.",
    CertificateState.BUNDLE.value: "The bundle is another than the certified one, or than the one that was opened.",
    CertificateState.REVOKED.value: "It was revoked, by audits or by hand.",
    CertificateState.STALE.value: "It is older than the last revocation of its line.",
    CertificateState.UNAUDITED.value: "Answers were given for too long without an audit.",
    CertificateState.LOST.value: "Too many audits were never answered.",
    CertificateState.REFERENCE.value: "It was tested against another large model than the fallback's.",
    CertificateState.EARLY.value: "It is not valid yet.",
    CertificateState.EXPIRED.value: "It has run out.",
    CertificateState.SET_BACK.value: "The machine's clock was set back.",
}
"""What `x-smidgen-escalated` may say; more may stand behind it in brackets."""

_ORDER = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/classify",
    "/v1/recommend",
    "/v1/systemone",
    "/v1/embeddings",
    "/v1/feedback",
)


def parts() -> dict[str, str]:
    """Routes, bodies, objects and headers. Raises ValueError where the source names a header, or a state, that is not told here."""
    _check()
    document = _document()
    routes = sorted(document["paths"].items(), key=lambda item: (_place(item[0]), item[0]))
    shown = [(method.upper(), path, operation) for path, methods in routes for method, operation in methods.items()]
    schemas: dict[str, Any] = document["components"]["schemas"]
    used = [name for _, _, operation in shown for name in (_named(_request(operation)), _named(_reply(operation))) if name]
    others = [name for name in schemas if name not in used and not name.startswith(("Error", "HTTPValidation", "Validation"))]
    return {
        "routes": table(
            ("route", "what it does", "reply"),
            (
                (_route(method, path, operation), operation.get("summary", ""), _shape(_reply(operation)))
                for method, path, operation in shown
            ),
        ),
        "bodies": "\n".join(_bodies(method, path, operation, schemas) for method, path, operation in shown if _request(operation)),
        "objects": "\n".join(
            _object(name, schemas[name]) for name in sorted({*others, *(one for one in used if not one.endswith("Request"))})
        ),
        "asked": table(("header", "meaning"), ((f"`{name}`", words) for name, words in ASKED.items())),
        "said": table(("header", "meaning"), ((f"`{name}`", words) for name, words in SAID.items())),
        "reasons": table(("reason", "meaning"), ((f"`{name}`", words) for name, words in REASONS.items())),
    }


def _document() -> dict[str, Any]:
    """The OpenAPI document of a gateway without bundles: all routes are there, and nothing is opened or asked."""
    from smidgen.server.app import create_app
    from smidgen.server.settings import ServeSettings

    settings = ServeSettings(fallback=("http://127.0.0.1:9/v1",), fallback_model=("large",), account=False)
    return create_app([], settings).openapi()


def _place(path: str) -> int:
    return _ORDER.index(path) if path in _ORDER else len(_ORDER)


def _route(method: str, path: str, operation: Mapping[str, Any]) -> str:
    asked = [f"{one['name']}={one['schema'].get('default', '')}" for one in operation.get("parameters", ()) if one["in"] == "query"]
    return f"`{method} {path}{'?' + '&'.join(asked) if asked else ''}`"


def _request(operation: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _reply(operation: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = operation["responses"]["200"].get("content", {})
    found: dict[str, Any] = next((one.get("schema", {}) for one in content.values()), {})
    return found


def _named(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _bodies(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    schema = schemas[_named(_request(operation))]
    return f"### {method} {path}\n\n{cell(schema.get('description'))}\n\n{_fields(schema)}"


def _object(name: str, schema: Mapping[str, Any]) -> str:
    return f"### {name}\n\n{cell(schema.get('description'))}\n\n{_fields(schema)}"


def _fields(schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ()) if schema.get("title", "").endswith(("Request", "Question")) else ()
    rows = [
        (f"`{name}`" + (" (required)" if name in needed else ""), _typed(field), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    told = any(row[2] for row in rows)
    return table(("field", "type", "meaning"), rows) if told else table(("field", "type"), (row[:2] for row in rows))


def _typed(field: Mapping[str, Any]) -> str:
    found = [_shape(field), *(limit for limit in _limits(field))]
    default = field.get("default")
    return ", ".join([*dict.fromkeys(part for part in found if part), *([f"default `{default}`"] if default is not None else [])])


def _limits(field: Mapping[str, Any]) -> Iterator[str]:
    arms = [field, *field.get("anyOf", ())]
    for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤")):
        yield from (f"{sign} {arm[name]:g}" for arm in arms if name in arm)
    for name, words in (
        ("maxItems", "at most {:,} items"),
        ("maxLength", "at most {:,} characters"),
        ("maxProperties", "at most {:,} entries"),
    ):
        yield from (words.format(arm[name]) for arm in arms if name in arm)


def _shape(schema: Mapping[str, Any]) -> str:
    """The type of a JSON value in words."""
    if name := _named(schema):
        return f"[{name}](#{name.lower()})"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_shape(arm) for arm in schema[word] if arm.get("type") != "null"))
    if "const" in schema:
        return f"`{str(schema['const']).lower() if isinstance(schema['const'], bool) else schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_shape(schema['items'])}" if schema.get("items") else "list" if "prefixItems" not in schema else "pair"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_shape(inner)}" if isinstance(inner, dict) and inner else "object"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}.get(
        str(kind), "any"
    )


def _check() -> None:
    """Hold the headers and reasons against the source."""
    from smidgen.gateway import route as decisions
    from smidgen.server import app

    named = {
        *re.findall(r"x-(?:smidgen|upstream)-[a-z-]*[a-z]", "\n".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py")))
    }
    seen = {*named, *app._SEEN, *app._SEEN_OF_CACHE}
    if missing := seen - ASKED.keys() - SAID.keys():
        raise ValueError(f"tools/reference/http.py does not tell of the headers {', '.join(sorted(missing))}")
    words = (
        decisions.INELIGIBLE,
        decisions.NEVER,
        decisions.QUALITY,
        decisions.SCORE,
        decisions.SEGMENT,
        decisions.JOB,
        decisions.CLIENT,
        decisions.REPEATED,
        decisions.HELD_OUT,
        decisions.UNANSWERED,
    )
    states = {state.value for state in CertificateState} - {CertificateState.VALID.value, CertificateState.NONE.value}
    if missing := {*words, *states, "no certificate"} ^ REASONS.keys():
        raise ValueError(f"tools/reference/http.py: reasons that only one of the two knows: {', '.join(sorted(missing))}")
