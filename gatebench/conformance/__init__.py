"""The conformance kit: does an implementation keep all the rules? One file per kind of rule; `gatebench.testing` and
`gatebench check` run it."""

from gatebench.conformance import honesty, identity, layouts, limits, numerics, settings, values
from gatebench.conformance.judge import applicable, run_check
from gatebench.conformance.kit import CHECKS, STATUSES, Check, CheckFailed, CheckResult, NotApplicable
from gatebench.conformance.trial import Trial

__all__ = [
    "CHECKS", "STATUSES", "Check", "CheckFailed", "CheckResult", "NotApplicable", "Trial", "applicable", "honesty",
    "identity", "layouts", "limits", "numerics", "run_check", "settings", "values",
]  # fmt: skip
