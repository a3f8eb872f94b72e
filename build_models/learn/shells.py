"""Shells of known sites that EXAFS tells apart: 8 + 6 in body-centred cubic iron, 6 + 6 in zinc, 4 + 2 about Cu(II)."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Element, Structure
from tqdm import tqdm

from build_models.data.structures import iterate, to_structure
from larch_cnpredict import domain
from larch_cnpredict.features import KMAX_DEFAULT

GAP = np.pi / 2 / KMAX_DEFAULT  # Å: shells nearer to each other are one peak
NEXT = 1.25  # first shells' distances; what begins beyond is the second shell of any crystal
REACH, SELF = 6.0, 0.1  # Å; pymatgen takes out the first site of a crystal alone as its own neighbour


def count(structure: Structure, site_index: int, named: str) -> np.ndarray:
    """How many neighbours are in the first resolved shell and in the next, and mean distances, Å: (2, 2), else zeros.

    They are of the elements that CrystalNN `named`, as in 'O4 Cl2': cations beyond an oxide's anions are no neighbours.
    Where all named are metals and metalloids, all of these count. Of hydrides nothing is said: EXAFS does not see H.
    """
    names, out = domain.elements(named), np.zeros((2, 2))
    symbols = [site.specie.symbol for site in structure]
    counted = [_metal(symbol) if all(map(_metal, names)) else symbol in names for symbol in symbols]
    _, atoms, _, distances = structure.get_neighbor_list(REACH, [structure[site_index]])
    distances = np.sort(distances[np.array(counted)[atoms] & (distances > SELF)])
    *shells, _ = np.split(distances, np.flatnonzero(np.diff(distances, append=REACH) >= GAP) + 1)  # the last is cut off
    if "H" not in names:
        for i, shell in enumerate(shells[:2]):
            if shell[0] <= NEXT * shells[0].mean():
                out[:, i] = len(shell), shell.mean()
    return out


def _metal(symbol: str) -> bool:
    return Element(symbol).is_metal or Element(symbol).is_metalloid


def of_index(arrays: domain.Arrays, tables: Iterable[str | Path]) -> domain.Arrays:
    """What domain.npz has of shells, by tables of structures; zeros for sites whose crystal is in none of them."""
    todo: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, site in enumerate(arrays["site"].tolist()):
        material_id, _, number = site.rpartition(" site ")
        todo[material_id].append((row, int(number)))
    found = np.zeros((len(arrays["site"]), 2, 2))
    crystals = (crystal for path in tables for crystal in iterate(Path(path)))
    for crystal in tqdm(crystals, desc="shells", unit=" crystals"):
        for row, number in todo.pop(crystal["material_id"], ()):
            found[row] = count(to_structure(crystal), number, arrays["shell"][row].item())
    return {"shell_counts": found[:, 0].astype(np.int8), "shell_distances": found[:, 1].astype(np.float16)}


def held_out(arrays: domain.Arrays) -> dict[str, Any]:
    """Of how many known sites shells are said where none of their formula is known but their number is; and rightly."""
    said = right = 0
    for key in {*zip(arrays["element"].tolist(), arrays["cn"].tolist(), strict=True)}:
        rows = np.flatnonzero((arrays["element"] == key[0]) & (arrays["cn"] == key[1]))
        alike = {name: arrays[name][rows] for name in ("index", "element", "cn", "formula", *domain.SHELLS)}
        for i in range(len(rows)):
            others = {name: values[alike["formula"] != alike["formula"][i]] for name, values in alike.items()}
            shells = domain.resolved_shells(alike["index"][i : i + 1].astype(float), others, *key)
            said += bool(shells)
            right += [shell["count"] for shell in shells] == alike["shell_counts"][i].tolist()
    return {"sites": len(arrays["site"]), "said": said, "right": right}
