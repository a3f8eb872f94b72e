"""Which sites of a structure are distinct, and how many neighbours each has."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from joblib import Parallel, delayed
from pymatgen.core import Composition, Structure

from build_models.data import structures
from larch_cnpredict.features import ELEMENTS

SYMPREC = 0.01  # Å
MIN_WEIGHT = 1e-3  # coordination numbers less probable than this are left out of the distribution


def label_structure(material_id: str, structure: Structure) -> list[dict]:
    """One row for each symmetry-distinct 3d site: coordination number, its distribution, neighbours.

    A site that CrystalNN cannot do is a row too, with the reason.
    """
    dataset = _symmetry(spglib.get_symmetry_dataset, structure, SYMPREC)
    # for each site the first one that symmetry makes equal to it
    counts = Counter(range(len(structure)) if dataset is None else dataset.equivalent_atoms.tolist())
    common = {
        "material_id": material_id,
        "formula": formula_key(structure.composition),
        "prototype": prototype(structure),
        "n_sites": len(structure),
    }
    rows = []
    for i in sorted(counts):
        absorber = structure[i].specie.symbol
        if absorber not in ELEMENTS:
            continue
        row = {**common, "site_index": i, "absorber": absorber, "multiplicity": counts[i]}
        try:
            rows.append(row | coordination(structure, i) | {"reason": ""})
        except Exception as error:  # noqa: BLE001 -- whatever geometry does to Voronoi cells, the site is recorded
            rows.append(row | {"reason": f"CrystalNN: {type(error).__name__}: {error}"[:150]})
    return rows


def _symmetry(ask: Callable, structure: Structure, symprec: float) -> Any:
    """What a function of spglib says; None where it finds no symmetry, which some of its releases raise."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return ask((structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers), symprec=symprec)
        except Exception:  # noqa: BLE001 -- its own error class differs between releases
            return None


def formula_key(composition: Composition) -> str:
    """Reduced formula without brackets: one name for a composition, whatever way it is usually written."""
    words = composition.reduced_composition.formula.split()
    return "".join(word[:-1] if re.fullmatch(r"[A-Za-z]+1", word) else word for word in words)


def coordination(structure: Structure, site_index: int) -> dict:
    """CrystalNN's most probable coordination number, its whole distribution, and the neighbours it counts."""
    from pymatgen.analysis.local_env import CrystalNN  # here, for it takes a second and processes for FEFF need none

    with warnings.catch_warnings(action="ignore"):  # no oxidation states, by choice: nothing is guessed
        data = CrystalNN().get_nn_data(structure, site_index)
    weights = {int(n): float(w) for n, w in data.cn_weights.items() if n > 0 and w > MIN_WEIGHT}
    if not weights:
        raise ValueError("no neighbours")
    cn = max(weights, key=lambda n: weights[n])
    center = structure[site_index].coords
    found = [neighbour["site"] for neighbour in data.cn_nninfo[cn]]
    neighbours = sorted((float(np.linalg.norm(site.coords - center)), site.specie.symbol) for site in found)
    return {
        "cn": cn,
        "cn_values": sorted(weights),
        "cn_weights": [weights[n] for n in sorted(weights)],
        "neighbours": neighbour_words(neighbours),
    }


def neighbour_words(neighbours: Iterable[tuple[float, str]]) -> str:
    """Distances, Å, and elements as tables have them: 'O:1.951 O:1.960'."""
    return " ".join(f"{symbol}:{distance:.3f}" for distance, symbol in neighbours)


def prototype(structure: Structure) -> str:
    """Anonymous reduced formula and space group: 'AB2C4 Fd-3m (227)' for every spinel.

    Crystals that share it are mostly of one structure type in other chemistry. The tolerance is coarse (0.1 Å), so that
    slightly distorted members of a family count as the family.
    """
    group = _symmetry(spglib.get_spacegroup, structure, 0.1) or "unknown"
    return f"{structure.composition.element_composition.anonymized_formula} {group}"


def prototypes(tables: Iterable[str | Path], ids: Collection[str]) -> dict[str, str]:
    """The `prototype` of each of these materials; those that no table of structures has are not in the answer."""
    rows = structures.rows_of(tables, set(ids))
    parallel = Parallel(n_jobs=-1 if len(rows) > 1000 else 1, batch_size=100)
    return dict(parallel(delayed(_prototype_of_row)(rows[i]) for i in sorted(rows)))


def _prototype_of_row(row: dict) -> tuple[str, str]:
    return row["material_id"], prototype(structures.to_structure(row))
