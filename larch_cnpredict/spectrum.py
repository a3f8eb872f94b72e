"""From a Larch group or arrays to a `Spectrum`: which absorber, and |chi(R)| in the training transform.

Nothing here writes to the user's group.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from larch import Group, isgroup

from . import errors
from .features import EDGE, ELEMENTS, K_GRID, KMAX_DEFAULT, KMAX_RANGE, KSTEP, NFFT, R_MAX, TRANSFORM, transform

# A measured edge lies this near the tabulated one (chemical shift, choice of e0, a monochromator out of calibration).
E0_TOLERANCE = 50.0  # eV
# This near, one of our K edges is preferred even to a nearer L edge: the e0 of vanadium(V) is that of La L3.
K_PREFERENCE = 20.0  # eV
TRANSFORM_CHOICES = ("auto", "own", "training")
_XFTF_DEFAULTS = {"kmin": 0.0, "kmax": 20.0, "kweight": None, "dk": 1.0, "dk2": None, "window": "kaiser"}
_XFTF_DEFAULTS |= {"kstep": None, "nfft": NFFT}
_TRAINING = {**TRANSFORM, "dk2": TRANSFORM["dk"], "kstep": KSTEP, "nfft": NFFT}
_NEEDED = f"kmin=3, kmax={KMAX_RANGE[0]:g} to {KMAX_RANGE[1]:g}, kweight=2, dk=1, window='hanning'"


@dataclass(frozen=True)
class Spectrum:
    """One spectrum as the models read it.

    Attributes
    ----------
    name : str
        how messages call it
    element, edge : str
        absorber, such as 'Fe' and 'K'
    r, chir_mag : (n,) arrays
        Å and Å^-3; in the training transform unless `transform='own'` was asked for
    k, chi : (m,) arrays or None
        Å^-1 and no unit, where the group has them
    kmax : float
        upper limit of the transform, Å^-1
    rbkg : float or None
        of autobk, Å, where the group says it
    xftf : dict
        the settings that made chir_mag: kmin, kmax, kweight, dk, dk2, window, kstep
    transformed : bool
        whether chir_mag was made anew from k and chi
    notes : tuple of str
        what was done and what a careful user should know
    fingerprint : str
        changes with whatever the answer depends on
    """

    name: str
    element: str
    edge: str
    r: np.ndarray
    chir_mag: np.ndarray
    k: np.ndarray | None
    chi: np.ndarray | None
    kmax: float
    rbkg: float | None
    xftf: dict[str, Any]
    transformed: bool
    notes: tuple[str, ...]
    fingerprint: str


def read_spectrum(
    group: Any,
    chir_mag: Any = None,
    *,
    element: str | None = None,
    edge: str | None = None,
    transform: str = "auto",
    k: Any = None,
    chi: Any = None,
    xftf: Mapping[str, Any] | None = None,
) -> Spectrum:
    """Read what a prediction needs from a group, or from arrays.

    Parameters
    ----------
    group : Group or (n,) array
        a Larch group, or R in Å
    chir_mag : (n,) array, Å^-3
        only where `group` is R
    element, edge : str, optional
        the absorber, where the group does not say or says it wrongly
    transform : {'auto', 'own', 'training'}
        'own' takes chir_mag as it is; 'training' always makes it anew from k and chi; 'auto' makes it anew where it was
        not made with the training transform
    k, chi : (m,) arrays, optional
        only where `group` is R
    xftf : dict, optional
        the arguments of `xftf` that made chir_mag; by default the group's own record of them

    Raises
    ------
    CNPredictError
        a child of it for each thing that can be wrong; the group is left as it was
    """
    if transform not in TRANSFORM_CHOICES:
        raise errors.OptionError("transform", transform, TRANSFORM_CHOICES)
    if isgroup(group):
        source, name = group, spectrum_name(group)
        xftf = _recorded_xftf(group) if xftf is None else xftf
    else:
        if chir_mag is None and (k is None or chi is None):
            raise errors.InputError(group)
        source, name = Group(r=group, chir_mag=chir_mag, k=k, chi=chi), "the spectrum"
    arrays = _arrays(source, name)
    symbol, shell, notes = _absorber(source, name, element, edge)
    r, magnitude, settings, transformed, more = _training_chir(name, arrays, xftf, transform)
    digest = hashlib.sha256(f"{symbol} {shell} {sorted(settings.items())}".encode())
    for part in (r, magnitude, arrays.get("k"), arrays.get("chi")):
        digest.update(b"-" if part is None else np.ascontiguousarray(part).tobytes())
    return Spectrum(
        name=name,
        element=symbol,
        edge=shell,
        r=r,
        chir_mag=magnitude,
        k=arrays.get("k"),
        chi=arrays.get("chi"),
        kmax=settings["kmax"],
        rbkg=_number(getattr(source, "rbkg", None)),
        xftf=settings,
        transformed=transformed,
        notes=(*notes, *more),
        # the request goes before the hash, so that the same question can be asked again later
        fingerprint=":".join((transform, symbol if element else "", edge or "", digest.hexdigest()[:16])),
    )


def refingerprint(group: Group, fingerprint: str) -> str:
    """The fingerprint that the same question would get from the group as it is now."""
    how, element, edge, _ = fingerprint.split(":")
    return read_spectrum(group, element=element or None, edge=edge or None, transform=how).fingerprint


def spectrum_name(group: Group) -> str:
    """What the user calls this group."""
    for attr in ("filename", "label", "groupname"):
        value = getattr(group, attr, None)
        if isinstance(value, str) and value.strip():
            return repr(value.strip())
    return "the group"


# --- arrays


def _arrays(group: Group, name: str) -> dict[str, np.ndarray]:
    """k and chi, r and chir_mag, whichever pair is there and sound."""
    found = {}
    for x, y in (("k", "chi"), ("r", "chir_mag")):
        pair = [getattr(group, attr, None) for attr in (x, y)]
        if pair[1] is None:
            continue
        if pair[0] is None:
            raise errors.MissingArrayError(name, f"{x}, though it has {y}", f"{y} means nothing without it")
        found[x], found[y] = _pair(name, (x, y), pair)
    if found:
        return found
    if getattr(group, "energy", None) is not None:
        raise errors.MissingArrayError(name, "chi(k) and no chi(R)", "run autobk and xftf on it first")
    if not any(isinstance(getattr(group, attr), np.ndarray) for attr in dir(group)):
        raise errors.MissingArrayError(name, "data at all", "read a spectrum, run autobk and xftf on it first")
    raise errors.MissingArrayError(name, "chir_mag", "run autobk and xftf on it first")


def _pair(name: str, labels: tuple[str, str], values: list[Any]) -> list[np.ndarray]:
    out = []
    for label, value in zip(labels, values, strict=True):
        raw = np.asarray(value)
        if raw.dtype.kind not in "iuf":
            raise errors.BadArrayError(name, label, f"must hold real numbers, not {raw.dtype}")
        if raw.ndim != 1 or len(raw) < 20:
            raise errors.BadArrayError(name, label, f"must be one row of at least 20 numbers, not of shape {raw.shape}")
        if bad := int((~np.isfinite(raw)).sum()):
            raise errors.BadArrayError(name, label, f"has NaN or infinity at {bad} of its {len(raw)} points")
        out.append(raw.astype(float))
    x, y = out
    if len(x) != len(y):
        raise errors.BadArrayError(name, labels[1], f"has {len(y)} points and {labels[0]} has {len(x)}: run xftf again")
    if np.any(np.diff(x) <= 0):
        raise errors.BadArrayError(name, labels[0], "does not rise from point to point")
    if not np.any(y):
        raise errors.BadArrayError(name, labels[1], "is zero everywhere: there is no signal in it")
    if labels[1] == "chir_mag" and y.min() < 0:
        raise errors.BadArrayError(name, labels[1], "has negative values: it is not the magnitude of chi(R)")
    return out


# --- absorber


def _absorber(group: Group, name: str, element: str | None, edge: str | None) -> tuple[str, str, list[str]]:
    notes: list[str] = []
    labelled, labelled_edge = _labels(group)
    e0 = _edge_energy(group)
    found = _by_energy(e0)
    near = next((known for known in ELEMENTS if e0 and abs(e0 - k_edge(known)) < E0_TOLERANCE), None)
    why = ""
    if element is not None:
        symbol, shell = _symbol(element) or repr(element), edge or EDGE
        if labelled and labelled != symbol:
            notes.append(f"absorber taken as {symbol}, as asked, though the group is labelled {labelled}")
    elif labelled:
        symbol, why = labelled, ", says its label"
        shell = edge or labelled_edge or (found[1] if found and found[0] == symbol else EDGE)
    elif e0 is not None and found:
        symbol, shell, why = found[0], edge or found[1], f", by its edge at {e0:.1f} eV"
        if near and (near, EDGE) != found and edge is None and abs(e0 - k_edge(near)) <= K_PREFERENCE:
            symbol, shell = near, EDGE
            notes.append(f"read as {near} K from its edge at {e0:.1f} eV, which could also be {' '.join(found)}")
    elif e0 is not None:
        raise errors.UnknownAbsorberError(name, f"no edge is known within {E0_TOLERANCE:g} eV of e0 = {e0:.1f} eV")
    else:
        raise errors.UnknownAbsorberError(name, "it has neither metadata nor an edge energy")

    if near and element is None:
        why += f" (pass element={near!r} if it is {near} K)"
    if shell.strip().upper() != EDGE:
        raise errors.UnsupportedEdgeError(name, symbol, shell.strip(), why)
    if symbol not in ELEMENTS:
        raise errors.UnsupportedElementError(name, symbol, ELEMENTS, why)
    if e0 is not None and abs(e0 - k_edge(symbol)) > E0_TOLERANCE:
        at = " ".join(found) if found else "no known element"
        if element is None:
            raise errors.AbsorberConflictError(name, f"{symbol} K", e0, at)
        notes.append(f"absorber taken as {symbol} K, as asked, though the edge at {e0:.1f} eV is that of {at}")
    return symbol, EDGE, notes


def _labels(group: Group) -> tuple[str | None, str | None]:
    """Element and edge of the metadata: XDI, Larix and Athena, in this order."""
    params = getattr(group, "athena_params", None)
    header = getattr(group, "attrs", None)
    xdi = header.get("element") if isinstance(header, dict) else None
    xdi = xdi if isinstance(xdi, dict) else {}
    fft_edge = getattr(getattr(params, "fft", None), "edge", None)
    for element, edge in (
        (getattr(group, "element", None), getattr(group, "edge", None)),
        (xdi.get("symbol"), xdi.get("edge")),
        (getattr(group, "atsym", None), getattr(group, "edge", None)),
        (getattr(getattr(params, "bkg", None), "z", None), fft_edge),
    ):
        symbol = _symbol(element)
        if symbol not in (None, "H"):  # Athena writes H where it does not know
            return symbol, (edge.strip().capitalize() or None) if isinstance(edge, str) else None
    return None, None


def _symbol(value: Any) -> str | None:
    """'fe', 'Iron', 26 or '26' as 'Fe'; None where it is no element."""
    return _symbol_of(str(value).strip().lower()) if isinstance(value, str | int | float | np.number) else None


@lru_cache  # xraydb looks through all elements each time
def _symbol_of(text: str) -> str | None:
    import xraydb

    try:
        return xraydb.atomic_symbol(int(float(text))) if text[:1].isdigit() else xraydb.atomic_symbol(text.capitalize())
    except (ValueError, KeyError, AttributeError, IndexError):
        return None


def _edge_energy(group: Group) -> float | None:
    """e0 in eV, from mu(E) where the group has none."""
    for attr in ("e0", "ek0"):
        value = _number(getattr(group, attr, None))
        if value is not None and value > 100:
            return value
    energy, mu = getattr(group, "energy", None), getattr(group, "mu", None)
    if not (isinstance(energy, np.ndarray) and isinstance(mu, np.ndarray) and energy.shape == mu.shape):
        return None
    if energy.ndim != 1 or len(energy) < 50 or not (np.isfinite(energy).all() and np.isfinite(mu).all()):
        return None
    from larch.xafs import find_e0

    scratch = Group(energy=energy.copy(), mu=mu.copy())
    return float(find_e0(scratch))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and np.isfinite(value) else None


def _by_energy(e0: float | None) -> tuple[str, str] | None:
    if e0 is None:
        return None
    import xraydb

    symbol, shell = xraydb.guess_edge(e0)
    return (symbol, shell) if abs(_edge(symbol, shell) - e0) < E0_TOLERANCE else None


def k_edge(symbol: str) -> float:
    """Tabulated energy of a K edge, eV."""
    return _edge(symbol, EDGE)


@lru_cache  # xraydb asks its database each time
def _edge(symbol: str, shell: str) -> float:
    import xraydb

    return xraydb.xray_edge(symbol, shell).energy


# --- transform


def _recorded_xftf(group: Group) -> dict | None:
    recorded = getattr(getattr(group, "callargs", None), "xftf", None)
    return recorded if isinstance(recorded, dict) else None


def _resolve(recorded: Mapping[str, Any], k: np.ndarray | None) -> dict[str, Any]:
    """Fill in what xftf fills in itself."""
    args = {key: recorded.get(key, default) for key, default in _XFTF_DEFAULTS.items()}
    if args["kweight"] is None:
        args["kweight"] = recorded.get("kw", 2)
    if args["dk2"] is None:
        args["dk2"] = args["dk"]
    if args["kstep"] is None:
        args["kstep"] = k[1] - k[0] if k is not None else KSTEP
    window = str(args["window"] or "kaiser").strip().lower()
    names = ("kaiser", "hanning", "parzen", "welch", "gaussian", "sine")
    args["window"] = next((full for full in names if full[:3] == window[:3]), window)
    args["kweight"] = int(args["kweight"])
    return {key: value if isinstance(value, int | str) else round(float(value), 6) for key, value in args.items()}


def is_training(args: Mapping[str, Any]) -> bool:
    """Whether these arguments of xftf, all of them given, make the transform that the models were trained on."""
    same = all(args[key] == value for key, value in _TRAINING.items())
    return same and KMAX_RANGE[0] <= args["kmax"] <= KMAX_RANGE[1]


def _words(args: Mapping[str, Any]) -> str:
    text = ", ".join(f"{key}={args[key]:g}" for key in ("kmin", "kmax", "kweight", "dk"))
    return text + (f", dk2={args['dk2']:g}" if args["dk2"] != args["dk"] else "") + f", window={args['window']!r}"


def _training_chir(
    name: str, arrays: dict[str, np.ndarray], recorded: Mapping[str, Any] | None, how: str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], bool, list[str]]:
    """r, |chi(R)|, the settings that made it, whether it was made anew, notes."""
    k, chi, r, magnitude = (arrays.get(key) for key in ("k", "chi", "r", "chir_mag"))
    args = _resolve(recorded, k) if recorded is not None else None
    own = f"own chir_mag was made with {_words(args)}" if args else "own chir_mag does not say how it was made"
    if magnitude is None or r is None:
        if how == "own":
            raise errors.MissingArrayError(name, "chir_mag", "run xftf on it first, or leave out transform='own'")
        own = "chir_mag is not there"
    elif how == "own":
        if args is None:
            args = _resolve({**_TRAINING, "kmax": min(KMAX_DEFAULT, k[-1]) if k is not None else KMAX_DEFAULT}, k)
        notes = [] if is_training(args) else [f"chir_mag was used as it is, as asked: the group's {own}"]
        return *_on_larch_grid(name, r, magnitude), args, False, notes
    elif how == "auto" and args and is_training(args):
        if k is None or chi is None:
            return *_on_larch_grid(name, r, magnitude), args, False, []
        if args["kmax"] <= k[-1] + args["kstep"] and r[-1] >= R_MAX and _made_by(recorded, k, chi, r, magnitude):
            return r, magnitude, args, False, []
        if args["kmax"] <= k[-1] + args["kstep"]:
            own = f"own chir_mag is not what its xftf settings ({_words(args)}) make of its k and chi"

    if k is None or chi is None:
        if how == "training":
            raise errors.MissingArrayError(name, "k and chi", "transform='training' needs both")
        said = f"was made with {_words(args)}" if args else "does not say how it was made (no callargs.xftf)"
        raise errors.TransformError(name, said, _NEEDED)
    kmax = _kmax(name, k, args["kmax"] if args and how == "auto" and magnitude is not None else None)
    # xftf takes its step of k, and so that of R, from the first two points: put data of other steps on Larch's
    grid = K_GRID[(k[0] - KSTEP / 4 < K_GRID) & (k[-1] + KSTEP / 4 > K_GRID)]
    same = len(grid) == len(k) and np.allclose(grid, k)
    r, magnitude = transform(k, chi, kmax) if same else transform(grid, np.interp(grid, k, chi), kmax)
    made = _resolve({**_TRAINING, "kmax": kmax}, k)
    return r, magnitude, made, True, [f"a copy of k and chi was transformed with {_words(made)}: the group's {own}"]


def _kmax(name: str, k: np.ndarray, asked: float | None) -> float:
    """The upper limit of a new transform: what the user chose, as far as data and models go."""
    low = KMAX_RANGE[0]
    if k[0] > TRANSFORM["kmin"]:
        raise errors.RangeTooShortError(
            name, f"has chi(k) from k = {k[0]:.1f} Å^-1 on", f"the models need it from {TRANSFORM['kmin']:g}"
        )
    if k[-1] < low:
        raise errors.RangeTooShortError(
            name, f"has chi(k) up to k = {k[-1]:.1f} Å^-1", f"the models need it up to at least {low:g}"
        )
    if asked is not None and 0 < asked < low:  # Larix writes -1 where nothing was chosen
        raise errors.RangeTooShortError(
            name,
            f"was transformed up to k = {asked:g} Å^-1",
            f"run xftf with kmax of {low:g} or more, or pass transform='training' if its data are good up to there",
        )
    end = min(float(k[-1]), KMAX_DEFAULT)
    return round(min(end, asked) if asked is not None and asked > 0 else end, 6)


def _on_larch_grid(name: str, r: np.ndarray, magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same |chi(R)| on the points of R that xftf makes, where it came on others."""
    if r[0] > 0.1 or r[-1] < R_MAX:
        raise errors.BadArrayError(
            name, "r", f"goes from {r[0]:.1f} to {r[-1]:.1f} Å, and the models need 0 to {R_MAX:g} (rmax_out of xftf)"
        )
    step = np.pi / (KSTEP * NFFT)
    grid = step * np.arange(int(1.01 + r[-1] / step))
    if len(grid) == len(r) and np.allclose(grid, r):
        return r, magnitude
    return grid, np.interp(grid, r, magnitude)


def _made_by(
    recorded: Mapping[str, Any] | None, k: np.ndarray, chi: np.ndarray, r: np.ndarray, magnitude: np.ndarray
) -> bool:
    """Whether the recorded call really makes this chir_mag: arrays change after xftf, and records get copied."""
    from larch.xafs import xftf

    again = Group()
    xftf(k, chi, group=again, **{**(recorded or {}), "with_phase": False})
    return len(again.r) == len(r) and bool(np.allclose(again.chir_mag, magnitude, rtol=0, atol=1e-6 * magnitude.max()))
