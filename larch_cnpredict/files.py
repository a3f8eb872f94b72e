"""Data files to Larch groups that are ready for `predict_cn`: XDI, columns, Athena projects, `.larix` sessions."""

import re
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
from .transform import in_steps

# Labels, the first that is there counts; else a longer one, such as i1_counts or mu_e, where it alone begins with one.
_MU = (
    *("mu", "xmu", "mutrans", "mufluor", "mu_trans", "mu_fluor", "mud", "mud_tr", "norm", "normtrans", "flat"),
    *("absorbance", "absorption"),
)
_I0 = ("i0", "io", "ic0", "monitor")
_TRANSMITTED = ("itrans", "it", "i1", "itr", "ic1", "trans", "transmission")
_FLUORESCENCE = ("ifluor", "if", "ifl", "ifluo", "fluor", "fluorescence")
# What makes a label longer and leaves it what it is: units and the like. mu_err, it_dark and i0_time are another thing.
_UNIT = r"_*(?:k?ev|cps|ct?s|counts?|hz|[munp]?[av]|a_?u|arb\w*)?_*"
_LONGER = rf"(?:{_UNIT}|_*(?:e|raw|avg|mean|sum|xanes|exafs|data|coefficient|chamber|detector)_*)"
_NUMBER = r"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?"
_DECIMAL_COMMAS = re.compile(rf"^[ \t]*(?=.*,){_NUMBER}(?:[ \t;]+{_NUMBER})+[ \t]*$", re.MULTILINE)


def read_groups(path: str | Path) -> list[Group]:
    """All the spectra of a file: XDI, columns (energy and mu, I0 and I1, k and chi), Athena project or Larch session.

    Each has `filename`, and energy and mu, or k and chi, or r and chir_mag; a FileError where nothing can be read.
    """
    path = Path(path)
    if path.is_dir():
        raise FileError(path, "it is a folder: name its files, as in folder/*.dat")
    if not path.is_file():
        raise FileError(path, "there is no such file")
    if not path.stat().st_size:
        raise FileError(path, "it is empty: copy or export the spectrum again")
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
            text = path.read_text(errors="replace")
            if _DECIMAL_COMMAS.search(text):  # Larch would take 0,5 for two columns
                raise FileError(path, "its numbers have decimal commas: write them with decimal points")
            is_xdi = "XDI/" in text.partition("\n")[0]
            groups = [_columns(io.read_xdi(str(path)) if is_xdi else io.read_ascii(str(path)), path)]
    except FileError:
        raise
    except Exception as error:  # larch.io raises whatever its parsers meet
        raise FileError(path, f"Larch cannot read it ({' '.join(str(error).split())})") from error
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
            kmax = min(float(group.k[-1]), KMAX_DEFAULT)
            k, chi = in_steps(group.k, group.chi)  # of other steps Larch makes another R, or fails
            xftf(k, chi, group=group, kmax=kmax, **TRANSFORM)
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


def _columns(group: Group, path: Path) -> Group:
    """Give a group of named columns the arrays that autobk reads."""
    columns = group.data
    if len(columns) < 2:
        what = "one column of numbers alone" if len(columns) else "no rows of numbers"
        raise FileError(path, f"it has {what}: name a file with columns of energy and mu")
    data = {str(label).lower(): column for label, column in zip(group.array_labels, columns, strict=False)}

    def first(words: tuple[str, ...]) -> np.ndarray | None:
        longer = [name for name in data if any(re.fullmatch(word + _LONGER, name) for word in words)]
        known = [word for word in words if word in data] or (longer if len(longer) == 1 else [])
        return data[known[0]] if known else None

    named = (r"k(?:_*(?:a|ang\w*)_*1)?_*", r"chi(?:_*k)?_*")  # k(A^-1), chi(k)
    k, chi = (next((data[one] for one in data if re.fullmatch(form, one)), None) for form in named)
    if k is not None and chi is not None:
        order = np.argsort(k, kind="stable")
        group.k, group.chi = k[order], chi[order]
        return group
    labels = list(data)
    label = min((label for label in labels if "energy" in label), key=lambda one: one.find("energy"), default=labels[0])
    if re.search("angle|theta|bragg", label):
        raise FileError(path, f"it has no column of energy: convert {label} to eV and label it energy")
    energy = data[label]
    in_kev = energy.min() > 1 and energy.max() < 100  # all K edges of ours are between 4 and 10 keV
    if not in_kev and energy.max() < (100 if "energy" in label else 1000):
        goes = f"its {label if 'energy' in label else 'first'} column goes from {energy.min():g} to {energy.max():g}"
        raise FileError(path, f"{goes}: label columns of chi(k) as k and chi, and others as energy and mu")
    mu, i0, transmitted, fluorescence = map(first, (_MU, _I0, _TRANSMITTED, _FLUORESCENCE))
    if mu is None and i0 is not None:
        if transmitted is not None:
            mu = np.log(i0 / transmitted)
        elif fluorescence is not None:
            mu = fluorescence / i0
    elif mu is None and len(columns) == 2:
        mu = columns[1 - labels.index(label)]
    if len(columns) > 2 and any(name[0] in "_ke" and re.fullmatch(_UNIT, name) for name in labels[1:]):
        # to Larch, Energy (eV) is two labels: all that follow are of the wrong columns
        raise FileError(path, f"units stand apart in its labels {', '.join(labels)}: write each label in one word")
    if mu is None:
        what_to_do = "label columns as energy and mu (or energy, i0 and i1 or ifluor)"
        raise FileError(path, f"none of its columns {', '.join(labels)} is known to be mu: {what_to_do}")
    order = np.argsort(energy, kind="stable")
    group.energy = energy[order] * (1000.0 if in_kev else 1.0)
    group.mu = mu[order]
    return group
