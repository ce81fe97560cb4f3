"""`gatebench environment`: what timings on this machine depend on."""

from gatebench.cli import options


def command(as_json: options.Json = False) -> None:
    """Print processor, caches, versions, measured memory ceilings and the environment class."""
    from gatebench.report.listings import print_environment
    from gatebench.run.discover import discover
    from gatebench.run.environment import environment_class

    environment = discover(ceilings=True).environment
    print_environment({**environment, "environment_class": environment_class(environment)}, as_json)
