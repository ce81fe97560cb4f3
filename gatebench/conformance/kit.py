"""What a check is, the list of all checks, and how one ends: passed, failed, or not applicable with a reason."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatebench.conformance.trial import Trial

STATUSES = ("passed", "failed", "not applicable")


class CheckFailed(Exception):
    """The implementation breaks the rule; the text says how, with the tensor, gate block and step where it can."""


class NotApplicable(Exception):
    """The rule does not concern this implementation; the text says why."""


@dataclass(frozen=True)
class Check:
    """One rule that an implementation must keep.

    id          stable name, as `gatebench check` prints it and `expected_failures` takes it
    sentence    the rule
    hint        what most often breaks it
    run         raises CheckFailed or NotApplicable; may return a note
    fast        part of `gatebench check --fast`
    explains    a failure says which mistake makes other checks fail
    gradients   concerns only implementations that can be differentiated
    time        concerns only gates with time
    device      the device it needs, or None for any
    """

    id: str
    sentence: str
    hint: str
    run: "Callable[[Trial], str | None]"
    fast: bool = False
    explains: bool = False
    gradients: bool = False
    time: bool = False
    device: str | None = None


@dataclass(frozen=True)
class CheckResult:
    """How one check of one implementation and gate ended; message is the failure, the reason, or a note."""

    implementation: str
    gate: str
    check: str
    status: str
    message: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


CHECKS: dict[str, Check] = {}


def check(
    id: str, sentence: str, hint: str, **settings: Any
) -> "Callable[[Callable[[Trial], str | None]], Callable[[Trial], str | None]]":
    """Register a function as the check `id`; settings: fast, explains, gradients, time, device."""

    def register(run: "Callable[[Trial], str | None]") -> "Callable[[Trial], str | None]":
        assert id not in CHECKS, id
        CHECKS[id] = Check(id, sentence, hint, run, **settings)
        return run

    return register


def require(holds: bool, message: str) -> None:
    """Raise CheckFailed(message) unless a condition holds."""
    if not holds:
        raise CheckFailed(message)
