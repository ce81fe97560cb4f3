"""Python itself."""

from speed.work import Unit


def ints() -> Unit:
    def unit(number: int) -> int:
        total = 0
        for value in range(300):
            total += value * value % 7
        return total

    return unit


def dicts() -> Unit:
    keys = [f"key{number}" for number in range(150)]

    def unit(number: int) -> int:
        table: dict[str, int] = {}
        for key in keys:
            table[key] = table.get(key, number) + 1
        return len(table)

    return unit


def sorting() -> Unit:
    values = [(number * 7919) % 1009 for number in range(200)]

    def unit(number: int) -> list[int]:
        return sorted(values, key=lambda value: -value)

    return unit


def strings() -> Unit:
    def unit(number: int) -> str:
        return ",".join(str(value + number) for value in range(120))

    return unit


UNITS = {"ints": ints, "dicts": dicts, "sorting": sorting, "strings": strings}
