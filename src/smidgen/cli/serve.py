"""`smidgen serve`: serve bundles over HTTP."""

from __future__ import annotations

import json
import os
import shlex
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from smidgen.cli.flags import settings_from, with_flags
from smidgen.cli.screen import errors, out, print_json, print_line
from smidgen.core.errors import InputError, RecipeError
from smidgen.parts import recipe as recipes
from smidgen.server.settings import ADMIN_KEY, API_KEY, ServeSettings, read_secrets

if TYPE_CHECKING:
    from smidgen.flows.local_model import Model
    from smidgen.gateway.route_settings import CacheSettings
    from smidgen.server.service import ShownModel


_OF_FALLBACKS = frozenset({"fallback_model", "fallback_key_env", "reference_model", "price_in", "price_out"})
"""Settings of a recipe that belong to its own fallbacks only: a key must not be sent to another host."""


def with_route(settings: ServeSettings, file: Path) -> ServeSettings:
    """Return the settings with those of the recipe's `[route]` that no flag gives.

    If flags name other fallbacks, the recipe's models, keys and prices are not used. Raises RecipeError for a recipe that cannot be read or
    has no such section.
    """
    flags = settings.given()
    left_out = _OF_FALLBACKS if "fallback" in flags else frozenset()
    route = {name: value for name, value in recipes.route(file).given().items() if name not in left_out}
    return settings_from(ServeSettings, {**route, **flags})


@contextmanager
def told_of(file: Path | None) -> Iterator[None]:
    """Add the name of the recipe, if there is one, to errors within the block, because the mistake may be in it."""
    try:
        yield
    except InputError as error:
        if file is None or type(error) is not InputError:  # other kinds name their own file
            raise
        todo = f"{error.todo} Where {file} says it: --fallback-model is fallback_model under [route], and so are the others."
        raise InputError(error.what, value=error.value, todo=todo) from None


_FIRST = ("port", "host", "api_key", "fallback", "fallback_model", "local", "capture", "privacy", "cache")


@with_flags(ServeSettings, _FIRST)
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
    desk: Path = typer.Option(
        None,
        metavar="FILE",
        rich_help_panel="Desk",
        help="Show the served desk to customers: a file with its widget, channels, webhooks and hand-over.",
    ),
    as_json: bool = typer.Option(False, "--json", rich_help_panel="Logs", help="Say that the server is ready as one JSON object."),
) -> None:
    """Serve bundles over HTTP, or a gateway before a large model.

    It speaks OpenAI's API, System One's and smidgen's own. With --fallback it is a gateway: a bundle answers the requests that its
    certificate allows, and the rest goes to the large model.

    Example: smidgen serve ./my-bundle --port 8080
    """
    from smidgen.server.app import create_app, with_own_privacy
    from smidgen.server.process import run, take_port, url_of

    chosen = _with_keys(settings if recipe is None else with_route(settings, recipe))
    folders = bundles or []
    if not folders and not chosen.fallback.urls:
        with told_of(recipe):
            raise InputError("cli.there_is_nothing_to_serve")
    with told_of(recipe):
        shared_key = _check(chosen)  # before any weights are loaded
    bound = take_port(chosen.listen)
    with bound, ExitStack() as stack:
        models = _loaded(folders, chosen.limits.threads, stack)
        _remember(folders)
        chosen = with_own_privacy(chosen, models)
        shown = _shown(desk, models, stack)
        app = create_app(models, chosen, shown=shown)
        uncalled = _uncalled(models, shown)
        url = url_of(bound)
        names = [model.name for model in models]
        example = _example(names, chosen, bool(models) and models[0].form.writing.reach is not None)
        watched = list(_watched(models, chosen)) if chosen.fallback.urls and not as_json else []

        def ready() -> None:
            for line in uncalled:
                errors.print(f"[yellow]warning:[/] {escape(line)}")
            if as_json:
                print_json({"url": url, "models": names, "pid": os.getpid()}, indent=None)
            else:
                _welcome(url, names, watched, chosen, shared_key, example)

        models.clear()  # only the server holds them now: the memory of an old champion is free when it has ended
        run(app, bound, chosen.limits.drain_seconds, ready)


def _check(settings: ServeSettings) -> bool:
    """Return whether the clients share a fallback's key. Raises InputError with every setting that is impossible or contradicts another."""
    from smidgen.gateway.route import Allowlist
    from smidgen.server.gateway.budget_guard import budget_plan
    from smidgen.server.gateway.certificate_router import check_held_out
    from smidgen.server.gateway.fallback import fallback_targets
    from smidgen.server.gateway.response_cache import check_cache
    from smidgen.server.traffic.capture_setup import check_labels
    from smidgen.store.traffic import store

    keys: list[str | None] = []
    mistakes: list[InputError] = []

    def take() -> None:
        if settings.local.take and not settings.fallback.urls:
            raise InputError("cli.take_needs_fallback", value="--take")

    def local() -> None:
        if settings.local.mode == "never" and not settings.fallback.urls:
            raise InputError("cli.local_never_needs_fallback")

    checks: tuple[Callable[[], object], ...] = (
        take,
        local,
        lambda: keys.extend(target.key for target in fallback_targets(settings)),
        lambda: budget_plan(settings),
        lambda: Allowlist(settings.fallback.pass_paths),
        lambda: check_held_out(settings),
        lambda: check_cache(settings),
        lambda: check_labels(settings.capture),
        lambda: store.opened(held_out=settings.capture.held_out).close() if settings.capture.on else None,
    )
    for check in checks:
        try:
            check()
        except InputError as error:
            mistakes.append(error)
    if len(mistakes) > 1:
        raise RecipeError("cli.settings_have_mistakes", value=len(mistakes), mistakes=[str(error) for error in mistakes])
    if mistakes:
        raise mistakes[0]
    return any(key is not None for key in keys)


def _loaded(folders: list[Path], threads: int | None, stack: ExitStack) -> list[Model]:
    """Return the loaded bundles after a first request. Those still in use are closed with the stack."""
    from smidgen.flows.learn import promotion
    from smidgen.flows.local_model import load_all
    from smidgen.server.models import warm

    models = load_all(folders, threads)
    for model in models:
        stack.callback(_close, weakref.ref(model))
        if model.line is not None:
            promotion.remove_killed_learning(model.line)
    for model in models:
        warm(model)
    return models


def _shown(file: Path | None, models: list[Model], stack: ExitStack) -> list[ShownModel]:
    """Return what a desk file shows to customers, at work until the stack closes."""
    if file is None:
        return []
    serving = next((model.task.serving for model in models if model.task.serving is not None), None)
    if serving is None:
        raise InputError("cli.desk_file_is_for_one_desk")
    return list(stack.enter_context(serving.shown(file, models)))


def _uncalled(models: Sequence[Model], shown: Sequence[ShownModel]) -> list[str]:
    """Return a line for each served desk that cannot do here all that it has learnt."""
    serving = next((model.task.serving for model in models if model.task.serving is not None), None)
    return serving.warnings(models, shown) if serving is not None else []


def _close(there: weakref.ref[Model]) -> None:
    if (model := there()) is not None:
        model.close()


def _remember(folders: Iterable[Path]) -> None:
    """Remember the bundles as those of this machine, if the list can be written: `smidgen status` reads it."""
    from smidgen.store import files

    with suppress(OSError):
        for folder in folders:
            files.remember_bundle(folder)


def _with_keys(settings: ServeSettings) -> ServeSettings:
    """Return the settings with the keys of clients and admins from the secrets file or the environment added (several with commas)."""
    access = settings.access
    own = read_secrets(access.secrets) if access.secrets is not None else {}

    def more(name: str) -> tuple[str, ...]:
        given = own.get(name) or os.environ.get(name, "")
        return tuple(key.strip() for key in given.split(",") if key.strip())

    keys = {
        "api_keys": (*access.api_keys, *more(API_KEY)),
        "admin_keys": (*access.admin_keys, *more(ADMIN_KEY)),
    }
    return settings.model_copy(update={"access": access.model_copy(update=keys)})


def _watched(models: Sequence[Model], settings: ServeSettings) -> Iterator[str]:
    """Yield lines that say which certificates are valid now, and how each is monitored."""
    from smidgen.flows.certify.certificate_status import status_reader
    from smidgen.gateway.certificate_status import CertificateState
    from smidgen.server.gateway.certificates import large_model_names

    share = settings.local.audit_share
    watched: list[str] = []
    for model in models:
        found = status_reader(model.folder, model.manifest, large_model_names(settings.fallback))()
        paper = found.certificate
        if not found.valid or paper is None:
            other = paper.reference.model if paper is not None and found.state is CertificateState.REFERENCE else ""
            todo = f". If both names mean one model: --reference-model {other}" if other else ""
            yield f"{model.name}: everything escalates, because the certificate is not valid ({found.state.value}): {found.why}{todo}"
        elif paper.reference.kind == "model" and share:
            watched.append(model.name)
        elif paper.reference.kind == "request" and share:
            yield f"audits: {share:.3g} of the answers of {model.name} are checked against the attributes of their requests (--audit-share)"
        else:
            why = "audits compare with the large model only" if share else "audits are off (--audit-share 0)"
            people = paper.reference.kind in ("gold", "reviews") and settings.capture.on
            todo = f"; people can audit it: smidgen audit {model.folder}" if people else ""
            yield f"{model.name}: nothing monitors its certificate, whose reference is {paper.reference.words}: {why}{todo}"
            if paper.audit_days:
                yield f"{model.name}: everything escalates after {paper.audit_days} days without an audit"
    if watched:
        names = ", ".join(watched)
        yield f"audits: the large model is also asked for {share:.3g} of the answers of {names}, and both are compared (--audit-share)"


def _example(names: Sequence[str], settings: ServeSettings, fills_gaps: bool) -> tuple[str, str]:
    """Return the path and the body of a request that what is served first can answer."""
    body = {"model": (*names, *settings.fallback.models)[0]}
    if fills_gaps:
        return "completions", json.dumps({**body, "prompt": "def net(gross):\n    return ", "suffix": "\n", "max_tokens": 20})
    return "chat/completions", json.dumps({**body, "messages": [{"role": "user", "content": "your text"}]})


def _welcome(
    url: str, names: Sequence[str], watched: Iterable[str], settings: ServeSettings, shared_key: bool, example: tuple[str, str]
) -> None:
    key = " -H 'Authorization: Bearer KEY'" if settings.access.keyed else ""
    if settings.fallback.urls:
        for line in (*_routes(names, settings, shared_key), *watched):
            print_line(line)
    out.print(f"[green]✓[/] {escape(', '.join(names)) or 'gateway'} at [bold]{url}/v1[/]   try it: {url}/")
    path, body = example
    print_line(f"curl {url}/v1/{path}{key} -H 'Content-Type: application/json' -d {shlex.quote(body)}")
    if settings.capture.on:
        masked = "without personal data" if settings.capture.redact == "mask" else "with the personal data in them"
        kept = f"for {settings.capture.days} days (--capture-days)"
        if (longer := settings.capture.keep_days or 0) > settings.capture.days:
            kept += f", and up to 50 requests of each label that a line learnt from for {longer} days (--capture-keep-days)"
        print_line(f"chat, completions and responses are stored with their answers, {masked}, {kept}: smidgen traffic")
        if not names:
            print_line("find jobs that a small model could take over: smidgen traffic --jobs")
    if not settings.listen.loopback and not settings.access.keyed:
        errors.print("[yellow]warning:[/] anyone who can reach this address may use it: set --api-key, or listen on 127.0.0.1")


def _routes(names: Sequence[str], settings: ServeSettings, shared_key: bool) -> Iterator[str]:
    """Yield lines that say which requests the fallback gets, and how they are changed first."""
    from smidgen.gateway.route import describe_open_paths

    privacy = settings.privacy
    yield f"requests that no bundle may answer go to {', '.join(settings.fallback.urls)}" if names else "all requests go to the fallback"
    yield describe_open_paths(settings.fallback.pass_paths, shared_key)
    if privacy.on:
        kinds = f", with {', '.join(privacy.kinds)}" if privacy.kinds else ""
        yield f"personal data in them is handled by the policy {privacy.policy}{kinds}"
    else:
        yield "personal data in them is sent as it is; to replace it by placeholders, serve with --privacy mask"
    if settings.cache.on:
        yield _cached(settings.cache)
    if settings.local.held_out_aside:
        yield "held-out texts always go to the fallback (--held-out-aside)"
    if settings.local.take:
        yield "a line answers the jobs that its certificate covers, whatever model a request names (--take)"


def _cached(cache: CacheSettings) -> str:
    """Return a line that says who gets a cached answer, and for how long."""
    whose = {
        "user": "for the same user; requests that name no user are not cached (--cache-scope)",
        "key": "for the same API key; requests without one are not cached (--cache-scope)",
        "all": "for any caller",
    }
    near = "" if cache.mode == "exact" else f", or one with a similar text ({cache.similarity:g}),"
    return f"cache: the same request{near} gets the fallback's answer again for {cache.hours:g} hours, {whose[cache.scope]}"


part = serve
