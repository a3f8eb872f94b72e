"""|chi(R)| in the transform that the models were trained on: the group's own where it is that, a new one where not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import errors
from .absorber import as_number
from .features import K_GRID, KMAX_DEFAULT, KMAX_RANGE, KSTEP, LARCH_R_STEP, NFFT, R_MAX, TRANSFORM, transform

WINDOWS = ("kaiser", "hanning", "parzen", "welch", "gaussian", "sine")  # Larch knows them by their first three letters
_XFTF_DEFAULTS = {"kmin": 0.0, "kmax": 20.0, "kweight": None, "dk": 1.0, "dk2": None, "window": "kaiser"}
_XFTF_DEFAULTS |= {"kstep": None, "nfft": NFFT}
_TRAINING = {**TRANSFORM, "dk2": TRANSFORM["dk"], "kstep": KSTEP, "nfft": NFFT}
_NEEDED = (
    f"kmin={TRANSFORM['kmin']:g}, kmax={KMAX_RANGE[0]:g} to {KMAX_RANGE[1]:g}, kweight={TRANSFORM['kweight']}, "
    f"dk={TRANSFORM['dk']:g}, window={TRANSFORM['window']!r}"
)
OTHER_TRANSFORM = "chi(R) was not made with the transform that the models know"


def training_transform(
    name: str, arrays: Mapping[str, np.ndarray], recorded: Any, how: str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], list[str]]:
    """r (on Larch's points), |chi(R)| as the models read it, the settings of xftf that made it, and notes."""
    k, chi, r, magnitude = (arrays.get(key) for key in ("k", "chi", "r", "chir_mag"))
    args = settings(recorded, k)
    own = f"own chir_mag was made with {_words(args)}" if args else "own chir_mag does not say how it was made"
    if magnitude is None or r is None:
        if how == "own":
            raise errors.MissingArrayError(name, "chir_mag", "run xftf on it first, or leave out transform='own'")
        own = "chir_mag is not there, or not sound"
    elif how == "own":
        known = args is not None and is_training(args)
        if args is None:
            args = {**_TRAINING, "kmax": KMAX_DEFAULT if k is None else round(min(KMAX_DEFAULT, float(k[-1])), 6)}
            own += f", and was taken for that of {_words(args)}"
        notes = [] if known else [f"chir_mag was used as it is, as asked: the group's {own}"]
        return *_on_larch_grid(name, r, magnitude), args, notes
    elif how == "auto" and args and is_training(args):
        if k is None or chi is None:
            return *_on_larch_grid(name, r, magnitude), args, []
        if r[-1] < R_MAX:
            own = f"own chir_mag ends at {r[-1]:.1f} Å, and the models read it to {R_MAX:g}"
        elif args["kmax"] <= k[-1] + KSTEP:
            if _made_by(float(recorded.get("kmax", args["kmax"])), *in_steps(k, chi), r, magnitude):  # not rounded
                return r, magnitude, args, []
            own = f"own chir_mag is not what its xftf settings ({_words(args)}) make of its k and chi"

    if k is None or chi is None:
        if how == "training":
            raise errors.MissingArrayError(name, "k and chi", "transform='training' needs both")
        said = f"was made with {_words(args)}" if args else "does not say how it was made (no callargs.xftf)"
        raise errors.TransformError(name, said, _NEEDED)
    kmax = _kmax(name, k, args["kmax"] if args and how == "auto" and magnitude is not None else None)
    made = {**_TRAINING, "kmax": kmax}
    r, magnitude = transform(*in_steps(k, chi), kmax)
    return r, magnitude, made, [f"a copy of k and chi was transformed with {_words(made)}: the group's {own}"]


def in_steps(k: np.ndarray, chi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Data of other steps of k in Larch's: xftf takes its step, and so that of R, from the first two points."""
    grid = K_GRID[(k[0] - KSTEP / 4 < K_GRID) & (k[-1] + KSTEP / 4 > K_GRID)]
    same = len(grid) == len(k) and np.allclose(grid, k)
    return grid, chi if same else np.interp(grid, k, chi)


def settings(recorded: Any, k: np.ndarray | None) -> dict[str, Any] | None:
    """The arguments of a call of xftf, with what it fills in itself; None where they are not there or make no sense."""
    if not isinstance(recorded, Mapping):
        return None
    filled_in = {"kweight": recorded.get("kw", TRANSFORM["kweight"]), "dk2": recorded.get("dk", 1.0)}
    filled_in["kstep"] = KSTEP if k is None else k[1] - k[0]
    args = {key: recorded.get(key, default) for key, default in _XFTF_DEFAULTS.items()}
    args |= {key: value for key, value in filled_in.items() if args[key] is None}
    window = args.pop("window")
    numbers = {key: as_number(value) for key, value in args.items()}
    odd = any(value is None or abs(value) > 1e6 for value in numbers.values())
    if odd or not numbers["kstep"] or not isinstance(window, str | None):
        return None
    window = (window or "kaiser").strip().lower()
    out: dict[str, Any] = {key: round(value, 6) for key, value in numbers.items() if value is not None}
    out["window"] = next((full for full in WINDOWS if full[:3] == window[:3]), window)
    return out | {"kweight": int(out["kweight"]), "nfft": int(out["nfft"])}


def is_training(args: Mapping[str, Any]) -> bool:
    """Whether these arguments of xftf, all of them given, make the transform that the models were trained on."""
    same = all(args[key] == value for key, value in _TRAINING.items())
    return bool(same and KMAX_RANGE[0] <= args["kmax"] <= KMAX_RANGE[1])


def _words(args: Mapping[str, Any]) -> str:
    usual = [key for key in ("kstep", "nfft") if args[key] != _TRAINING[key]]
    text = ", ".join(f"{key}={args[key]:g}" for key in ("kmin", "kmax", "kweight", "dk", *usual))
    return text + (f", dk2={args['dk2']:g}" if args["dk2"] != args["dk"] else "") + f", window={args['window']!r}"


def _kmax(name: str, k: np.ndarray, asked: float | None) -> float:
    """The upper limit of a new transform: what the user chose, as far as the data go and not beyond the usual."""
    low = KMAX_RANGE[0]
    if k[0] > TRANSFORM["kmin"]:
        needed = f"the models need it from {TRANSFORM['kmin']:g}"
        raise errors.RangeTooShortError(name, f"has chi(k) from k = {k[0]:.2f} Å^-1 on", needed)
    if k[-1] < low:
        needed = f"the models need it up to at least {low:g}"
        raise errors.RangeTooShortError(name, f"has chi(k) up to k = {k[-1]:.2f} Å^-1", needed)
    end = min(float(k[-1]), KMAX_DEFAULT)
    if asked is None or asked <= 0:  # Larix writes -1 where nothing was chosen
        return round(end, 6)
    if asked < low:
        advice = f"run xftf with kmax of {low:g} or more, or pass transform='training' if its data are good up to there"
        raise errors.RangeTooShortError(name, f"was transformed up to k = {asked:g} Å^-1", advice)
    return round(min(end, asked), 6)


def _on_larch_grid(name: str, r: np.ndarray, magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same |chi(R)| on the points of R that xftf makes, where it came on others."""
    if r[0] > 0.1 or r[-1] < R_MAX:
        needed = f"and the models need 0 to {R_MAX:g} (rmax_out of xftf)"
        raise errors.BadArrayError(name, "r", f"goes from {r[0]:.1f} to {r[-1]:.1f} Å, {needed}")
    grid = LARCH_R_STEP * np.arange(int(min(NFFT / 2, 1.01 + r[-1] / LARCH_R_STEP)))
    if len(grid) == len(r) and np.allclose(grid, r):
        return r, magnitude
    return grid, np.interp(grid, r, magnitude)


def _made_by(kmax: float, k: np.ndarray, chi: np.ndarray, r: np.ndarray, magnitude: np.ndarray) -> bool:
    """Whether the training transform really makes this chir_mag: arrays change after xftf, and records get copied."""
    r_again, again = transform(k, chi, kmax)
    n = min(len(r), len(r_again))
    return np.allclose(r[:n], r_again[:n]) and np.allclose(again[:n], magnitude[:n], rtol=0, atol=1e-5 * again.max())
