"""`gatebench`: registers the verbs and turns user errors into one line and an exit code."""

import importlib
import itertools
import signal
import sys
from types import ModuleType
from typing import Annotated, Any

import typer

from gatebench import __version__
from gatebench.errors import UserError
from gatebench.report.ci.escapes import escaped

app = typer.Typer(
    name="gatebench",
    help="Benchmark gating mechanisms of neural networks: speed, exactness, and whether gradients survive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
MORE = "More"
VERBS = ("run", "verify", "compare", "ab", "check", "list", "dashboard")
MORE_VERBS = ("stability", "calibrate", "history", "report", "export", "import", "environment")
_FILES = {"list": "listing", "import": "import_runs"}
INTERRUPTED = 130


def _version(wanted: bool) -> None:
    if wanted:
        print(f"gatebench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # the callback has answered it


def main() -> None:
    """Run the command line; user errors are one line on stderr, never a traceback."""
    _register()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was measured is kept
    try:
        code = app(args=_with_latest(sys.argv[1:]), prog_name="gatebench", standalone_mode=False)
        if code == INTERRUPTED:
            print("gatebench: interrupted", file=sys.stderr)
        sys.exit(code or 0)
    except UserError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("gatebench: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of stdout (head, less) is gone: nothing to say to anyone
        sys.exit(0)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        if message():  # empty where the help was printed in place of a verb
            _complain(_usage_text(error))  # a usage error of typer's own
        sys.exit(2)


def _register() -> None:
    if app.registered_commands:
        return
    for verb in VERBS:
        app.command(verb)(_module(verb).command)
    for verb in MORE_VERBS:
        app.command(verb, rich_help_panel=MORE)(_module(verb).command)
    app.add_typer(_module("new").app, name="new", rich_help_panel=MORE)


def _module(verb: str) -> ModuleType:
    """Import the file of a verb: gatebench/cli/<verb>.py, but for words that Python keeps."""
    return importlib.import_module(f"gatebench.cli.{_FILES.get(verb, verb)}")


def _with_latest(arguments: list[str]) -> list[str]:
    """Let `--resume` stand alone: without a run id it means the newest run."""
    found = []
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        found.append(argument)
        if argument == "--resume" and (following is None or following.startswith("-")):
            found.append("latest")
    return found


def _usage_text(error: Any) -> str:
    """Return a usage error of typer as `<where>: <what>; <accepted>; <next step>`."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "gatebench"
    where = command.removeprefix("gatebench ")
    return f"{where}: {error.format_message().rstrip('.')}; see what is accepted; `{command} --help`"


def _complain(text: str) -> None:
    print(escaped(" ".join(text.split())), file=sys.stderr)


if __name__ == "__main__":
    main()
