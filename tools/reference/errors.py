"""Errors: the tree with exit codes, and the codes of HTTP errors with their statuses."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from smidgen.core import errors
from tools.reference.tables import table, trees

_ROOT = errors.SmidgenError.__name__
_UNSEEN = frozenset({"client_gone"})
"""Codes that no client ever reads: it has hung up."""

CODES: Mapping[str, tuple[tuple[int, ...], str]] = {
    "invalid_json": ((400,), "The body is not one JSON document in UTF-8."),
    "invalid_http": ((400,), "The request breaks HTTP, for example with two `Host` headers."),
    "bad_path": ((400,), "The path has `.` or `..` as a step, or is not percent-encoded."),
    "previous_response_not_found": (
        (400,),
        "`previous_response_id` names a response of this server, which stores none. Send the whole conversation.",
    ),
    "context_length_exceeded": ((400,), "The text does not fit into the model's context."),
    "suffix_not_supported": ((422,), "Only a bundle of the task `complete` reads `suffix`."),
    "invalid_json_schema": ((400,), "The model cannot hold its answer to this schema."),
    "empty_prompt": ((400,), "There is no text to write from."),
    "logprobs_not_supported": ((400,), "This model guesses tokens ahead and has no log probabilities."),
    "invalid_signature": ((401,), "The vendor's signature of a webhook to `/desk/…/channels/…` is wrong, or too old."),
    "invalid_api_key": ((401,), "The key is missing or wrong. Send `Authorization: Bearer KEY`."),
    "host_not_allowed": ((403,), "The `Host` header is not one of this server's names. See `--allow-host`."),
    "origin_not_allowed": ((403,), "A web page of another origin sent this. See `--cors`."),
    "path_not_allowed": ((403,), "This path does not go to the fallback. See `--pass`."),
    "cost_unknown": ((403,), "There is a budget, and the price of this request is not known."),
    "not_found": ((404,), "There is no such route, or no such stored response."),
    "model_not_found": ((404,), "No bundle has this name, and there is no fallback."),
    "adapter_not_found": ((404,), "The engine has no adapter of this name."),
    "request_not_found": ((404,), "Feedback on a request that is not stored, or that another key sent."),
    "desk_not_found": ((404,), "No desk has this name. Check `data-desk` of the chat's script."),
    "conversation_not_found": ((404,), "A visitor's conversation is unknown, or the token is not its own. The chat begins another one."),
    "call_not_found": ((404,), "A visitor's conversation has no such proposed call."),
    "turn_not_found": ((404,), "The desk said no such thing in this visitor's conversation."),
    "conversation_closed": ((409,), "A visitor's conversation is closed. The chat offers another one."),
    "too_many_messages": ((429,), "A visitor wrote, or called, too often in a short time."),
    "not_captured": ((404,), "Feedback on a server that stores no requests. See `--capture`."),
    "no_session": ((401,), "Studio: the call has no session. Open the Studio's link, or log in."),
    "wrong_password": ((401,), "Studio: the name or the password is wrong."),
    "not_allowed": ((403,), "Studio: the account's role does not allow this."),
    "foreign_origin": (
        (403,),
        "Studio: a call that changes something lacks `X-Studio-Page: 1`, or came from another site's page.",
    ),
    "large_model_failed": ((502,), "Studio: the large model's server refused to take part; `message` says with which status."),
    "invalid_address": ((422,), "Studio: the address of the large model cannot be used."),
    "invalid_key": ((422,), "Studio: the key of the large model has characters that are not allowed."),
    "not_teachable": ((422,), "Studio: a large model cannot be asked to do this job."),
    "no_upload": ((404,), "Studio: there is no such upload. It was imported already, or is over a day old."),
    "not_here": ((409,), "Studio: it is open to other machines, so folders of this machine cannot be opened. Send the model's ZIP file."),
    "no_answer": ((409,), "Studio: there is no first answer from the data yet, or its rows allow none."),
    "changed_meanwhile": ((409,), "Studio: somebody else has changed the file since it was opened."),
    "last_owner": ((409,), "Studio: the change would leave no account with the role of owner."),
    "no_password": ((422,), "Studio: a new account needs a password."),
    "too_many_tries": ((429,), "Studio: five log-ins failed within a minute."),
    "method_not_allowed": ((405,), "The route does not take this method."),
    "http_error": ((408,), "The body did not arrive in time."),
    "request_timeout": ((408,), "The headers did not arrive in time."),
    "body_too_large": ((413,), "The body is over `--max-body-mb`."),
    "request_too_long": ((413,), "The texts are over `--privacy-max-chars`."),
    "invalid_request": (
        (400, 422),
        "A field is missing or has a value it cannot have. `detail` lists up to 20 mistakes with their places.",
    ),
    "too_many_inputs": ((422,), "The request has more texts than `--max-inputs`."),
    "text_too_long": ((422,), "A text is over `--max-chars`."),
    "empty_text": ((422,), "A text is empty."),
    "invalid_unicode": ((422,), "A text is not valid Unicode."),
    "wrong_input": ((422,), "A single text for a bundle of pairs, or a pair for any other."),
    "unsupported_content": ((422,), "A piece of a message is not text."),
    "unsupported_request": (
        (422,),
        "`/v1/responses` is asked for what a bundle cannot do: stored state, images, unknown fields; of most also tools, several turns.",
    ),
    "unsupported_response_format": ((422,), "The answers of this bundle do not fit the `response_format`."),
    "unsupported_tools": ((400,), "`tools` or `tool_choice` that this bundle cannot use. The message says why."),
    "embeddings_not_supported": ((422,), "This bundle has no vectors."),
    "writing_not_supported": ((422,), "This bundle does not write texts."),
    "recommend_not_supported": ((422,), "This bundle recommends nothing."),
    "stock_unknown": ((422,), "`in_stock` for a bundle that was built without a column of stock."),
    "texts_unknown": ((422,), "`text` for a bundle that was built without a catalogue."),
    "unanswerable": ((422,), "No bundle can answer the question. `detail` names each question and why."),
    "invalid_quality": ((422,), "The quality in `MODEL@QUALITY` is not over 0 and up to 1."),
    "personal_data_blocked": ((422,), "The privacy policy blocks a kind of personal data in this request."),
    "redaction_failed": (
        (422, 503),
        "422: personal data cannot be told in this request. 503: the check failed or took too long; try again.",
    ),
    "too_many_requests": ((429,), "More requests at a time than `--max-concurrent`."),
    "budget_exceeded": ((429,), "The budget of the day is used up. `Retry-After` says when midnight UTC is."),
    "headers_too_large": ((431,), "The headers are over 64 kB."),
    "internal_error": ((500,), "A defect. The server's log has the reason under the request id."),
    "upstream_failed": (
        (502, 503, 504),
        "No fallback answered. 502: not reached, or no answer. 503: busy, left alone, or the budget is unreadable. 504: too slow.",
    ),
    "not_installed": ((501,), "`/mcp` needs a package that is not installed. The message has the command."),
    "overloaded": ((503,), "More texts wait than `--max-queue`, or the model did not get to this one in `--request-seconds`."),
    "stopping": ((503,), "The server stops, or the bundle was replaced. Try again."),
    "not_ready": ((503,), "Not every bundle can answer now."),
    "engine_unavailable": ((503,), "The process of the model died. The next request starts it again."),
    "feedback_not_stored": ((503,), "The feedback is not on the disk. Send it again."),
    "account_unreadable": ((503,), "The file of the account cannot be read."),
    "timeout": ((504,), "The model was not done in `--request-seconds`."),
    "fallback_loop": ((508,), "This server is its own fallback."),
}
"""What each code means, with its statuses. `_check` holds it against the code."""


def parts() -> dict[str, str]:
    """The tree and the codes. Raises ValueError where a code of the source is not told here, or is told with other statuses."""
    _check()
    return {"tree": table(("error", "what it means", "exit code"), _tree()), "codes": code_table()}


def code_table() -> str:
    """Status, code and meaning, by status."""
    rows = [(", ".join(map(str, statuses)), f"`{code}`", words) for code, (statuses, words) in CODES.items()]
    return table(("status", "`code`", "when, and what to do"), sorted(rows, key=lambda row: str(row[0])))


def _tree() -> Iterator[tuple[str, str, int]]:
    """Every error by the one that it is a kind of. Those outside core are found in the source, without importing it."""
    kinds: dict[str, list[str]] = {}
    words: dict[str, str] = {}
    known, size = {_ROOT}, 0
    classes = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while size != len(known):
        size = len(known)
        for node in classes:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if node.name not in known and (parent := next((base for base in bases if base in known), None)):
                known.add(node.name)
                kinds.setdefault(parent, []).append(node.name)
                words[node.name] = (ast.get_docstring(node) or "").split("\n\n")[0]
    words[_ROOT] = "Something did not work."

    def rows(name: str, depth: int) -> Iterator[tuple[str, str, int]]:
        own = getattr(errors, name, None)
        yield f"{'&nbsp;&nbsp;' * depth}`{name}`", words[name], _exit_code(name, own, parents)
        for child in kinds.get(name, ()):
            yield from rows(child, depth + 1)

    parents = {child: parent for parent, children in kinds.items() for child in children}
    yield from rows(_ROOT, 0)


def _exit_code(name: str, own: type[errors.SmidgenError] | None, parents: Mapping[str, str]) -> int:
    """Its own exit code, else that of the nearest kind that is in core."""
    while own is None:
        name = parents[name]
        own = getattr(errors, name, None)
    return own.exit_code


def _check() -> None:
    """Hold `CODES` against the source: each code there is told here, each told here is there, and literal statuses agree."""
    faults, literals = [], set()
    for place, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            if not isinstance(node, ast.Call):
                continue
            given = {word.arg: word.value.value for word in node.keywords if word.arg and isinstance(word.value, ast.Constant)}
            code, status = given.get("code"), given.get("status")
            if not isinstance(code, str) or code in _UNSEEN or not place.startswith(("server", "gateway", "engines", "flows/local")):
                continue
            if code not in CODES:
                faults.append(f"{place}: the code {code} is not told in tools/reference/errors.py")
            elif isinstance(status, int) and status not in CODES[code][0]:
                faults.append(f"{place}: {code} has the status {status}, too")
    faults += [f"{code}: no such code in the source" for code in CODES if code not in literals]
    if faults:
        raise ValueError("; ".join(faults))
