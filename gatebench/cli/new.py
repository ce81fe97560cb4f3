"""`gatebench new`: write a plugin that works, with the few lines marked that make it yours."""

from pathlib import Path
from typing import Annotated

import typer

from gatebench.cli import options

app = typer.Typer(help="Write a plugin file and its test, to be filled in.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--into", help="The folder to write into.")]


@app.command("implementation")
def implementation(
    name: Annotated[str, typer.Argument(help="vendor:name, e.g. mylab:fused.")],
    gate: Annotated[str, typer.Option("--gate", "-g", help="The gate that it computes.")],
    into: Folder = Path(),
    plugin: Annotated[
        Path | None, typer.Option("--plugin", help="The file that gives the gate, where it is your own.")
    ] = None,
) -> None:
    """Write an implementation of a gate: the reference's own formula, to be made faster."""
    from gatebench.run.discover import discover
    from gatebench.scaffold import write_implementation

    catalogue = discover([plugin] if plugin else [])
    options.known_names("--gate", "gate", gate, catalogue.gates)
    more = f" --plugin {plugin}" if plugin else ""
    _say(*write_implementation(name, catalogue.gates[gate], into, plugin), f"gatebench check {{}} -g {gate}{more}")


@app.command("gate")
def gate(
    name: Annotated[str, typer.Argument(help="vendor:name, e.g. mylab:leaky_rnn.")],
    family: Annotated[
        str, typer.Option("--family", help="recurrent, scan, glu, highway, channel, convolution or attention.")
    ],
    into: Folder = Path(),
) -> None:
    """Write a gate of your own: parameters and formula; eager and compile run it at once."""
    from gatebench.scaffold import FAMILIES, write_gate

    options.known_names("--family", "family", family, FAMILIES)
    _say(*write_gate(name, family, into), f"gatebench check eager -g {name} --plugin {{}}")


def _say(plugin: Path, test: Path, command: str) -> None:
    print(f"wrote {plugin} and {test}")
    print(f"next: {command.format(plugin)}")
