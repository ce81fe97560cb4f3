"""Names of the reasons for which an NVIDIA device lowers its clock; torch-free, for whoever asks the driver."""

# Bits of nvmlClocksThrottleReasons that make timings incomparable; idle and the user's own clock settings do not.
THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}


def throttle_reasons(bits: int) -> list[str]:
    """Return the names of the reasons in a bit mask of the driver's."""
    return [name for bit, name in THROTTLE_REASONS.items() if bits & bit]
