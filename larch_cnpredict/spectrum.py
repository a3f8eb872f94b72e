"""From a Larch group or arrays to a `Spectrum`. The group is not written to."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from larch import Group, isgroup

from . import errors, quality, reading
from .absorber import as_number, find_absorber, other_edge
from .composition import Composition, find_composition
from .features import EDGE, KMAX_RANGE, R_MAX
from .request import Request
from .transform import OTHER_TRANSFORM, is_training, training_transform

# Beyond these, an array is not what its name says, and neither are the results of any arithmetic with it.
LARGEST = {"k": 100.0, "chi": reading.LARGEST, "r": 1e4, "chir_mag": 1e6}  # Å^-1, no unit, Å, Å^-3
FEWEST = 20  # points of an array
OTHER_EDGE = "another edge of the sample, {}, inside what is read: give autobk and xftf a kmax below it"
WIDEST = np.pi / (2 * R_MAX)  # Å^-1 between points of k: beyond it, waves of R_MAX look like others


@dataclass(frozen=True)
class Spectrum:
    """One spectrum as the models read it."""

    name: str  # how messages call it
    element: str
    edge: str
    r: np.ndarray  # Å, Larch's points
    chir_mag: np.ndarray  # Å^-3; in the training transform unless transform='own' was asked for
    k: np.ndarray | None  # Å^-1, where the group has it; not with transform='own', which reads chir_mag alone
    chi: np.ndarray | None
    kmax: float  # upper limit of the transform, Å^-1
    rbkg: float | None  # of autobk, Å, where the group says it
    xftf: dict[str, Any]  # the settings that made chir_mag: kmin, kmax, kweight, dk, dk2, window, kstep, nfft
    doubts: list[str]  # what makes any answer doubtful, however much the spectrum is like those that the models know
    composition: Composition | None  # of the sample, where the user or the header of the data says it
    notes: list[str]  # what was done, and what a careful user should know
    pre_edge_peak: tuple[float, float] | None = None  # `quality.pre_edge_peak`: eV, of the edge step
    fingerprint: str = ""  # changes with whatever the answer depends on
    made: str = ""  # what sets it apart from the others, such as 'rbkg = 0.7 Å'
    others: tuple["Spectrum", ...] = ()  # the same data read with another e0 or rbkg: the answer may depend on it


def read_spectrum(
    group: Any, request: Request | None = None, *, chir_mag: Any = None, k: Any = None, chi: Any = None
) -> Spectrum:
    """Read what a prediction needs from a group, or from arrays where `group` is R, as the request says."""
    request = request or Request()
    given = {"chir_mag": chir_mag, "k": k, "chi": chi}
    if isgroup(group):
        if beside := [label for label, value in given.items() if value is not None]:
            raise errors.GroupAndArraysError(" and ".join(beside))
        source, name = group, spectrum_name(group)
    elif chir_mag is None and (k is None or chi is None):
        raise errors.InputError(group)
    else:
        source, name = Group(r=group, **given), "the spectrum"
    arrays = _arrays(source, name, request.transform)
    element, found, doubts = find_absorber(source, name, request.element, request.edge)
    told, remarks = find_composition(source, name, element, request.formula, request.elements)
    recorded = getattr(getattr(source, "callargs", None), "xftf", None)
    r, magnitude, settings, notes = training_transform(name, arrays, recorded, request.transform)
    k, chi = (None, None) if request.transform == "own" else (arrays.get("k"), arrays.get("chi"))
    if told and (other := other_edge(element, told.amounts, settings["kmin"], settings["kmax"])):
        remarks.append(OTHER_EDGE.format(other))
    doubts += [] if is_training(settings) else [OTHER_TRANSFORM]
    doubts += [quality.FALLS] if quality.falls(source) else []
    seen = [] if k is None else quality.remarks(source, settings["kmin"], settings["kmax"])
    rbkg, peak = as_number(getattr(source, "rbkg", None)), quality.pre_edge_peak(source, element)
    digest = hashlib.sha256(f"{element} {EDGE} {sorted(settings.items())} {doubts}{seen or ''}{peak or ''}".encode())
    digest.update(f"{told.kind} {sorted(told.amounts.items())}".encode() if told else b"")
    # the settings are in it: chi(R) follows from chi(k), but for its last digits, which are another library's own
    for part in (r, magnitude) if k is None or chi is None else (k, chi):
        digest.update(np.ascontiguousarray(part).tobytes())
    own = Spectrum(
        name=name,
        element=element,
        edge=EDGE,
        r=r,
        chir_mag=magnitude,
        k=k,
        chi=chi,
        kmax=settings["kmax"],
        rbkg=rbkg if rbkg is not None and 0 <= rbkg <= R_MAX else None,
        xftf=settings,
        doubts=doubts,
        composition=told,
        notes=[*seen, *found, *remarks, *notes],
        pre_edge_peak=peak,
    )
    spectrum = reading.reread(source, own)
    if spectrum.k is not own.k:  # what else it was read from, and what its note says
        chi = np.round(spectrum.chi, 6) + 0.0  # type: ignore[arg-type]  # its last digits are another processor's own
        digest.update(f"{own.rbkg}".encode() + chi.tobytes())
    return replace(spectrum, fingerprint=digest.hexdigest()[:16])


def spectrum_name(group: Any) -> str:
    """What the user calls this group, as messages quote it."""
    name = plain_name(group, "")
    return repr(name) if name else "the group"


def plain_name(group: Any, unnamed: str = "the group") -> str:
    """What the user calls this group."""
    names = (getattr(group, attr, None) for attr in ("filename", "label", "groupname"))
    return next((name.strip() for name in names if isinstance(name, str) and name.strip()), unnamed)


def _arrays(group: Group, name: str, how: str) -> dict[str, np.ndarray]:
    """k and chi, r and chir_mag, as far as they are there; unsound ones are an error where they are to be read."""
    arrays: dict[str, np.ndarray] = {}
    there = [pair for pair in (("k", "chi"), ("r", "chir_mag")) if getattr(group, pair[1], None) is not None]
    unread = {"own": "chi", "training": "chir_mag"}.get(how)
    for x, y in there:
        try:
            arrays |= _pair(group, name, x, y)
        except (errors.BadArrayError, errors.MissingArrayError):
            if y != unread or len(there) == 1:
                raise
    if arrays:
        return arrays
    if getattr(group, "energy", None) is not None:
        raise errors.MissingArrayError(name, "chi(k) and no chi(R)", "run autobk and xftf on it first")
    if not any(isinstance(getattr(group, attr), np.ndarray) for attr in dir(group)):
        raise errors.MissingArrayError(name, "data at all", "read a spectrum, run autobk and xftf on it first")
    raise errors.MissingArrayError(name, "chir_mag", "run autobk and xftf on it first")


def _pair(group: Group, name: str, x: str, y: str) -> dict[str, np.ndarray]:
    """An array and the points that it is at."""
    if getattr(group, x, None) is None:
        raise errors.MissingArrayError(name, f"{x}, though it has {y}", f"{y} means nothing without it")
    points, values = (_array(name, label, getattr(group, label)) for label in (x, y))
    if len(points) != len(values):
        raise errors.BadArrayError(name, y, f"has {len(values)} points and {x} has {len(points)}: run xftf again")
    if np.any(np.diff(points) <= 0):
        raise errors.BadArrayError(name, x, "does not rise from point to point")
    if x == "k" and (step := np.diff(points[points <= KMAX_RANGE[1]]).max(initial=0.0)) > WIDEST:
        needed = f"chi(R) up to {R_MAX:g} Å needs points at most {WIDEST:.2f} apart"
        raise errors.BadArrayError(name, x, f"has points {step:.2f} Å^-1 apart, and {needed}")
    if not np.any(values):
        raise errors.BadArrayError(name, y, "is zero everywhere: there is no signal in it")
    if y == "chir_mag" and values.min() < 0:
        raise errors.BadArrayError(name, y, "has negative values: it is not the magnitude of chi(R)")
    return {x: points, y: values}


def _array(name: str, label: str, value: Any) -> np.ndarray:
    if np.ma.is_masked(value):
        raise errors.BadArrayError(name, label, "has masked points: leave them out, or fill them in")
    try:
        raw = np.asarray(value)
    except (ValueError, TypeError):
        raise errors.BadArrayError(name, label, "is no array of numbers") from None
    if raw.dtype.kind not in "iuf":
        raise errors.BadArrayError(name, label, f"must hold real numbers, not {raw.dtype}")
    if raw.ndim != 1 or len(raw) < FEWEST:
        wanted = f"must be one row of at least {FEWEST} numbers, not {raw.shape}"
        raise errors.BadArrayError(name, label, wanted + (": check that energy is in eV" if label == "k" else ""))
    if bad := int((~np.isfinite(raw)).sum()):
        where = f"has NaN or infinity at {bad} of its {len(raw)} points"
        raise errors.BadArrayError(name, label, f"{where}: mend mu(E), then run autobk and xftf again")
    if (largest := np.abs(raw).max()) > LARGEST[label]:
        raise errors.BadArrayError(name, label, f"goes up to {largest:.3g}, which no {label} does: check its unit")
    return raw.astype(float)
