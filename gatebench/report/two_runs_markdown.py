"""Two stored runs beside each other as Markdown: the change of each case, their means, and what else changed."""

from gatebench.analyze.two_runs import changes, mean_changes
from gatebench.report.change_table import change_blocks, means_of_changes, only_in
from gatebench.report.ci.markdown import page
from gatebench.report.ci.run_markdown import facts_line, section_of
from gatebench.report.table import Block
from gatebench.report.two_runs import ACROSS, WARNING, check_alike, legend, what_changed_block
from gatebench.store.read import Results, Run


def markdown_of_two(before: Run, after: Run, across_machines: bool) -> str:
    """Return the page of what changed from run A to run B.

    Raises UserError for two environment classes unless `across_machines`, and StoreError for what cannot be read.
    """
    across = check_alike(before, after, across_machines, "report")
    sides = [Results((run,)) for run in (before, after)]
    for side in sides:
        side.require("measurements", "samples")
    changed = changes(*((side.measurements, side.samples) for side in sides))
    means = mean_changes(changed, sides[0].samples, sides[1].samples, ["gate"])
    told = Block("Not in both", (), (), only_in(changed, False))
    blocks = [means_of_changes(means, ["gate"], across), *change_blocks(changed, across)]
    marks = "; ".join(legend(changed, blocks)).replace("~", "\\~")
    blocks += [*([told] if told.notes else []), *what_changed_block(before, after)]
    names = (f"{name}: {facts_line(run.manifest)}" for name, run in (("A", before), ("B", after)))
    opening = "\n\n".join(
        ["**GateBench: what changed from run A to run B**", *names, ACROSS if across else WARNING, marks]
    )
    return page(opening + "\n", [section_of(block) for block in blocks])
