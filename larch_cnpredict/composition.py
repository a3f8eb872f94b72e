"""What a sample is made of, as the user or the header of its data says, and as the models read it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import xraydb

from .absorber import element_symbol, xdi_section
from .errors import CompositionError
from .features import one_hot

NOBLE = np.array([2, 10, 18, 36, 54, 86, 118])
# CuSO4.5H2O, CuSO4 . 5 H2O, CuSO4 5H2O: the point is no decimal point, and the space no mere space
_HYDRATE = re.compile(r"(?:\s*\.\s+|\.(?=\S*$)|(?<=[\d)])\s+|\s+(?=\S*$))(\d*\.?\d*)\s*(?=\(?[HD]2O\)?$)")
# Fe2O3 2Cr2O3, and CuSO4.5 H2O: five waters, or one and half an oxygen?
_AMBIGUOUS = re.compile(r"\d\s+[\d.]|[1-9]\.\d+·")
MOST_OTHERS = 7  # elements beside the absorber that may be of other phases: 127 ways
APART = re.compile(r"[\s,;+-]+")  # what stands between names of elements
_SIGNS = str.maketrans("[]{}*•⋅‧∙₀₁₂₃₄₅₆₇₈₉", "()()·····0123456789")
_READS = {
    "formula": "write it as in formula='Na2CrO4', or where amounts are not known as in elements='Na Cr O'",
    "elements": "write them as in elements='Na Cr O'",
}


@dataclass(frozen=True)
class Composition:
    """What a sample is made of: amounts by symbol, all 1 where `kind` is 'elements', which says no amounts."""

    kind: str  # 'formula' or 'elements'
    text: str  # as it was given
    amounts: dict[str, float]


def find_composition(
    group: Any, name: str, absorber: str, formula: str | None, elements: str | None
) -> tuple[Composition | None, list[str]]:
    """The user's word for it, else the XDI header's, which was written for others: what is wrong with it is a note."""
    if formula is not None and elements is not None:
        raise CompositionError("formula and elements are both given: pass one of them")
    if elements is not None:
        return read("elements", elements, name, absorber), []
    if formula is not None:
        return (read("formula", formula, name, absorber) if formula.strip() else None), []
    said = header_formula(group)
    if not said:
        return None, []
    try:
        return read("formula", said, name, absorber), []
    except CompositionError as error:
        return None, [f"the header's Sample.stoichiometry was not used: {str(error).rstrip('.')}"]


def header_formula(group: Any) -> str:
    """What the XDI header of a group's file says that the sample is made of."""
    said = xdi_section(group, "sample").get("stoichiometry")
    return said.strip() if isinstance(said, str) else ""


def read(kind: str, text: str, name: str, absorber: str) -> Composition:
    """A formula (with brackets and hydrates), or names of elements apart; a CompositionError where it is neither."""
    try:
        if kind == "formula":
            plain = text.strip().translate(_SIGNS)
            if "·" not in plain:
                plain = _HYDRATE.sub(r"·\1", plain)
                if _AMBIGUOUS.search(plain):
                    raise ValueError(plain)
            parts = [re.sub(r"^(\d*\.?\d+)(.+)$", r"(\2)\1", part) for part in re.sub(r"\s", "", plain).split("·")]
            amounts = {symbol: float(n) for symbol, n in xraydb.chemparse("".join(parts)).items() if n > 0}
        else:
            words = filter(None, APART.split(text))
            amounts = dict.fromkeys([element_symbol(word) or word if word.isalpha() else word for word in words], 1.0)
        numbers = [_number(symbol) for symbol in amounts]
    except (ValueError, KeyError, AttributeError, IndexError, RecursionError):
        numbers = []
    if not numbers or max(numbers) > NOBLE[-1] or not np.isfinite(sum(amounts.values())):
        raise CompositionError(f"{kind}={text!r:.60} cannot be read: {_READS[kind]}")
    if absorber not in amounts:
        raise CompositionError(f"{kind}={text!r:.60} has no {absorber}, the absorber of {name}: correct one of the two")
    return Composition(kind, text.strip(), amounts)


def inputs(compositions: Sequence[dict[str, float]], absorbers: Sequence[str]) -> np.ndarray:
    """What the models read of compositions, (n, 142): fractions by atomic number, absorber, statistics of elements."""
    shares = _by_number(compositions)
    shares /= shares.sum(1, keepdims=True)
    places, there = _places(), shares[:, :, None] > 0
    mean = shares @ places
    spread = np.sqrt(np.maximum(shares @ places**2 - mean**2, 0))
    highest, lowest = np.where(there, places, 0).max(1), np.where(there, places, NOBLE[-1]).min(1)
    own = shares[np.arange(len(shares)), [_number(absorber) for absorber in absorbers]]
    columns = [shares[:, 1:], one_hot(absorbers), own, mean, spread, highest, lowest, there.sum((1, 2))]
    return np.column_stack(columns).astype(np.float32)


def fewer(amounts: dict[str, float], absorber: str) -> list[dict[str, float]]:
    """What is left where some of the elements are of other phases, such as a support: all ways, with the absorber."""
    others = [symbol for symbol in amounts if symbol != absorber][:MOST_OTHERS]
    ways = (kept for n in range(len(others)) for kept in combinations(others, n))
    return [dict.fromkeys((absorber, *kept), 1.0) for kept in ways]


def elements_of(compositions: Sequence[dict[str, float]]) -> np.ndarray:
    """Which elements there are, by atomic number: (n, 119), a mask."""
    return _by_number(compositions) > 0


def _by_number(compositions: Sequence[dict[str, float]]) -> np.ndarray:
    out = np.zeros((len(compositions), NOBLE[-1] + 1))
    for row, amounts in zip(out, compositions, strict=True):
        row[[_number(symbol) for symbol in amounts]] = list(amounts.values())
    return out


@lru_cache  # xraydb looks through all elements each time
def _number(symbol: str) -> int:
    if not symbol[0].isalpha():
        raise ValueError(symbol)
    return int(xraydb.atomic_number(symbol))


def is_transition_metal(symbol: str) -> bool:
    """Whether an element is of the groups 3 to 12."""
    return bool(3 <= _places()[_number(symbol), 1] <= 12)


def _places() -> np.ndarray:
    """Period, group and atomic number of each element, by atomic number."""
    z = np.arange(NOBLE[-1] + 1)
    period = np.searchsorted(NOBLE, z) + 1
    after, before = z - np.r_[0, NOBLE][period - 1], NOBLE[period - 1] - z  # places since and to a noble gas
    group = np.where((after <= 2) & (before > 0), after, np.maximum(18 - before, 3))
    return np.column_stack([period, group, z])
