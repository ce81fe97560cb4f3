"""What on this machine hurts measuring, and what to do about it. Only reads: settings are never changed."""

from gatebench.run.fitness.checks import examine
from gatebench.run.fitness.machine import Finding, Machine

__all__ = ["Finding", "Machine", "examine"]
