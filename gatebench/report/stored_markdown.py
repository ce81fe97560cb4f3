"""The Markdown of what was measured before: of a stored run, or of a JSON file that another job wrote."""

from pathlib import Path

from gatebench.analyze.compare import compare, pay_back_calls
from gatebench.errors import UserError
from gatebench.report.ab_run import ab_document
from gatebench.report.ci.ab_markdown import markdown_of
from gatebench.report.ci.run_markdown import run_markdown
from gatebench.report.ci.schemas import read_ab
from gatebench.store.read import Results, Run, find_run


def markdown_of_source(source: str, store: Path) -> str:
    """Return the page of a JSON file, a run folder, a run id or `latest`; raises UserError for anything else.

    A JSON file is what `gatebench ab --json` printed, perhaps a stranger's: it is checked by its schema, and nothing in it
    is taken as Markdown.
    """
    path = Path(source)
    if path.is_file() or path.suffix == ".json":
        return markdown_of(read_ab(path))
    return markdown_of_run(find_run(store, source))


def markdown_of_run(run: Run) -> str:
    """Return the page of a stored run, of implementations or of two versions.

    Raises UserError for a calibration, and StoreError for a run that cannot be read.
    """
    if run.purpose == "calibrate":
        what = f"run {run.run_id} is a calibration"
        raise UserError("report", what, "runs of `gatebench run` and `gatebench ab` are accepted", "see `gatebench compare RUN`")  # fmt: skip
    if run.purpose == "ab":
        return markdown_of(ab_document(run))
    results = Results((run,))
    results.require("measurements", "samples", "stability")
    return page_of_results(results)


def page_of_results(results: Results) -> str:
    """Return the page of one run of implementations."""
    compared = compare(results.measurements, results.samples)
    compared = compared.assign(pay_back_calls=pay_back_calls(compared))
    return run_markdown(compared, results.samples, results.stability, results.folders[0].manifest)
