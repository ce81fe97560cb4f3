"""The report of one stored run, or of two: which sections it has, and what stands above them."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from gatebench.analyze.blocks import blocks_of
from gatebench.analyze.compare import compare, pay_back_calls
from gatebench.analyze.verdicts import controls
from gatebench.errors import UserError
from gatebench.report.ab_blocks import ab_blocks
from gatebench.report.ab_run import ab_document
from gatebench.report.html.compare import implementations_section, runs_section, versions_section
from gatebench.report.html.content import Part, Report, Section
from gatebench.report.html.coverage import coverage_section
from gatebench.report.html.environment import environment_section, quiet_block
from gatebench.report.html.scaling import scaling_section
from gatebench.report.html.slices import BlocksByCase, slices
from gatebench.report.html.stability import stability_section
from gatebench.report.html.summary import summary_section
from gatebench.report.html.trade_off import trade_off_section
from gatebench.report.html.winner_map import winner_map_section
from gatebench.report.names import date_label, run_label
from gatebench.report.run_facts import commit_text, part
from gatebench.report.table import Block
from gatebench.report.two_runs import ACROSS, WARNING, check_alike, what_changed_block
from gatebench.store.read import WORKER, Results, Run


@dataclass(frozen=True)
class _Stored:
    """A run with its tables. Cases of an A/B that are its own controls are in none of them."""

    run: Run

    @cached_property
    def results(self) -> Results:
        """Return the tables; raises StoreError where one cannot be read."""
        results = Results((self.run,))
        results.require()
        return results

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """Return one row per case and side."""
        own = self.run.plan()["controls"] if self.run.purpose == "ab" else ()
        return self.results.measurements[~self.results.measurements["case_id"].isin(list(own))].reset_index(drop=True)

    @cached_property
    def blocks(self) -> pd.DataFrame:
        """Return what the samples of each case come to in each block."""
        return blocks_of(self.results.samples)

    @cached_property
    def compared(self) -> pd.DataFrame:
        """Return measurements with speed-ups and ranks."""
        compared = compare(self.measurements, self.blocks)
        return compared.assign(pay_back_calls=pay_back_calls(compared))

    @property
    def label(self) -> str:
        """Return the run's name for people."""
        manifest = self.run.manifest
        harness = str(manifest.get("harness") or WORKER)
        return run_label(self.run.run_id, _suite(self.run), manifest.get("created_utc"), self.run.folder, harness)

    def sections(self) -> tuple[Section, ...]:
        """Return what is about this run alone."""
        found, stability, blocks = slices(self.compared), self.results.stability, BlocksByCase(self.blocks)
        return (
            trade_off_section(found, slices(self.compared, along="Gate"), stability),
            scaling_section(found, slices(self.compared, along="Batch size"), blocks),
            winner_map_section(found, blocks), stability_section(stability),
            coverage_section(self.measurements, self.results.accuracy, date_label(self.run.manifest.get("created_utc"))),
        )  # fmt: skip

    def quiet(self, title: str = "How quiet it was") -> Block:
        """Return how quiet the machine was."""
        return quiet_block(self.compared, self.results.samples, title)


def run_report(run: Run) -> Report:
    """Return the report of a run of implementations, or of an A/B of two versions.

    Raises UserError for a calibration, and StoreError for a run that cannot be read.
    """
    stored = _judgeable(run)
    summary = summary_section(stored.compared, stored.results.stability)
    if run.purpose == "ab":
        first, second = _versions(stored)
    else:
        first, second = (
            summary,
            implementations_section(stored.compared, stored.blocks, stored.results.stability),
        )
    environment = environment_section((run,), (stored.quiet(),))
    return Report(stored.label, _lead(run), (first, second, *stored.sections(), environment))


def _versions(stored: _Stored) -> tuple[Section, Section]:
    """Return summary and comparison of an A/B run: its verdicts, as it stored them."""
    plan, verdicts = stored.run.plan(), stored.results.verdicts
    lines = tuple(ab_blocks(ab_document(stored.run)))
    summary = Section(
        "summary",
        "Summary",
        "Did anything become slower or wrong, and can I believe it?",
        [Part("", blocks=lines)],
        notes=tuple(controls(plan, verdicts)),
    )
    names = (_version(plan["sides"]["base"]), _version(plan["sides"]["head"]))
    return summary, versions_section(verdicts, stored.results.measurements, list(plan["controls"]), names)


def _version(side: dict) -> str:
    commit = f" {side['sha'][:10]}" if side["sha"] else ""
    return f"{side['given']}{commit}{', with uncommitted changes' if side['dirty'] else ''}"


def two_runs_report(before: Run, after: Run, across_machines: bool) -> Report:
    """Return what changed from run A to run B, both environments, and B's own sections.

    Raises UserError for two environment classes unless `across_machines`, and for a calibration.
    """
    a, b = _judgeable(before), _judgeable(after)
    across = check_alike(before, after, across_machines, "report")
    frames = [(stored.measurements, stored.blocks) for stored in (a, b)]
    worth = ACROSS if across else WARNING
    compare = runs_section(frames[0], frames[1], across, (a.label, b.label), worth)
    environment = environment_section((before, after), (
        *what_changed_block(before, after), a.quiet("How quiet it was: A"), b.quiet("How quiet it was: B"),
    ))  # fmt: skip
    of_b = [
        Section(part.anchor, f"{part.title} (B)", part.question, part.parts, part.choices, part.notes)
        for part in b.sections()
    ]
    summary = summary_section(b.compared, b.results.stability)
    summary = Section(summary.anchor, "Summary (B)", summary.question, summary.parts)
    lead = tuple(f"{name}: {line}" for name, run in (("A", before), ("B", after)) for line in _lead(run))
    return Report(f"{a.label} → {b.label}", lead, (compare, summary, *of_b, environment))


def _judgeable(run: Run) -> _Stored:
    if run.purpose == "calibrate":
        what = f"run {run.run_id} is a calibration"
        raise UserError("report", what, "runs of `gatebench run` and `gatebench ab` are accepted", "see `gatebench compare RUN`")  # fmt: skip
    stored = _Stored(run)
    stored.results  # noqa: B018 (read now: what cannot be read is said before anything is made)
    return stored


def _lead(run: Run) -> tuple[str, ...]:
    """Return who, where and when of a run, in two lines; a third where not all was measured."""
    manifest = run.manifest
    environment, elapsed = part(manifest, "environment"), part(manifest, "elapsed").get("total_s")
    first = [
        f"run {run.run_id}",
        f"suite {_suite(run) or 'not told'}",
        f"{date_label(manifest.get('created_utc')) or 'no date'} UTC",
    ]
    first += [f"took {elapsed:.0f} s"] if isinstance(elapsed, int | float) else []
    second = [
        f"on {environment.get('device_name') or 'an unknown machine'}", f"environment class {manifest.get('environment_class') or 'not told'}",
        f"commit {commit_text(part(manifest, 'git'))}", f"gatebench {manifest.get('gatebench_version') or 'not told'}",
    ]  # fmt: skip
    complete = manifest.get("status") == "complete"
    rest = () if complete else ("Interrupted: not all that the suite asks for was measured.",)
    return (" · ".join(first), " · ".join(second), *rest)


def _suite(run: Run) -> str | None:
    name = part(run.manifest, "suite").get("name")
    return name if isinstance(name, str) else None
