"""`gatebench environment`: what timings on this machine depend on, and what hurts them."""

from gatebench.cli import options


def command(as_json: options.Json = False) -> None:
    """Print processor, caches, versions, memory ceilings and environment class, and what hurts measuring here.

    Of each thing that hurts: what was found, why it hurts, and what to do. Nothing is changed: that is yours to decide.
    """
    from dataclasses import asdict

    from gatebench.report.listings import print_environment
    from gatebench.run.discover import discover
    from gatebench.run.environment import environment_class
    from gatebench.run.fitness import examine

    fitness = [asdict(finding) for finding in examine()]  # first: what discover starts would be taken for other load
    environment = discover(ceilings=True).environment
    print_environment({**environment, "environment_class": environment_class(environment)}, fitness, as_json)
