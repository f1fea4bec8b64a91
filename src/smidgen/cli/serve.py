"""`smidgen serve`: bundles behind HTTP."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from smidgen.cli.flags import with_flags
from smidgen.cli.screen import errors, out, print_json
from smidgen.core.errors import InputError
from smidgen.parts import recipe as recipes
from smidgen.server.settings import ServeSettings

if TYPE_CHECKING:
    from smidgen.flows.local_model import Model


# The `[route]` section of a recipe below the flags of `smidgen serve`.

_OF_FALLBACKS = frozenset({"fallback_model", "fallback_key_env", "reference_model", "price_in", "price_out"})
"""What a recipe says of its own fallbacks, and of no others: a key must not go to another's host."""


def with_route(settings: ServeSettings, file: Path) -> ServeSettings:
    """The settings with those of the recipe's `[route]` where no flag gives them.

    Where flags name fallbacks, models, keys and prices of the recipe's are not theirs. Raises RecipeError for a recipe that cannot be read,
    or has no such section.
    """
    route = recipes.route(file)
    own = settings.model_fields_set
    left_out = own | (_OF_FALLBACKS if "fallback" in own else frozenset())
    told = {name: getattr(route, name) for name in route.model_fields_set if name not in left_out}
    return settings.model_copy(update=told)


@contextmanager
def told_of(file: Path | None) -> Iterator[None]:
    """What goes wrong within the block is said with the name of the recipe, where there is one: the mistake may be in it."""
    try:
        yield
    except InputError as error:
        if file is None or type(error) is not InputError:  # another kind names its own file
            raise
        todo = f"{error.todo} Where {file} says it: --fallback-model is fallback_model under [route], and so are the others."
        raise InputError(error.what, value=error.value, todo=todo) from None


_FIRST = ("port", "host", "api_key", "fallback", "fallback_model", "capture", "privacy", "cache")
_PANELS = {
    "Fallback": (
        *("fallback_key_env", "reference_model", "pass_paths", "fallback_connect_seconds", "fallback_seconds"),
        *("fallback_retry_seconds", "fallback_max_mb", "when_upstream_fails"),
    ),
    "Answers of bundles": ("quality", "take", "audit_share", "held_out_aside"),
    "Capture": ("capture_days", "capture_keep_days", "capture_redact", "capture_labels", "capture_label_texts", "capture_held_out"),
    "Privacy": ("privacy_kind", "privacy_bundle", "privacy_max_chars", "privacy_workers"),
    "Cache": ("cache_scope", "cache_similarity", "cache_hours", "cache_entries", "cache_mb", "cache_drawn"),
    "Budgets and prices": ("budget_day", "budgets", "price_in", "price_out", "max_output_tokens"),
    "Access": ("admin_key", "secrets", "allow_host", "cors"),
    "Limits": (
        *("threads", "max_batch", "max_queue", "max_concurrent", "max_inputs", "max_chars", "max_body_mb"),
        *("request_seconds", "drain_seconds"),
    ),
    "Logs": ("account", "access_log"),
}
"""The settings by their panels in help, after those that matter first."""


@with_flags(ServeSettings, _PANELS, _FIRST)
def serve(
    settings: ServeSettings,
    bundles: list[Path] = typer.Argument(
        None, metavar="[DIR...]", help="Folders of bundles; each is served under its name. None is needed with --fallback."
    ),
    recipe: Path = typer.Option(
        None,
        metavar="FILE",
        help="A recipe whose [route] says where requests go. Flags count before it. A bundle's own recipe is not read.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Say that the server is ready as one JSON object."),
) -> None:
    """Serve bundles over HTTP, or a gateway before a large model.

    It speaks OpenAI's API, System One's and smidgen's own. With --fallback it is a gateway: a bundle answers the requests that its
    certificate allows, and the rest goes to the large model.

    Example: smidgen serve ./my-bundle --port 8080
    """
    from smidgen.server.app import create_app
    from smidgen.server.process import run, take_port, url_of

    chosen = _with_keys(settings if recipe is None else with_route(settings, recipe))
    folders = bundles or []
    if not folders and not chosen.fallback:
        todo = "Name the folder of a bundle, or a --fallback that requests go to."
        with told_of(recipe):
            raise InputError("there is nothing to serve", value="no bundle", todo=todo)
    money = chosen.budget_day is not None or bool(chosen.budgets)
    if chosen.take and not chosen.fallback:
        raise InputError(
            "a line cannot take requests from no fallback", value="--take", todo="Name the --fallback that other requests go to."
        )
    shared_key = False
    if chosen.fallback or chosen.fallback_model or chosen.fallback_key_env or chosen.pass_paths or money or _private(chosen):
        from smidgen.gateway.allowlist import Allowlist
        from smidgen.server.gateway.budget_guard import budget_plan
        from smidgen.server.gateway.fallback import fallback_targets

        with told_of(recipe):
            # What it cannot be is said before any weights are loaded.
            shared_key = any(target.key is not None for target in fallback_targets(chosen))
            budget_plan(chosen)
            Allowlist(chosen.pass_paths)
    if chosen.held_out_aside:
        from smidgen.server.gateway.eligibility import check_held_out as check_aside

        with told_of(recipe):
            check_aside(chosen)
    if any(name.startswith("cache") for name in chosen.model_fields_set):
        from smidgen.server.gateway.response_cache import check_cache

        with told_of(recipe):
            check_cache(chosen)
    if chosen.capture_labels is not None:
        from smidgen.server.traffic.capture_setup import check_labels

        with told_of(recipe):
            check_labels(chosen)
    if chosen.capture != "off":
        from smidgen.store.traffic import store

        store.opened(held_out=chosen.capture_held_out).close()  # likewise
    bound = take_port(chosen)
    with bound, ExitStack() as stack:
        models = _loaded(folders, chosen.threads, stack)
        _remember(folders)
        app = create_app(models, chosen)
        url = url_of(bound)
        names = [model.name for model in models]
        watched = list(_watched(models, chosen)) if chosen.fallback and not as_json else []

        def ready() -> None:
            if as_json:
                print_json({"url": url, "models": names, "pid": os.getpid()}, indent=None)
            else:
                _welcome(url, names, watched, chosen, shared_key)

        models.clear()  # the server alone holds them: what an old champion took is free once it has ended
        run(app, bound, chosen, ready)


def _loaded(folders: list[Path], threads: int | None, stack: ExitStack) -> list[Model]:
    """The bundles, warm. Those that are still there when the stack is left are closed."""
    from smidgen.flows.learn import promotion
    from smidgen.flows.local_model import load_all
    from smidgen.server.served_bundle import warm

    models = load_all(folders, threads)
    for model in models:
        stack.callback(_close, weakref.ref(model))
        if model.line is not None:
            promotion.remove_killed_learning(model.line)
    for model in models:
        warm(model)
    return models


def _close(there: weakref.ref[Model]) -> None:
    if (model := there()) is not None:
        model.close()


def _remember(folders: Iterable[Path]) -> None:
    """Put the bundles on the list of those on this machine, where it can be written: `smidgen status` looks there."""
    from smidgen.store import bundle_list

    with suppress(OSError):
        for folder in folders:
            bundle_list.remember(folder)


def _with_keys(settings: ServeSettings) -> ServeSettings:
    """The settings with the clients' and the admins' keys of the secrets file, or of the environment, added: one, or several with commas
    between."""
    from smidgen.server import secrets_file

    own = secrets_file.read(settings.secrets) if settings.secrets is not None else {}
    more: dict[str, tuple[str, ...]] = {}
    for field, name in (("api_key", secrets_file.API_KEY), ("admin_key", secrets_file.ADMIN_KEY)):
        given = own.get(name) or os.environ.get(name, "")
        if keys := tuple(key.strip() for key in given.split(",") if key.strip()):
            more[field] = (*getattr(settings, field), *keys)
    return settings.model_copy(update=more) if more else settings


def _private(settings: ServeSettings) -> bool:
    """Whether anything was said of what leaves: without a fallback that is a mistake."""
    return settings.privacy != "off" or bool(settings.privacy_kind) or settings.privacy_bundle is not None


def _watched(models: Sequence[Model], settings: ServeSettings) -> Iterator[str]:
    """Which certificates hold now, and what watches them, in lines."""
    from smidgen.flows.certify.certificate_status import standing_reader
    from smidgen.gateway.certificate_status import CertificateState
    from smidgen.server.gateway.certificates import large_model_names

    watched: list[str] = []
    for model in models:
        found = standing_reader(model.folder, model.manifest, large_model_names(settings))()
        if not found.valid or found.certificate is None:
            other = found.certificate.reference.model if found.certificate is not None and found.state is CertificateState.REFERENCE else ""
            todo = f". Where both are one model: --reference-model {other}" if other else ""
            yield f"{model.name}: everything escalates, for its certificate does not hold ({found.state.value}): {found.why}{todo}"
        elif found.certificate.reference.kind == "model" and settings.audit_share:
            watched.append(model.name)
        elif found.certificate.reference.kind == "request" and settings.audit_share:
            yield (
                f"audits: {settings.audit_share:.3g} of the answers of {model.name} are held against the attributes of their requests "
                "(--audit-share)"
            )
        else:
            what = "audits compare with the large model alone" if settings.audit_share else "no answers are audited (--audit-share 0)"
            kind = found.certificate.reference.kind
            people = f"; smidgen audit {model.folder} has people do it" if kind in ("gold", "reviews") and settings.capture != "off" else ""
            yield f"{model.name}: nothing watches its certificate, which is against {found.certificate.reference.words}: {what}{people}"
            if found.certificate.audit_days:
                yield f"{model.name}: after {found.certificate.audit_days} days of answers without an audit everything escalates"
    if watched:
        yield (
            f"audits: {settings.audit_share:.3g} of the answers of {', '.join(watched)}, certified against the large model, are sent to "
            "it, too (--audit-share)"
        )


def _welcome(url: str, names: Sequence[str], watched: Iterable[str], settings: ServeSettings, shared_key: bool) -> None:
    key = " -H 'Authorization: Bearer KEY'" if settings.keys else ""
    body = json.dumps({"model": (*names, *settings.fallback_model)[0], "messages": [{"role": "user", "content": "your text"}]})
    if settings.fallback:
        from smidgen.gateway.allowlist import told

        shown = f"what no certificate lets a bundle answer goes to {', '.join(settings.fallback)}" if names else "all goes to the fallback"
        out.print(shown, markup=False, soft_wrap=True)
        out.print(told(settings.pass_paths, shared_key), markup=False, soft_wrap=True)
        out.print(_leaving(settings), markup=False, soft_wrap=True)
        if settings.cache != "off":
            out.print(_cached(settings), markup=False, soft_wrap=True)
        if settings.held_out_aside:
            out.print("texts that are held out always go to the fallback (--held-out-aside)", markup=False, soft_wrap=True)
        if settings.take:
            out.print(
                "requests of the jobs that a line's certificate knows are answered by it, whatever model they name (--take)",
                markup=False,
                soft_wrap=True,
            )
        for line in watched:
            out.print(line, markup=False, soft_wrap=True)
    out.print(f"[green]✓[/] {escape(', '.join(names)) or 'gateway'} at [bold]{url}/v1[/]   try it: {url}/")
    out.print(f"curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'", soft_wrap=True, markup=False)
    if settings.capture != "off":
        masked = "without personal data" if settings.capture_redact == "mask" else "with personal data as it stands in them"
        kept = f"for {settings.capture_days} days (--capture-days)"
        if (longer := settings.capture_keep_days or 0) > settings.capture_days:
            kept += f", and up to 50 requests of each label that a line learnt from for {longer} days (--capture-keep-days)"
        out.print(f"chat, completions and responses are stored with their answers, {masked}, {kept}: smidgen traffic", soft_wrap=True)
        if not names:
            out.print("what of it a small model could take: smidgen traffic --jobs", soft_wrap=True)
    if not settings.loopback and not settings.keys:
        errors.print("[yellow]warning:[/] anyone who can reach this address may use it: set --api-key, or listen on 127.0.0.1")


def _leaving(settings: ServeSettings) -> str:
    """What becomes of personal data that goes to the large model, in a line."""
    if settings.privacy == "off":
        return "personal data in it is sent as it is; to replace it by placeholders, serve with --privacy mask"
    but = f", with {', '.join(settings.privacy_kind)}" if settings.privacy_kind else ""
    return f"personal data in it is handled by the policy {settings.privacy}{but}"


def _cached(settings: ServeSettings) -> str:
    """Who shares what, in a line."""
    whose = {
        "user": "to the same user; requests that name no user are not cached (--cache-scope)",
        "key": "to the same API key; requests without one are not cached (--cache-scope)",
        "all": "to whoever asks",
    }
    near = "" if settings.cache == "exact" else f", and one whose text is near ({settings.cache_similarity:g}),"
    return (
        f"cache: the same request{near} gets the fallback's answer again for {settings.cache_hours:g} hours, {whose[settings.cache_scope]}"
    )


part = serve
