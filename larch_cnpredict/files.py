"""Data files to Larch groups that are ready for `predict_cn`: XDI, columns, Athena projects, `.larix` sessions."""

import json
import re
from collections import defaultdict
from contextlib import suppress
from copy import copy
from pathlib import Path

from larch import Group, io, isgroup
from larch.io.athena_project import clean_bkg_params
from larch.utils import read_textfile
from larch.xafs import autobk, pre_edge, xftf

from .absorber import as_number
from .columns import read_columns
from .errors import FileError
from .features import KMAX_DEFAULT, TRANSFORM
from .quality import FALLS, falls
from .spectrum import plain_name
from .transform import in_steps

_XDI = re.compile(r"^#\s*(\w+)\.(\w+)\s*:\s*(.*\S)", re.MULTILINE)
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
            if (there := _records(read_textfile(path))) > len(groups):  # Larch names groups by the labels
                what_to_do = "give those of the same label different ones in Athena"
                raise FileError(path, f"it has {there} spectra, of which Larch reads {len(groups)}: {what_to_do}")
        else:
            groups = [_read_columns(path)]
    except FileError:
        raise
    except Exception as error:  # larch.io raises whatever its parsers meet
        raise FileError(path, f"Larch cannot read it ({' '.join(str(error).split())})") from error
    if not groups:
        raise FileError(path, "it has no XAFS spectrum")
    return groups


def _records(text: str) -> int:
    """How many spectra an Athena project has, of either of its formats."""
    if text.lstrip().startswith("{"):
        return sum(len(value) for key, value in json.loads(text).items() if key.startswith("_____order"))
    return len(re.findall(r"^\[record\]", text, re.MULTILINE))


def _read_columns(path: Path) -> Group:
    """energy and mu, or k and chi, of a file of columns, with what its header says; nothing else that it may name."""
    text, labels, attrs = read_textfile(path), None, {}
    if _DECIMAL_COMMAS.search(text):  # Larch would take 0,5 for two columns
        raise FileError(path, "its numbers have decimal commas: write them with decimal points")
    if is_xdi := "XDI/" in text.partition("\n")[0]:
        with suppress(Exception):  # a unit beside a number, or gzip: read as any columns then
            read = io.read_xdi(str(path))
            labels, attrs = [label.lower() for label in read.array_labels], read.attrs
    if labels is None:
        read = io.read_ascii(str(path))
        attrs = _sections(text) if is_xdi else getattr(read, "attrs", {})
    return Group(filename=path.name, path=str(path), attrs=attrs, **read_columns(read, path, labels))


def _sections(text: str) -> dict[str, dict[str, str]]:
    """What an XDI header says, as `read_xdi` has it."""
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    for section, key, value in _XDI.findall(text):
        sections[section.lower()][key.lower()] = value
    return sections


def process(group: Group) -> Group:
    """The group after what was missing of pre_edge, autobk (as its Athena project has it) and xftf; or a FileError."""
    try:
        if not hasattr(group, "chi") and not hasattr(group, "chir_mag"):
            if not hasattr(group, "edge_step"):
                pre_edge(group)
                if falls(group):  # whose e0 is nowhere near the edge, often
                    raise FileError(plain_name(group), FALLS)
            autobk(group, **_background_settings(group))
        if not hasattr(group, "chir_mag"):
            kmax = round(min(float(group.k[-1]), KMAX_DEFAULT), 6)
            k, chi = in_steps(group.k, group.chi)  # of other steps Larch makes another R, or fails
            xftf(k, chi, group=group, kmax=kmax, **TRANSFORM)
    except FileError:
        raise
    except Exception as error:  # a spectrum without an edge fails in many ways
        why = " ".join(str(error).split())
        raise FileError(plain_name(group), f"Larch cannot get chi(k) from it ({why})") from error
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
