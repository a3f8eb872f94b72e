"""Where the spectra of a series lie: by the numbers in their names, or by what is known of each scan."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from larch import Group, Journal, isgroup

from .absorber import as_number
from .errors import BadArrayError, SeriesError
from .spectrum import plain_name

ABOUT_THE_SCAN = ("attrs", "athena_params", "config", "journal")  # where Larch and Larix put what is no array
# What Larch, Larix and Athena keep of their processing, which differs a little from scan to scan.
_PROCESSING = re.compile(
    r"(athena_params|config)\..*|.*_callargs\..*|e0|ek0|rbkg|edge_step.*|energy_shift|eps.*|plot_.*"
)
_NUMBER_AND_UNIT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\W\d_][^\d]*|%|°.*)?")


def positions(groups: Sequence[Any], x: Any) -> tuple[Sequence[Any], str]:
    """Where each group lies along the series (None where that is not known), and what that is."""
    if x is None:
        numbers = _scan_numbers([plain_name(group) for group in groups])
        return (numbers, "scan number") if numbers else (range(1, len(groups) + 1), "number in the series")
    if isinstance(x, str):
        return _from_metadata(groups, x)
    try:
        values = np.asarray(x, dtype=float)
    except (TypeError, ValueError):
        raise BadArrayError("the series", "x", "is neither a name nor numbers") from None
    if values.shape != (len(groups),):
        raise BadArrayError("the series", "x", f"must be one number for each of the {len(groups)} groups")
    if not np.isfinite(values).all():
        raise BadArrayError("the series", "x", "has NaN or infinity")
    return list(values), "x"


def _scan_numbers(names: Sequence[str]) -> list[int]:
    """The number that counts in names which differ in their numbers alone, such as nio_300K_007.xdi; else none."""
    pieces = [re.split(r"(\d+)", name) for name in names]
    if len({tuple(parts[::2]) for parts in pieces}) > 1:
        return []
    columns = [[int(number) for number in column] for column in zip(*(parts[1::2] for parts in pieces), strict=True)]
    return next((column for column in reversed(columns) if len(set(column)) == len(names)), [])


def _from_metadata(groups: Sequence[Any], name: str) -> tuple[list[float | None], str]:
    """The values under a name, or under the first longer name that it is part of, which changes along the series."""
    known = [dict(about(group)) for group in groups]
    wanted = name.strip().lower()
    names = list(dict.fromkeys(key for one in known for key in one if wanted and wanted in key))
    names.sort(key=lambda key: (key != wanted, key.split(".")[-1] != wanted))
    columns = {key: [_number_and_unit(one.get(key)) for one in known] for key in names}
    columns = {key: column for key, column in columns.items() if any(column)}
    if not columns:
        changing = ", ".join(series_names(groups))
        said = f"what changes along it is {changing}"
        if not changing:
            said = "nothing that is known of these spectra changes along the series"
        raise SeriesError(f"has no {name!r} that is a number or a time", said)
    change = [key for key, column in columns.items() if len(set(column) - {None}) > 1] or list(columns)
    chosen = min(change, key=lambda key: len({pair[1] for pair in columns[key] if pair}) > 1)  # of one unit, if any is
    values = [None if pair is None else pair[0] for pair in columns[chosen]]
    units = list(dict.fromkeys(pair[1] for pair in columns[chosen] if pair))
    if len(units) > 1:
        mixed = " and in ".join(unit or "no unit" for unit in units)
        raise SeriesError(f"has {chosen} in {mixed}", "write it in one unit, or name something else that changes")
    unit = units[0]
    if unit == "date":
        seconds = [value for value in values if value is not None]
        size, unit = next((s, u) for s, u in ((3600, "h"), (60, "min"), (1, "s")) if np.ptp(seconds) >= 2 * s or s == 1)
        values = [None if value is None else (value - min(seconds)) / size for value in values]
    return values, f"{name} ({unit})" if unit else name


def about(group: Any, prefix: str | None = None) -> Iterator[tuple[str, Any]]:
    """Names, in lower case, and values of what is known of a scan: numbers and text, also in `ABOUT_THE_SCAN`."""
    items = group.items() if isinstance(group, dict | Journal) else vars(group).items() if isgroup(group) else ()
    for key, value in items:
        name = f"{prefix or ''}{key}".lower()
        if isinstance(value, Group | dict | Journal):
            if prefix is not None or key in ABOUT_THE_SCAN:
                yield from about(value, "" if key == "attrs" else f"{name}.")
        elif isinstance(value, str) or as_number(value) is not None:
            yield name, value


def _number_and_unit(value: Any) -> tuple[float, str] | None:
    """A number, also of text such as '300 K', or the seconds of a time such as '2024-05-01T12:00' and 'date'."""
    if not isinstance(value, str):
        number = as_number(value)
        return None if number is None else (number, "")
    if re.match(r"\s*\d{4}-\d", value):
        try:
            when = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), "date"
    match = _NUMBER_AND_UNIT.fullmatch(value)
    return (float(match[1]), (match[2] or "").strip()[:12]) if match else None


def series_names(groups: Sequence[Any]) -> list[str]:
    """What a series can be drawn against: what is a number for each group, of one unit, changes, and was not made."""
    known = [dict(about(group)) for group in groups]
    names = [name for name in known[0] if all(name in one for one in known)] if known else []
    names = [name for name in names if not _PROCESSING.fullmatch(name)]
    found = {name: {_number_and_unit(one[name]) for one in known} for name in names}
    return [name for name, pairs in found.items() if len(pairs) > 1 and len({pair and pair[1] for pair in pairs}) == 1]
