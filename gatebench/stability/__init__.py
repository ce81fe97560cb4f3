"""Gradient stability: whether a gate lets gradients live, measured in log space against float64.

Public names are imported when first used, so that `gatebench.stability.metrics` (the table of metric names)
loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatebench.stability.activations import LetterSaturation as LetterSaturation
    from gatebench.stability.activations import saturation as saturation
    from gatebench.stability.bounds import norm_bound as norm_bound
    from gatebench.stability.checks import StabilityError as StabilityError
    from gatebench.stability.classification import classify as classify
    from gatebench.stability.classification import most_severe as most_severe
    from gatebench.stability.clip import ClipStatistics as ClipStatistics
    from gatebench.stability.clip import clipping as clipping
    from gatebench.stability.depth import depth_profile as depth_profile
    from gatebench.stability.gradients import gradient_norms as gradient_norms
    from gatebench.stability.gradients import gradient_profile as gradient_profile
    from gatebench.stability.low_precision import PrecisionError as PrecisionError
    from gatebench.stability.low_precision import precision as precision
    from gatebench.stability.lyapunov import LyapunovSpectrum as LyapunovSpectrum
    from gatebench.stability.lyapunov import lyapunov_of_products as lyapunov_of_products
    from gatebench.stability.lyapunov import lyapunov_spectrum as lyapunov_spectrum
    from gatebench.stability.profile import Profile as Profile
    from gatebench.stability.singular import LogSingularValues as LogSingularValues
    from gatebench.stability.singular import log_abs_det as log_abs_det
    from gatebench.stability.singular import singular_values as singular_values
    from gatebench.stability.tasks import find_task as find_task
    from gatebench.stability.theory import MeanField as MeanField
    from gatebench.stability.theory import mean_field as mean_field
    from gatebench.stability.training import Training as Training
    from gatebench.stability.training import train as train
    from gatebench.stability.trajectory import Trajectory as Trajectory
    from gatebench.stability.trajectory import unroll as unroll

_PUBLIC = {
    "classify": "classification",
    "clipping": "clip",
    "ClipStatistics": "clip",
    "depth_profile": "depth",
    "find_task": "tasks",
    "gradient_norms": "gradients",
    "gradient_profile": "gradients",
    "LetterSaturation": "activations",
    "log_abs_det": "singular",
    "LogSingularValues": "singular",
    "lyapunov_of_products": "lyapunov",
    "lyapunov_spectrum": "lyapunov",
    "LyapunovSpectrum": "lyapunov",
    "mean_field": "theory",
    "MeanField": "theory",
    "most_severe": "classification",
    "norm_bound": "bounds",
    "precision": "low_precision",  # no module may bear a public function's name: it would hide the function
    "PrecisionError": "low_precision",
    "Profile": "profile",
    "saturation": "activations",
    "singular_values": "singular",
    "StabilityError": "checks",
    "train": "training",
    "Training": "training",
    "Trajectory": "trajectory",
    "unroll": "trajectory",
}

__all__ = [
    "ClipStatistics",
    "LetterSaturation",
    "LogSingularValues",
    "LyapunovSpectrum",
    "MeanField",
    "PrecisionError",
    "Profile",
    "StabilityError",
    "Training",
    "Trajectory",
    "classify",
    "clipping",
    "depth_profile",
    "find_task",
    "gradient_norms",
    "gradient_profile",
    "log_abs_det",
    "lyapunov_of_products",
    "lyapunov_spectrum",
    "mean_field",
    "most_severe",
    "norm_bound",
    "precision",
    "saturation",
    "singular_values",
    "train",
    "unroll",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, loaded or not, beside the module's own attributes."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
