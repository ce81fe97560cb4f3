"""Reports of what was measured before, in each form that was asked for: HTML, Markdown, pictures."""

import sys
from dataclasses import dataclass
from pathlib import Path

from gatebench.errors import UserError
from gatebench.report.ci.outputs import STDOUT, Outputs, write_outputs
from gatebench.report.files import check_file, write_file
from gatebench.report.stored_markdown import markdown_of_source
from gatebench.report.terminal import bar, tell
from gatebench.report.two_runs_markdown import markdown_of_two
from gatebench.store.read import find_run
from gatebench.words import counted

_FORMS = "--html FILE, --markdown FILE and --png FOLDER are accepted"


@dataclass(frozen=True)
class Wanted:
    """Where each form of a report goes; None: not asked for, `-`: stdout."""

    html: Path | None = None
    markdown: Path | None = None
    png: Path | None = None

    def check(self) -> None:
        """Raise UserError for what cannot be written, or drawn: better now than after the work."""
        if self.html is None and self.markdown is None and self.png is None:
            raise UserError("report", "no output is asked for", _FORMS, "`--markdown -` prints it")
        if self.html == STDOUT and self.markdown == STDOUT:
            raise UserError("--html", "- is given together with --markdown -", "stdout takes one of them", "name a file")  # fmt: skip
        Outputs(self.markdown).check()
        if self.html is not None and self.html != STDOUT:
            check_file("--html", self.html)
        if self.html is not None or self.png is not None:
            from gatebench.report.figure_files import check_folder, require

            require("--png" if self.html is None else "--html", "plotly")
            if self.png is not None:
                require("--png", "kaleido")
                check_folder("--png", self.png)


def write_report(source: str, other: str | None, store: Path, wanted: Wanted, across_machines: bool) -> None:
    """Write the report of a JSON file, a run, or two runs.

    Raises UserError for a file whose forms are not those of a run, and for what cannot be read or written.
    """
    _refuse_file(source, other, wanted)
    if wanted.markdown is not None:
        outputs = Outputs(wanted.markdown)
        # Annotations belong to the job that measured.
        write_outputs(outputs, lambda: _markdown(source, other, store, across_machines), str, list)
    if wanted.html is None and wanted.png is None:
        return
    from gatebench.report.html.document import run_report, two_runs_report
    from gatebench.report.html.page import html_page

    run = find_run(store, source)
    with bar("Writing the report") as progress:
        report = run_report(run) if other is None else two_runs_report(run, find_run(store, other), across_machines)
        page = html_page(report, progress) if wanted.html is not None else ""
    if wanted.html is not None:
        if wanted.html == STDOUT:
            sys.stdout.write(page)
        else:
            write_file("--html", wanted.html, page)
            tell(f"Wrote {wanted.html}, {len(page.encode()) / 1e6:.1f} MB: open it in a browser.")
    if wanted.png is not None:
        from gatebench.report.html.pictures import write_report_pictures

        count = write_report_pictures("--png", wanted.png, report)
        tell(f"Wrote {counted(count, 'picture')} into {wanted.png}.")


def _refuse_file(source: str, other: str | None, wanted: Wanted) -> None:
    """Raise UserError where what only runs have is asked of a JSON file."""
    if not (Path(source).is_file() or Path(source).suffix == ".json"):
        return
    for flag, given in (("--html", wanted.html), ("--png", wanted.png), ("a second run", other)):
        if given is not None:
            what = f"{Path(source).name} is a JSON file, and {flag} is asked for"
            raise UserError("report", what, "a stored run has all forms, a file --markdown", "give the run, or --markdown")  # fmt: skip


def _markdown(source: str, other: str | None, store: Path, across_machines: bool) -> str:
    if other is None:
        return markdown_of_source(source, store)
    return markdown_of_two(find_run(store, source), find_run(store, other), across_machines)
