"""Scattering paths by Larch's FEFF8L, for fits."""

from collections.abc import Sequence
from contextlib import chdir, nullcontext
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import numpy as np
from larch import Group
from larch.xafs import feff8l, feffpath
from xraydb import atomic_number

from .errors import FeffError, FileError

_RUNNING = Lock()  # the folder that FEFF runs in is the whole process's


def feff_paths(
    name: str, symbols: Sequence[str], points: np.ndarray, rpath: float, folder: str | Path | None = None
) -> list[Group]:
    """Single-scattering paths of FEFF8L among atoms at points (n, 3) in Å; the absorber is the one at the origin.

    Without a folder, FEFF runs once for the same atoms; each caller gets paths of its own.
    """
    text = feff_input(symbols, points, rpath)
    return run_feff(name, text, folder) if folder else [deepcopy(path) for path in kept_paths(name, text)]


@lru_cache(maxsize=100)
def kept_paths(name: str, text: str) -> list[Group]:
    """Paths that nobody writes to."""
    return run_feff(name, text)


def run_feff(name: str, text: str, folder: str | Path | None = None) -> list[Group]:
    """Paths of FEFF8L by its feff.inp."""
    place = nullcontext(str(Path(folder).expanduser().absolute() / name)) if folder else TemporaryDirectory()
    with place as where:
        try:
            Path(where).mkdir(parents=True, exist_ok=True)
            for old in Path(where).glob("feff0*.dat"):
                old.unlink()
            Path(where, "feff.inp").write_text(text, encoding="ascii")
        except OSError as error:
            raise FileError(where, f"FEFF's files cannot be written there ({error.strerror})") from error
        try:
            with _RUNNING, chdir(where):  # and back, also where Larch's runner fails
                feff8l(folder=where, verbose=False)
            if not (made := sorted(Path(where).glob("feff0*.dat"))):
                raise RuntimeError("it ended without one")
            # feffit knows paths by their labels
            return [feffpath(str(path), label=f"{name} {i}" if i else name) for i, path in enumerate(made)]
        except Exception as error:
            raise FeffError(name, error) from error


def feff_input(symbols: Sequence[str], points: np.ndarray, rpath: float) -> str:
    """feff.inp of these atoms, nearest first."""
    away = np.linalg.norm(points, axis=1)
    order = np.argsort(away, kind="stable")
    absorber = symbols[order[0]]
    kinds = sorted({symbols[i] for i in order[1:]})  # a potential without atoms is an error of FEFF's
    potentials = [f"{i} {atomic_number(symbol)}" for i, symbol in enumerate([absorber, *kinds])]
    atoms = [
        f"{x:.5f} {y:.5f} {z:.5f} {1 + kinds.index(symbols[i]) if i != order[0] else 0}"
        for i, (x, y, z) in zip(order, points[order].tolist(), strict=True)
    ]
    cards = ["TITLE first shell", "EDGE K", "CONTROL 1 1 1 1 1 1", "PRINT 1 0 0 0 0 3", "EXAFS 20", "NLEG 2"]
    return "\n".join([*cards, f"RPATH {rpath:.4f}", "POTENTIALS", *potentials, "ATOMS", *atoms, "END\n"])
