"""Words of a [stability] part that suites, gates and metrics read alike; inits and inputs may be name=<number>."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gatebench.errors import UserError, closest


class Choice(NamedTuple):
    """What a text asks for."""

    name: str
    number: float | None = None


@dataclass(frozen=True)
class Form:
    """One way to write a choice: the name alone, or with a finite number; `number` says which, as in g >= 0."""

    name: str
    number: str = ""
    accepts: Callable[[float], bool] = math.isfinite

    def __str__(self) -> str:
        return f"{self.name}=<{self.number}>" if self.number else self.name

    def read(self, text: str) -> Choice | None:
        """Return the choice that a text makes in this form, None where it is not of this form."""
        name, equals, number = text.partition("=")
        if name != self.name or bool(equals) != bool(self.number):
            return None
        if not equals:
            return Choice(name)
        try:
            value = float(number)
        except ValueError:
            return None
        return Choice(name, value) if math.isfinite(value) and self.accepts(value) else None


INITS = (
    Form("torch"),
    Form("keras"),
    Form("xavier"),
    Form("irnn"),
    Form("orthogonal", "g >= 0", lambda g: g >= 0),
    Form("gaussian", "g >= 0", lambda g: g >= 0),
    Form("forget_bias", "number"),
    Form("chrono"),
    Form("chrono", "T_max >= 3", lambda steps: steps >= 3),
)
INPUTS = (
    Form("normal"),
    Form("zero"),
    Form("white", "s2 >= 0", lambda variance: variance >= 0),
    Form("correlated", "-1 < rho < 1", lambda rho: -1 < rho < 1),
)

METRICS = {  # groups of stability metrics that a suite may ask for
    "profile": "gradient norms by lag, slope, half-life, horizon, reach",
    "bounds": "the products of norms that bound them",
    "lyapunov": "the largest Lyapunov exponent",
    "spectrum": "all Lyapunov exponents",
    "singular_values": "singular values of the end-to-end Jacobian",
    "determinant": "its determinant",
    "saturation": "saturated, dead and negative shares and slopes of the gate's letters",
    "precision": "dtypes below float64 against it",
    "depth": "gradient norms by layer of a stack",
    "theory": "what is known in closed form: half-life of an open gate, mean field, edge of stability",
}
DEFAULT_METRICS = ("profile", "bounds", "lyapunov", "saturation", "precision", "depth", "theory")
TASKS = {"adding": 2, "copy": 10, "reber": 7}  # generated tasks to train on -> width of their inputs


def choice(where: str, kind: str, text: str, forms: tuple[Form, ...], error: type[UserError] = UserError) -> Choice:
    """Read a text in one of `forms`; raises `error` for any other, with all of them and the one of the closest name."""
    for form in forms:
        if found := form.read(text):
            return found
    name, equals, _ = text.partition("=")
    alike_last = sorted(forms, key=lambda form: bool(form.number) == bool(equals))  # of two with a name this one stays
    by_name = {form.name: str(form) for form in alike_last}
    close = closest(name, by_name)
    accepted = f"accepted: {', '.join(sorted(map(str, forms)))}"
    raise error(where, f"unknown {kind} {text!r}", accepted, f"did you mean {by_name[close]!r}?" if close else "")
