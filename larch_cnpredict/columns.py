"""Which columns of a data file are energy and mu, or k and chi: by their labels, and never by a guess."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from larch import Group
from larch.io.columnfile import getfloats
from larch.io.xafs_beamlines import GenericBeamlineData, guess_beamline

from .absorber import MU_SHORTEST
from .errors import FileError

# Labels, the first that is there counts; else a longer one, such as i1_counts or mu_e, where it alone begins with one.
_MU_TRANS, _MU_FLUOR = ("mutrans", "mu_trans"), ("mufluor", "mu_fluor")
_MU = (
    *("mu", "xmu", *_MU_TRANS, *_MU_FLUOR, "mud", "mud_tr", "norm", "normtrans", "flat"),
    *("absorbance", "absorption"),
)
_I0 = ("i0", "io", "ic0", "monitor")
_TRANSMITTED = ("itrans", "it", "i1", "itr", "ic1", "trans", "transmission")
_FLUORESCENCE = ("ifluor", "if", "ifl", "ifluo", "fluor", "fluorescence")
# What makes a label longer and leaves it what it is: units, gases and the like. mu_err and it_dark are another thing.
_UNIT = r"_*(?:k?ev|cps|ct?s|counts?|hz|[munp]?[av]|a_?u|arb\w*|n2|he|ne|ar|kr|xe)?_*"
_LONGER = rf"(?:{_UNIT}|_*(?:e|raw|avg|mean|sum|xanes|exafs|data|coefficient|chamber|detector)_*)"
_ENERGY = rf".*energ.*|(?:e|en|ev|kev|nrg){_UNIT}"
_ANGLE = r"(?!.*energ).*(?:angle|theta|bragg).*"
_K, _CHI = r"k(?:_*(?:a|ang\w*)_*1)?_*", r"chi(?:_k)?_*"  # also of k(A^-1) and chi(k), and not of chi*k and chik
_NUMBERED = re.compile(r"\W*col(?:umn)?[\s._]*(\d+)\s*[:=]?\s+(\S+)", re.IGNORECASE)  # of XDI, DESY and others
_BETWEEN = (r"\t", ",", ";", r"\s{2,}", r"\s+")  # labels
TRANSMISSION = "read as transmission: for the fluorescence that is in the file too, leave out that column"
SEVERAL = 20  # rows of numbers in a header: those of another scan


def read_columns(group: Group, path: Path, labels: Sequence[str] | None = None) -> dict[str, Any]:
    """energy and mu, or k and chi, of what Larch has read of a file; `labels` where something better knows them.

    `read_as` is a sentence where there was a choice.
    """
    columns = group.data
    if len(columns) < 2:
        what = "one column of numbers alone" if len(columns) else "no rows of numbers"
        raise FileError(path, f"it has {what}: name a file with columns of energy and mu")
    names = list(labels) if labels else _labels(group, path)
    data = dict(zip(names, columns, strict=False))

    def first(words: tuple[str, ...]) -> Any:
        longer = [name for name in data if any(re.fullmatch(word + _LONGER, name) for word in words)]
        known = [word for word in words if word in data] or (longer if len(longer) == 1 else [])
        return data[known[0]] if known else None

    k, chi = (next((data[one] for one in data if re.fullmatch(form, one)), None) for form in (_K, _CHI))
    if k is not None and chi is not None:
        order = np.argsort(k, kind="stable")
        return {"k": k[order], "chi": chi[order]}
    angle = next((name for name in names if re.fullmatch(_ANGLE, name)), "")
    energies = [name for name in names if re.fullmatch(_ENERGY, name)]
    label = min(energies, key=lambda name: name.find("energ"), default=angle or names[0])
    if label == angle:
        raise FileError(path, f"it has no column of energy: convert {label} to eV and label it energy")
    energy = data[label]
    in_kev = energy.min() > 1 and energy.max() < 100  # all K edges of ours are between 4 and 10 keV
    if not in_kev and energy.max() < (100 if energies else 1000):
        goes = f"its {label if energies else 'first'} column goes from {energy.min():g} to {energy.max():g}"
        raise FileError(path, f"{goes}: label columns of chi(k) as k and chi, and others as energy and mu")
    mu, i0, transmitted, fluorescence = map(first, (_MU, _I0, _TRANSMITTED, _FLUORESCENCE))
    both = (i0, transmitted, fluorescence) if mu is None else (first(_MU_TRANS), first(_MU_FLUOR))
    of_both = all(one is not None for one in both) and first(("mu", "xmu")) is None
    with np.errstate(all="ignore"):  # what is no number is said below
        if mu is None and i0 is not None:
            if transmitted is not None:
                mu = np.log(i0 / transmitted)
            elif fluorescence is not None:
                mu = fluorescence / i0
        elif mu is None and len(columns) == 2:
            mu = columns[1 - names.index(label)]
    if mu is None:
        what_to_do = "label columns as energy and mu (or energy, i0 and i1 or ifluor)"
        raise FileError(path, f"none of its columns {', '.join(names)} is known to be mu: {what_to_do}")
    energy = energy * (1000.0 if in_kev else 1.0)
    if (bad := ~np.isfinite([energy, mu]).all(0)).any():
        where = f"mu is no number in {bad.sum()} of its {len(mu)} rows, first at {energy[bad][0]:.1f} eV"
        raise FileError(path, f"{where}: take these rows out (of i0 and i1, one is zero or negative there)")
    if (np.abs(np.diff(energy)) > np.ptp(energy) / 2).any():
        raise FileError(path, "its energies start again: write each scan into a file of its own, or merge them")
    if len(mu) < MU_SHORTEST:
        raise FileError(path, f"it has {len(mu)} rows, too few for a spectrum")
    order = np.argsort(energy, kind="stable")
    return {"energy": energy[order], "mu": mu[order]} | ({"read_as": TRANSMISSION} if of_both else {})


def _labels(group: Group, path: Path) -> list[str]:
    """A label for each column, from the last line of the header that has one for each, and energy or k among them."""
    header, n = [line.strip() for line in group.header], len(group.data)
    if sum(len(row := getfloats(line)) == n and None not in row for line in header if line) >= SEVERAL:
        raise FileError(path, "it has several scans: write each into a file of its own")
    by_larch = [str(label).lower() for label in group.array_labels]
    if guess_beamline(header) is not GenericBeamlineData:
        return by_larch
    numbered = {int(match[1]): match[2] for line in header if (match := _NUMBERED.match(line))}
    lines = [[numbered[i] for i in sorted(numbered)]] if sorted(numbered) == [*range(1, n + 1)] else []
    bare = [re.sub(r"^(?:#[LC]\s|[#;%*!$]|C\s)+\s*", "", line) for line in reversed(header)]
    lines += [words for line in bare for between in _BETWEEN if len(words := re.split(between, line.strip())) == n]
    for words in lines:
        names = [re.sub(r"\W+", "_", word.lower().replace("*", "x")).strip("_") for word in words]
        if any(re.fullmatch(f"{_ENERGY}|{_ANGLE}|{_K}", name) for name in names) and len(set(names)) == n:
            return names
        if "chir_mag" in names:
            raise FileError(path, "it has chi(R): give chi(k) or mu(E) of the same spectrum")
    if n > 2 and any(re.search(r"[^\W\d_]", line) for line in bare[:1]):
        what_to_do = f"label its {n} columns, each in one word, as in energy i0 i1"
        raise FileError(path, f"no line of its header does so, and the last is {bare[0]!r:.60}: {what_to_do}")
    return by_larch
