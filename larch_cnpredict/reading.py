"""chi(k) read again from a copy, where rbkg or e0 as the user has them often make a wrong answer.

Of 2,163 simulated mu(E) of materials that no model has learnt from, 1,314 of the 1,658 whose first peak lies near
rbkg = 1.2 Å are read rightly, 1,344 with rbkg = 0.7 (near 1.4 Å: 1,436 and 1,507 of 1,842; near 1 Å: 1,210 and 1,204 of
1,518); where the number is another one, the 90 % sets of what is read again hold it for 410 of 454
(`benchmarks.reading`). Of 1,278 others, with e0 10 eV off 66 % were right, with e0 on the edge 69 %; with e0 on the
pre-edge peak of a tetrahedron 66 %, and 73 %. Means of both distributions lie between.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from larch import Group
from larch.xafs import autobk, find_e0, pre_edge
from larch.xafs.xafsutils import KTOE

from .absorber import E0_TOLERANCE, as_number, energy_and
from .features import K_GRID, KMAX_RANGE, transform
from .transform import in_steps

if TYPE_CHECKING:
    from .result import Prediction
    from .spectrum import Spectrum

FIRST_SHELL_R = (1.0, 3.3)  # Å
RBKG_LOWER = 0.7  # Å
RBKG_REACH = 0.3  # Å: a first peak of |chi(R)| that begins this near beyond rbkg loses a part of it
# Metals have e0 at the foot of their edge, up to 9 eV below its middle and at 0.13 of the step or more.
EDGE_WIDTH, EDGE_FOOT, TOO_LOW, TOO_HIGH = 5.0, 0.1, 9.5, 7.5  # eV, of the edge step, eV, eV
SAME = 1.0  # eV: so near to where the edge is steepest, e0 is there
PEAK_DIP = 0.5  # a pre-edge peak falls to this share of itself before the edge; that of a metal does not
E0_ERROR = 5.0  # eV: what e0 is off by now and then, where there is no mu(E) that could tell
ALIKE = 0.2  # of the highest peak: autobk run again with the group's own settings gives the same to the last digit
LARGEST = 1e6  # of chi: beyond it there is no sense in any arithmetic
SEEN = 20.0  # eV: so far beyond the farthest edge that is looked for, mu(E) must be seen to tell it from a feature
_AUTOBK = ("kmin", "kmax", "kweight", "kw", "dk", "win", "nclamp", "clamp_lo", "clamp_hi", "edge_step")
_PRE_EDGE = ("step", "nnorm", "nvict", "npre", "pre1", "pre2", "norm1", "norm2")


def reread(group: Any, own: "Spectrum") -> "Spectrum":
    """The spectrum that is to answer, with others to hold it against: the group's own, where nothing is suspicious."""
    if own.k is None or own.chi is None:
        return own
    if getattr(group, "energy", None) is None and getattr(group, "mu", None) is None:
        others = []
        for shift, word in ((-E0_ERROR, "lower"), (E0_ERROR, "higher")):  # the same chi at other k
            there = np.sqrt(np.maximum(K_GRID**2 + shift / KTOE, 0))
            k = K_GRID[there <= own.k[-1]]
            if k[-1] < KMAX_RANGE[0]:  # which the models do not read
                continue
            chi = np.interp(there[: len(k)], own.k, own.chi)
            others.append(replace(_with_chi(own, k, chi), made=f"e0 {E0_ERROR:g} eV {word}"))
        return replace(own, made="e0 as it is", others=tuple(others))
    e0 = as_number(getattr(group, "ek0", None)) or as_number(getattr(group, "e0", None))
    measured = energy_and(group, "mu")
    if measured is None or e0 is None or own.rbkg is None:
        return own
    seen = Group(energy=measured[0], mu=measured[1])

    def edge_seen(e0: float) -> float | None:
        with suppress(Exception), np.errstate(all="ignore"):
            pre_edge(seen, e0=e0, **dict(_given(group, "pre_edge", _PRE_EDGE)))
        return _misplaced(seen, e0)

    edge = _misplaced(group, e0) if hasattr(group, "norm") else edge_seen(e0)  # copy_xafs_group leaves norm out
    for _ in range(2):  # with e0 far too low the edge step is too small, and a pre-edge peak looks like the edge
        edge = edge and (edge_seen(edge) or edge)

    def again(rbkg: float, edge: float | None) -> "Spectrum | None":
        with np.errstate(over="ignore"):  # a longer float's infinity is one that autobk refuses
            data = tuple(values.astype(float).tobytes() for values in measured)
        settings = _given(group, "autobk", _AUTOBK), _given(group, "pre_edge", _PRE_EDGE)
        step = as_number(getattr(group, "edge_step", None))
        background = _background(*data, edge or e0, None if edge else step, rbkg, *settings)
        if background is None or background[0][-1] < KMAX_RANGE[0]:
            return None
        read = _with_chi(own, *background)
        return replace(read, rbkg=rbkg, xftf=own.xftf | {"kmax": read.kmax})

    best = own if edge is None else again(own.rbkg, edge)
    if best is None:
        return own
    first = high_peaks(best.r, best.chir_mag).min(initial=np.inf)  # after e0, which moves it
    if own.rbkg > RBKG_LOWER + 0.05 and first < own.rbkg + RBKG_REACH:
        best = again(RBKG_LOWER, edge)
    if best is None or best is own or not _alike(again(own.rbkg, None), own):
        return own
    changes = []  # now, before, why
    if edge is not None:
        why = f"the group's e0 = {e0:.1f} eV is not on the edge, which is steepest at {edge:.1f} eV"
        changes.append((f"e0 = {edge:.6g} eV", f"e0 = {e0:.6g} eV", why))
    if best.rbkg != own.rbkg:
        why = f"the first peak of |chi(R)|, at {first:.2f} Å, is near the group's rbkg = {own.rbkg:g} Å"
        changes.append((f"rbkg = {best.rbkg:.6g} Å", f"rbkg = {own.rbkg:.6g} Å", why))
    now, before, reasons = map(" and ".join, zip(*changes, strict=True))
    note = f"read with a background of its own, {now}, from a copy of mu(E): {reasons}"
    return replace(best, notes=[note, *own.notes], made=now, others=(replace(own, made=before),))


def _with_chi(own: "Spectrum", k: np.ndarray, chi: np.ndarray) -> "Spectrum":
    """The spectrum with another chi(k), transformed as far as its own and the data go."""
    kmax = min(own.kmax, k[-1])
    r, chir_mag = transform(k, chi, kmax)
    return replace(own, k=k, chi=chi, r=r, chir_mag=chir_mag, kmax=kmax)


def _alike(again: "Spectrum | None", own: "Spectrum") -> bool:
    """Whether the group's chi(k) is of its mu(E) at all: it may have been corrected, merged or deglitched since."""
    if again is None:
        return False
    r, chir_mag = transform(*in_steps(own.k, own.chi), again.kmax)  # type: ignore[arg-type]
    n = min(len(r), len(again.r))
    return float(np.abs(again.chir_mag[:n] - chir_mag[:n]).max()) < ALIKE * float(chir_mag.max())


def compare(asked: Sequence["Spectrum"], answers: list["Prediction"]) -> list["Prediction"]:
    """Of the answers for the spectra and all their others after them: those for the spectra, which say what differs."""
    others = iter(answers[len(asked) :])
    out = []
    for spectrum, answer in zip(asked, answers, strict=False):
        read = [(other.made, next(others)) for other in spectrum.others]
        if differing := [f"{other.headline} with {made}" for made, other in read if other.differs(answer)]:
            at = len(answer.notes) - len(spectrum.notes)  # after the doubts
            said = f"the answer depends on it: {answer.headline} with {spectrum.made}, {', '.join(differing)}"
            answer = replace(answer, notes=[*answer.notes[:at], said, *answer.notes[at:]])
        out.append(answer)
    return out


def high_peaks(r: np.ndarray, chir_mag: np.ndarray) -> np.ndarray:
    """Where the peaks below 3.3 Å are that are at least 0.4 as high as the highest, Å."""
    inside = chir_mag[1:-1]
    top = (inside >= chir_mag[:-2]) & (inside > chir_mag[2:]) & (r[1:-1] > 0.7) & (r[1:-1] < FIRST_SHELL_R[1])
    return np.asarray(r[1:-1][top & (inside > 0.4 * inside[top].max(initial=0.0))])


def _misplaced(group: Any, e0: float) -> float | None:
    """Where the edge is steepest, eV, where e0 is not on it; None where e0 is well, or nobody knows."""
    energy, norm = group.energy, getattr(group, "norm", None)
    if not isinstance(norm, np.ndarray) or norm.dtype.kind != "f" or norm.shape != energy.shape:
        return None
    near = slice(*np.searchsorted(energy, (e0 - E0_TOLERANCE - SEEN, e0 + E0_TOLERANCE + SEEN)))
    energy, norm = energy[near], norm[near]
    above = np.flatnonzero(norm >= 0.98)
    if len(energy) < 10 or not len(above) or not (np.diff(energy) > 0).all():
        return None
    below = np.flatnonzero(norm[: above[0]] < 0.5)
    if not len(below):
        return None
    last = below[-1]
    middle = float(np.interp(0.5, norm[last : last + 2], energy[last : last + 2]))
    highest = np.maximum.accumulate(norm[: last + 1])
    dips = np.flatnonzero((highest > EDGE_FOOT) & (norm[: last + 1] < PEAK_DIP * highest))
    on_peak = len(dips) > 0 and energy[dips[-1]] > e0
    foot = float(np.interp(e0, energy, norm)) < EDGE_FOOT
    low = middle - e0 > TOO_LOW or (middle - e0 > EDGE_WIDTH and (foot or on_peak))
    if not low and e0 - middle <= TOO_HIGH:
        return None
    edge = energy[(energy > (energy[dips[-1]] if len(dips) else 0.0)) & (energy < middle + 10)]
    steepest = find_e0(Group(energy=energy, mu=norm))  # which no shoulder below the edge misleads
    if steepest not in edge:
        steepest = edge[(np.interp(edge + 1, energy, norm) - np.interp(edge - 1, energy, norm)).argmax()]
    return float(steepest) if abs(steepest - e0) > SAME else None


def _given(group: Any, function: str, names: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """The user's own arguments of a function that a second reading shares."""
    recorded = getattr(getattr(group, "callargs", None), function, None)
    values = [(name, recorded.get(name)) for name in names] if isinstance(recorded, dict) else []
    return tuple((name, value) for name, value in values if isinstance(value, str) or as_number(value) is not None)


@lru_cache(maxsize=256)  # whether an answer is stale is asked again and again
def _background(
    energy: bytes, mu: bytes, e0: float, edge_step: float | None, rbkg: float,
    autobk_settings: tuple[tuple[str, Any], ...], pre_edge_settings: tuple[tuple[str, Any], ...],
) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
    """k and chi as autobk makes them with this e0 and rbkg, on a copy; None where it cannot."""
    copy = Group(energy=np.frombuffer(energy).copy(), mu=np.frombuffer(mu).copy(), e0=e0)
    try:
        with np.errstate(all="ignore"):
            if edge_step is None:
                pre_edge(copy, e0=e0, **dict(pre_edge_settings))
            else:
                copy.edge_step = edge_step
            autobk(copy, ek0=e0, rbkg=rbkg, **dict(autobk_settings))
    except Exception:  # noqa: BLE001 - a spectrum without an edge fails in many ways, and the user's own reading is there
        return None
    sound = hasattr(copy, "chi") and 0 < np.abs(copy.chi).max() < LARGEST  # not where one is no number
    return (copy.k, copy.chi) if sound else None
