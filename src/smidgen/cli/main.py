"""The entry point of the command line: it finds the verbs, runs one, and turns errors into messages and exit codes.

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
from smidgen.core.errors import MachineError, MissingExtra, SmidgenError
from smidgen.core.printable import printable
from smidgen.parts import registry

GROUPS = {
    "Try it": ("demo", "doctor"),
    "Make a model": ("start", "init", "check", "build", "eval", "export"),
    "Use it": ("predict", "chat", "serve"),
    "Trust it": ("certify", "audit", "redact", "cost"),
    "Run it on traffic": ("traffic", "learn", "rollback", "drift", "status"),
    "Share it": ("pull", "models", "kit"),
}
"""The verbs as `smidgen --help` and the reference group them. A verb that is in no group stands under "More"."""


_KEPT = {
    "build": " Finished steps are kept: run the same command to go on.",
    "demo": " Finished steps are kept: run the same command to go on.",
    "learn": " The line is as it was. Finished steps are kept: run the same command to go on.",
    "predict": " Answers that were written are kept: run the same command to go on.",
}
"""What Ctrl-C leaves behind, by verb."""


class Verbs(typer.core.TyperGroup):
    """A group whose commands are the files of `cli/`; a verb is imported when it is asked for, or when help lists it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verbs, group by group."""
        return [verb for verbs in groups().values() for verb in verbs]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a verb. Raises UnknownPart, with what was likely meant, where there is no such verb; a shell that completes
        gets None."""
        if ctx is not None and ctx.resilient_parsing and cmd_name not in registry.names("cli"):
            return None
        return command(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the verbs in their groups, one line each."""
        listed = {title: {verb: command(verb) for verb in verbs} for title, verbs in groups().items()}
        print_lines(group_page(self, str(ctx.command_path), listed))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Verbs and flags that begin so, as a shell shows them."""
        return completions(super().shell_complete(ctx, incomplete))


def groups() -> dict[str, list[str]]:
    """The verbs that are there, by the title of their group."""
    there = registry.names("cli")
    named = {title: [verb for verb in verbs if verb in there] for title, verbs in GROUPS.items()}
    more = sorted(set(there) - {verb for verbs in named.values() for verb in verbs})
    return {title: verbs for title, verbs in {**named, "More": more}.items() if verbs}


def command(verb: str) -> Any:
    """One verb as Typer's command object. A verb's `part` is a function that Typer understands."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command(name=verb, cls=VerbCommand)(registry.find("cli", verb))
    return typer.main.get_command(app)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"smidgen {importlib.metadata.version('smidgen')}")
        raise typer.Exit


app = typer.Typer(
    name="smidgen", cls=Verbs, add_completion=True, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False
)


@app.callback()
def smidgen(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and stop."),
) -> None:
    """Small language models from your own examples: trained, checked and served on an ordinary CPU."""


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
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
        # The reader of our output (`| head`) has gone; Python would complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as bug:  # the one broad except of the command line: a traceback helps no user, and a panic of Rust is no Exception
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
"""Packages that come with the extra `train` alone. A build that goes on from steps of an earlier run may meet one anywhere."""


def _tell(error: SmidgenError) -> None:
    errors.print(f"[bold red]error:[/] {escape(str(error))}")


_SAID = {"No space left on device": errno.ENOSPC, "Read-only file system": errno.EROFS, "Too many open files": errno.EMFILE}
"""How libraries that are not Python's tell faults of the machine."""


def _fault_of_the_machine(error: BaseException) -> MachineError | None:
    """A full disk and the like, which are no defect; also where a library says it in words of its own."""
    if isinstance(error, (OSError, MemoryError)):
        return MachineError.told_by(error)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # what pathlib makes of ELOOP before Python 3.13
        return MachineError.told_by(OSError(errno.ELOOP, str(error), str(error).removeprefix("Symlink loop from ").strip("'")))
    code = next((code for words, code in _SAID.items() if words in str(error)), None)
    return MachineError.told_by(OSError(code, os.strerror(code))) if code is not None else None


def _show(usage: Any) -> None:
    """A mistake in the call, as Typer shows it: with the verb's usage line."""
    usage.message = printable(usage.message)  # an argument may be the name of a file that a stranger gave
    if hasattr(usage, "show"):
        usage.show()
    else:
        errors.print(f"[bold red]error:[/] {escape(str(usage))}")
