"""Data files to Larch groups that are ready for `predict_cn`: XDI, columns, Athena projects, `.larix` sessions."""

from copy import copy
from pathlib import Path

import numpy as np
from larch import Group, io, isgroup
from larch.io.athena_project import clean_bkg_params
from larch.xafs import autobk, pre_edge, xftf

from .absorber import as_number
from .errors import FileError
from .features import KMAX_DEFAULT, TRANSFORM
from .spectrum import plain_name

_MU = ("mu", "xmu", "mutrans", "mufluor", "mu_trans", "mu_fluor", "mud", "mud_tr", "norm", "normtrans", "flat")
_TRANSMITTED = ("itrans", "it", "i1", "itr")
_FLUORESCENCE = ("ifluor", "if", "ifl", "ifluo")


def read_groups(path: str | Path) -> list[Group]:
    """All the spectra of a file: XDI, columns (energy and mu, I0 and I1, k and chi), Athena project or Larch session.

    Each has `filename`, and energy and mu, or k and chi, or r and chir_mag; a FileError where nothing can be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(path, "there is no such file")
    try:
        groups = []
        if io.is_larch_session_file(str(path)):
            for name, value in io.read_session(str(path)).symbols.items():
                if any(isgroup(value, *pair) for pair in (("energy", "mu"), ("k", "chi"), ("r", "chir_mag"))):
                    value.filename = getattr(value, "filename", None) or name
                    groups.append(value)
        elif io.is_athena_project(str(path)):
            groups = list(io.read_athena(str(path)).groups.values())
        else:
            with path.open(errors="replace") as file:
                is_xdi = "XDI/" in file.readline()
            groups = [_columns(io.read_xdi(str(path)) if is_xdi else io.read_ascii(str(path)))]
    except Exception as error:  # larch.io raises whatever its parsers meet
        raise FileError(path, f"Larch cannot read it ({error})") from error
    if not groups:
        raise FileError(path, "it has no XAFS spectrum")
    return groups


def process(group: Group) -> Group:
    """The group after what was missing of pre_edge, autobk (as its Athena project has it) and xftf; or a FileError."""
    try:
        if not hasattr(group, "chi") and not hasattr(group, "chir_mag"):
            if not hasattr(group, "edge_step"):
                pre_edge(group)
            autobk(group, **_background_settings(group))
        if not hasattr(group, "chir_mag"):
            xftf(group, kmax=min(float(group.k[-1]), KMAX_DEFAULT), **TRANSFORM)
    except Exception as error:  # a spectrum without an edge fails in many ways
        raise FileError(plain_name(group), f"Larch cannot get chi(k) from it ({error})") from error
    return group


def _background_settings(group: Group) -> dict[str, float]:
    """Arguments of autobk: those of the Athena project as `read_athena(do_bkg=True)` takes them, else the usual."""
    athena = getattr(getattr(group, "athena_params", None), "bkg", None)
    if athena is None:
        return {"rbkg": 1.0, "kweight": 2}
    athena = clean_bkg_params(copy(athena))
    names = {"rbkg": "rbkg", "kmin": "spl1", "kmax": "spl2", "kweight": "kw", "dk": "dk", "ek0": "e0"}
    names |= {"clamp_lo": "clamp1", "clamp_hi": "clamp2"}
    settings = {argument: as_number(getattr(athena, name)) for argument, name in names.items()}
    return {argument: value for argument, value in settings.items() if value is not None}  # Larch writes None to some


def _columns(group: Group) -> Group:
    """Give a group of named columns the arrays that autobk reads."""
    data = {str(label).lower(): column for label, column in zip(group.array_labels, group.data, strict=False)}
    if "k" in data and "chi" in data:
        group.k, group.chi = data["k"], data["chi"]
        return group

    def first(labels: tuple[str, ...]) -> np.ndarray | None:
        return next((data[label] for label in labels if label in data), None)

    energy = next((column for label, column in data.items() if label.startswith("energy")), group.data[0])
    i0, transmitted, fluorescence = first(("i0",)), first(_TRANSMITTED), first(_FLUORESCENCE)
    if (mu := first(_MU)) is None:
        if i0 is None:
            mu = group.data[1]
        elif transmitted is not None:
            mu = np.log(i0 / transmitted)
        elif fluorescence is not None:
            mu = fluorescence / i0
        else:
            raise ValueError(f"it has i0, and none of {', '.join(data)} is a label of what goes with it, such as i1")
    order = np.argsort(energy, kind="stable")
    group.energy = energy[order] * (1000.0 if energy.max() < 100 else 1.0)  # no K edge of ours is at 100 eV, so keV
    group.mu = mu[order]
    return group
