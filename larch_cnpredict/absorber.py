"""Which element absorbs, and at which edge."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import xraydb
from larch import Group
from larch.xafs import find_e0
from larch.xafs.xafsutils import KTOE

from .errors import AbsorberConflictError, OptionError, UnknownAbsorberError, UnsupportedAbsorberError
from .features import EDGE, ELEMENTS

# A measured edge lies this near the tabulated one (chemical shift, choice of e0, a monochromator out of calibration).
# This near, one of our K edges is preferred even to a nearer L edge: the e0 of vanadium(V) is that of La L3.
E0_TOLERANCE = 50.0  # eV
E0_LOWEST, E0_HIGHEST = 100.0, 2e5  # eV: no edge that is measured with EXAFS is outside
MU_SHORTEST = 50  # points of mu(E) in which an edge is looked for


def find_absorber(group: Group, name: str, element: Any = None, edge: Any = None) -> tuple[str, list[str], list[str]]:
    """The element, by the user, its label or its edge; notes on how it was found; doubts about the word of the user."""
    edge = None if edge is None else f"{str(edge).strip():.40}"
    e0 = edge_energy(group)
    at_e0 = edge_at(e0) if e0 is not None else None
    near = next((known for known in ELEMENTS if e0 is not None and _is_near(e0, k_edge(known))), None)
    labelled, labelled_edge = _label(group, e0, near)
    notes, doubts, why = [], [], ""
    if element is not None:
        symbol, shell = element_symbol(element), edge or EDGE
        if symbol is None:
            raise OptionError("element", element, "an element, such as 'Fe'")
        if labelled and labelled != symbol:
            notes.append(f"absorber taken as {symbol}, as asked, though the group is labelled {labelled}")
    elif labelled:
        symbol, why = labelled, ", says its label"
        shell = edge or labelled_edge or (at_e0[1] if at_e0 and at_e0[0] == symbol else EDGE)
    elif near:
        symbol, shell = near, edge or EDGE
        if at_e0 and at_e0 != (near, EDGE):
            notes.append(f"read as {near} K from its edge at {e0:.1f} eV, which could also be {' '.join(at_e0)}")
    elif at_e0:
        symbol, shell, why = at_e0[0], edge or at_e0[1], f", by its edge at {e0:.1f} eV"
    elif e0 is not None:
        raise UnknownAbsorberError(name, f"no edge is known within {E0_TOLERANCE:g} eV of e0 = {e0:.1f} eV")
    else:
        raise UnknownAbsorberError(name, "it has neither metadata nor an edge energy")

    if near and element is None:
        why += f" (pass element={near!r} if it is {near} K)"
    if shell.upper() != EDGE:
        raise UnsupportedAbsorberError(name, f"the {symbol} {shell} edge{why}", ", ".join(ELEMENTS))
    if symbol not in ELEMENTS:
        raise UnsupportedAbsorberError(name, f"{symbol}{why}", ", ".join(ELEMENTS))
    if e0 is not None and not _is_near(e0, k_edge(symbol)):
        there = " ".join(at_e0) if at_e0 else "no known element"
        if element is None:
            raise AbsorberConflictError(name, f"{symbol} K", e0, there)
        doubts.append(f"absorber taken as {symbol} K, as asked, though the edge at {e0:.1f} eV is that of {there}")
    return symbol, notes, doubts


def _label(group: Group, e0: float | None, near: str | None) -> tuple[str | None, str | None]:
    """Element and edge of the metadata: the user's own, XDI, Larix and Athena, in this order.

    `pre_edge` writes `guess_edge(e0)`, however far that edge is, to atsym and edge where nothing is there, and Larch to
    the z of Athena projects. A guess from e0 is no label, nor is one from Larch's own e0, where another was set.
    """
    params, xdi = getattr(group, "athena_params", None), xdi_section(group, "element")
    atsym, edge = element_symbol(getattr(group, "atsym", None)), _edge_name(getattr(group, "edge", None))
    athena = element_symbol(getattr(getattr(params, "bkg", None), "z", None))
    athena_edge = _edge_name(getattr(getattr(params, "fft", None), "edge", None))
    guesses = [] if e0 is None else [_guess(e0)]
    if near and atsym not in (None, near) and (atsym, edge) not in guesses:
        automatic = _automatic_e0(group)
        guesses += [] if automatic is None else [_guess(automatic)]
    for symbol, shell in filter(None, guesses):
        atsym = None if atsym == symbol else atsym
        edge = None if edge == shell else edge
        athena = None if athena == symbol and athena_edge in (None, EDGE) and shell != EDGE else athena
    for element, its_edge in (
        (element_symbol(getattr(group, "element", None)), edge),
        (element_symbol(xdi.get("symbol")), _edge_name(xdi.get("edge"))),
        (atsym, edge),
        (athena, athena_edge),
    ):
        if element not in (None, "H"):  # Athena writes H where it does not know
            return element, its_edge
    return None, None


def xdi_section(group: Any, name: str) -> dict[str, Any]:
    """A section of the XDI header, as `read_xdi` leaves it; empty where there is none."""
    header = getattr(group, "attrs", None)
    section = header.get(name) if isinstance(header, dict) else None
    return section if isinstance(section, dict) else {}


def element_symbol(value: Any) -> str | None:
    """'fe', 'Iron', 26 or '26' as 'Fe'; None where it is no element."""
    return _symbol_of(str(value).strip().lower()) if isinstance(value, str | int | float | np.number) else None


@lru_cache  # xraydb looks through all elements each time
def _symbol_of(text: str) -> str | None:
    try:
        if text[:1].isdigit():
            number = float(text)
            return str(xraydb.atomic_symbol(int(number))) if number.is_integer() else None
        return str(xraydb.atomic_symbol(text.capitalize()))
    except (ValueError, KeyError, AttributeError, IndexError, OverflowError, TypeError):
        return None


def _edge_name(value: Any) -> str | None:
    return (value.strip().capitalize() or None) if isinstance(value, str) else None


def edge_energy(group: Group) -> float | None:
    """e0 in eV, from mu(E) where the group has none."""
    for attr in ("e0", "ek0"):
        if (value := as_number(getattr(group, attr, None)) or 0.0) > E0_LOWEST:
            return value
    return _automatic_e0(group)


def energy_and(group: Any, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """mu(E), say, where it is a row of real numbers."""
    energy, mu = getattr(group, "energy", None), getattr(group, name, None)
    if not (isinstance(energy, np.ndarray) and isinstance(mu, np.ndarray) and energy.shape == mu.shape):
        return None
    return (energy, mu) if energy.ndim == 1 and {energy.dtype.kind, mu.dtype.kind} <= set("iuf") else None


def _automatic_e0(group: Group) -> float | None:
    """The e0 that Larch finds in mu(E); None where there is no edge to be found."""
    if (measured := energy_and(group, "mu")) is None:
        return None
    energy, order = np.unique(measured[0].astype(float), return_index=True)
    mu = measured[1].astype(float)[order]
    if len(energy) < MU_SHORTEST or not np.isfinite([energy, mu]).all():
        return None
    try:
        with np.errstate(all="ignore"):
            e0 = as_number(find_e0(Group(energy=energy, mu=mu)))
    except (ValueError, TypeError, IndexError, ZeroDivisionError):  # what find_e0 meets in data without an edge
        return None
    return e0 if (e0 or 0.0) > E0_LOWEST else None


def as_number(value: Any) -> float | None:
    """A finite real number as float, else None."""
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if np.isfinite(number) else None


def edge_at(e0: float) -> tuple[str, str] | None:
    """Larch's guess of element and edge from an energy in eV; None where none is near."""
    guess = _guess(e0)
    return guess if guess and _is_near(e0, k_edge(*guess)) else None


@lru_cache  # as above
def _guess(e0: float) -> tuple[str, str] | None:
    """The same, however far it is."""
    if e0 > E0_HIGHEST:
        return None
    symbol, shell = xraydb.guess_edge(e0)
    return str(symbol), str(shell)


def other_edge(absorber: str, symbols: Iterable[str], kmin: float, kmax: float) -> str:
    """The first edge of these elements that lies within a range of k (Å^-1) beyond the absorber's, in words; or ''."""
    start, inside = k_edge(absorber), []
    for symbol in {*symbols} - {absorber}:
        for shell, edge in xraydb.xray_edges(symbol).items():
            if KTOE * kmin**2 < edge.energy - start < KTOE * kmax**2:
                inside.append((edge.energy, f"{symbol} {shell}"))
    if not inside:
        return ""
    energy, name = min(inside)
    return f"{name}, at {energy:.0f} eV, is at k = {np.sqrt((energy - start) / KTOE):.1f} Å^-1"


def _is_near(e0: float, edge: float) -> bool:
    return round(abs(e0 - edge), 3) <= E0_TOLERANCE


@lru_cache  # xraydb asks its database each time
def k_edge(symbol: str, shell: str = EDGE) -> float:
    """Tabulated energy of an edge, eV."""
    return float(xraydb.xray_edge(symbol, shell).energy)
