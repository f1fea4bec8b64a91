"""The entry point: finds the verbs, runs one, and turns errors into a message and an exit code.

Exit codes: 0 done, 1 the work failed or a gate was not met, 2 wrong usage or bad input, 130 stopped by the user.
"""

from __future__ import annotations

import errno
import importlib.metadata
import os
import sys
from typing import Any

import typer
import typer.core
import typer.exceptions
import typer.main
from rich.markup import escape

from smidgen.cli.help_page import VerbCommand, completions, group_page, print_lines
from smidgen.cli.screen import errors
from smidgen.core import messages
from smidgen.core.errors import InputError, MachineError, MissingExtra, SmidgenError, UnknownPart
from smidgen.core.printable import printable
from smidgen.parts import registry

GROUPS = {
    "Try it": ("demo", "doctor"),
    "Make a model": ("start", "init", "check", "build", "eval", "export"),
    "Use it": ("studio", "predict", "chat", "code", "solve", "serve"),
    "Trust it": ("certify", "audit", "redact", "cost"),
    "Run it on traffic": ("traffic", "learn", "rollback", "drift", "status"),
    "Share it": ("pull", "models", "kit"),
}
"""Groups of verbs in `smidgen --help` and in the reference. A verb in no group is under "More"."""

_ELSEWHERE = {
    **dict.fromkeys(("train", "fit", "finetune", "fine-tune", "distill"), "build"),
    **dict.fromkeys(("create", "new"), "init"),
    **dict.fromkeys(("validate", "lint", "inspect", "clean"), "check"),
    **dict.fromkeys(("evaluate", "test", "score", "benchmark"), "eval"),
    **dict.fromkeys(("run", "infer", "inference", "classify", "generate"), "predict"),
    **dict.fromkeys(("deploy", "api", "server", "gateway"), "serve"),
    **dict.fromkeys(("ui", "web", "gui", "dashboard"), "studio"),
    **dict.fromkeys(("list", "ls"), "models"),
    **dict.fromkeys(("download", "fetch", "install"), "pull"),
    **dict.fromkeys(("plan", "forecast", "optimize"), "solve"),
}
"""Verbs of other tools, with ours."""

_KEPT = {
    "build": " Finished steps are kept: run the same command to go on.",
    "demo": " Finished steps are kept: run the same command to go on.",
    "learn": " The line is as it was. Finished steps are kept: run the same command to go on.",
    "predict": " Answers that were written are kept: run the same command to go on.",
}
"""The message after Ctrl-C about kept work, by verb."""


class Verbs(typer.core.TyperGroup):
    """A group whose commands are the files of `cli/`. A verb is imported when it is run or when help lists it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs, group by group."""
        return [verb for verbs in groups().values() for verb in verbs]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a verb.

        For an unknown verb it raises UnknownPart with a suggestion; during shell completion it returns None.
        """
        if ctx is not None and ctx.resilient_parsing and cmd_name not in registry.names("cli"):
            return None
        if cmd_name in _ELSEWHERE:
            raise UnknownPart("command", cmd_name, registry.names("cli"), likely=_ELSEWHERE[cmd_name])
        return command(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the verbs in their groups, one line each."""
        listed = {title: {verb: command(verb) for verb in verbs} for title, verbs in groups().items()}
        print_lines(group_page(self, str(ctx.command_path), listed))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return verbs and flags that begin like this, as a shell shows them."""
        return completions(super().shell_complete(ctx, incomplete))


def groups() -> dict[str, list[str]]:
    """Return the existing verbs by the title of their group."""
    there = registry.names("cli")
    named = {title: [verb for verb in verbs if verb in there] for title, verbs in GROUPS.items()}
    more = sorted(set(there) - {verb for verbs in named.values() for verb in verbs})
    return {title: verbs for title, verbs in {**named, "More": more}.items() if verbs}


def command(verb: str) -> Any:
    """Return one verb as a Typer command object. A verb's `part` is a function that Typer understands."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command(name=verb, cls=VerbCommand)(registry.find("cli", verb))
    return typer.main.get_command(app)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"smidgen {importlib.metadata.version('smidgen')}")
        raise typer.Exit


def _language(name: str) -> None:
    if name and name not in messages.LANGUAGES:
        raise InputError("core.no_messages_in_language", value=name, known=", ".join(messages.LANGUAGES))
    if name:
        os.environ["LANGUAGE"] = name  # processes that are started use it, too


app = typer.Typer(
    name="smidgen", cls=Verbs, add_completion=True, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False
)


@app.callback()
def smidgen(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and stop."),
    lang: str = typer.Option(
        "", metavar="en|de", callback=_language, is_eager=True, help="Language of smidgen's own errors. By default that of LANG."
    ),
) -> None:
    """Small language models from your own examples: trained, checked and served on an ordinary CPU."""


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process with its exit code."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # a Python that is started, such as a pool's, imports nothing from the current folder
    sys.exit(code(sys.argv[1:] if arguments is None else arguments))


def code(arguments: list[str]) -> int:
    """Run the command line; return its exit code."""
    try:
        result: Any = typer.main.get_command(app).main(args=arguments, prog_name="smidgen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SmidgenError as error:
        _tell(error)
        return error.exit_code
    except typer.Exit as stop:
        return stop.exit_code
    except typer.exceptions.TyperException as usage:
        _show(usage)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        errors.print("\nStopped." + (_KEPT.get(arguments[0], "") if arguments else ""))
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; Python would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as bug:  # the only broad except of the command line: a traceback helps no user, and a Rust panic is no Exception
        if os.environ.get("SMIDGEN_DEBUG"):
            raise
        if isinstance(bug, ModuleNotFoundError) and (bug.name or "").partition(".")[0] in _OF_TRAINING:
            missing = MissingExtra(str(bug.name), "train")
            _tell(missing)
            return missing.exit_code
        fault = _fault_of_the_machine(bug)
        if fault is not None:
            _tell(fault)
            return fault.exit_code
        errors.print(f"[bold red]internal error:[/] {type(bug).__name__}: {escape(str(bug))}")
        errors.print("This is a defect in smidgen. Run again with SMIDGEN_DEBUG=1 for the traceback, and please report it.")
        return 1


_OF_TRAINING = frozenset({"torch", "transformers", "onnx", "sklearn", "scipy", "huggingface_hub", "py3langid", "gguf"})
"""Packages that only the extra `train` installs. A build that continues earlier steps may need one anywhere."""


def _tell(error: SmidgenError) -> None:
    language = messages.preferred_language()
    word = messages.entry("core.words", language)["error"]
    errors.print(f"[bold red]{word}:[/] {escape(error.in_language(language))}")


_SAID = {"No space left on device": errno.ENOSPC, "Read-only file system": errno.EROFS, "Too many open files": errno.EMFILE}
"""Words with which libraries not written in Python report errors of the machine."""


def _fault_of_the_machine(error: BaseException) -> MachineError | None:
    """Return errors such as a full disk, which are no bugs, as MachineError, also when a library reports them in its own words."""
    if isinstance(error, (OSError, MemoryError)):
        return MachineError.told_by(error)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # how pathlib reports ELOOP before Python 3.13
        return MachineError.told_by(OSError(errno.ELOOP, str(error), str(error).removeprefix("Symlink loop from ").strip("'")))
    code = next((code for words, code in _SAID.items() if words in str(error)), None)
    return MachineError.told_by(OSError(code, os.strerror(code))) if code is not None else None


def _show(usage: Any) -> None:
    """Print a usage error as Typer does, with the verb's usage line."""
    usage.message = printable(usage.message)  # an argument may be a file name that a stranger chose
    if hasattr(usage, "show"):
        usage.show()
    else:
        errors.print(f"[bold red]error:[/] {escape(str(usage))}")
