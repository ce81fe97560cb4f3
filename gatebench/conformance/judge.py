"""Run one check of one trial; whatever the implementation raises becomes the check's own failure."""

import time

from gatebench.conformance.kit import CHECKS, Check, CheckFailed, CheckResult, NotApplicable
from gatebench.conformance.trial import Trial
from gatebench.contract import Unavailable, Unsupported
from gatebench.measure.failures import classify


def applicable(check: Check, trial: Trial) -> str | None:
    """Return why a check does not concern a trial; None where it does."""
    if trial.device not in trial.entry.devices:
        return f"the implementation does not take {trial.device}"
    if check.gradients and not trial.differentiates:
        return "the implementation claims no gradients"
    if check.time and not trial.has_time:
        return "the gate has no time"
    if check.device is not None and check.device != trial.device:
        return f"on {check.device} only"
    return None


def run_check(trial: Trial, id: str) -> CheckResult:
    """Run the check `id` and say how it ended; raises KeyError for an unknown id."""
    check = CHECKS[id]
    started = time.perf_counter()
    status, message = _outcome(check, trial)
    return CheckResult(trial.entry.name, trial.gate.name, id, status, message, time.perf_counter() - started)


def _outcome(check: Check, trial: Trial) -> tuple[str, str]:
    reason = applicable(check, trial)
    if reason is not None:
        return "not applicable", reason
    try:
        return "passed", check.run(trial) or ""
    except CheckFailed as failure:
        return "failed", str(failure)
    except (NotApplicable, Unsupported, Unavailable) as reason:
        return "not applicable", str(reason) or "refused"
    except (Exception, SystemExit) as error:  # the code under test may raise anything
        failure = classify(error)
        where = f" ({failure.where})" if failure.where else ""
        return "failed", f"{failure.reason}{where}"
