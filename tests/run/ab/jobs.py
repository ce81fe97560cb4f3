"""One job on a repository, in this process, with real workers."""

from gatebench.run.ab.job import AbRequest, run_ab
from gatebench.run.progress import Silent
from gatebench.store.read import Results, read_run
from gatebench.suites import Narrowing


def ab(repo, base, head, **request):
    """Run two versions; returns (run, time and coverage verdicts by implementation, said lines)."""
    said: list[str] = []
    outcome = run_ab(
        AbRequest(base, head, here=repo, **{"suite": "speed.toml", **request}), repo / "results", Silent(), said.append
    )
    run = read_run(outcome.folder)
    found = Results((run,)).verdicts
    found["implementation"] = found["case_id"].str.split("/").str[1]
    return run, found[found["implementation"] != "gatebench:control"].set_index(["implementation", "quantity"]), said


def narrowed(*names, glob=""):
    """Return what leaves these implementations of a suite."""
    return Narrowing(implementations=names, glob=glob)
