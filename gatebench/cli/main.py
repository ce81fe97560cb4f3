"""`gatebench`: registers the verbs and turns user errors into one line and an exit code."""

import sys
from typing import Annotated

import typer

from gatebench import __version__
from gatebench.errors import UserError

app = typer.Typer(
    name="gatebench",
    help="Benchmark gating mechanisms of neural networks: speed, exactness, and whether gradients survive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
MORE = "More"


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
    from gatebench.cli import compare, dashboard, environment, listing, run, stability, verify

    for verb, module in (
        ("run", run), ("verify", verify), ("compare", compare), ("list", listing), ("dashboard", dashboard),
    ):  # fmt: skip
        app.command(verb)(module.command)
    for verb, module in (("stability", stability), ("environment", environment)):
        app.command(verb, rich_help_panel=MORE)(module.command)
    try:
        app()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("gatebench: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of stdout (head, less) is gone: nothing to say to anyone
        sys.exit(0)


if __name__ == "__main__":
    main()
