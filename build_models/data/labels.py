"""Which sites of a structure are distinct, and how many neighbours each has."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import spglib
from joblib import Parallel, delayed
from pymatgen.analysis.local_env import CrystalNN
from pymatgen.core import Composition, Element, Lattice, Structure

from build_models.data import structures
from larch_cnpredict.features import ELEMENTS

SYMPREC = 0.01  # Å
MIN_WEIGHT = 1e-3  # coordination numbers less probable than this are left out of the distribution


def label_structure(material_id: str, structure: Structure) -> list[dict]:
    """One row for each symmetry-distinct 3d site: coordination number, its distribution, neighbours.

    A site that CrystalNN cannot do is a row too, with the reason.
    """
    _, dataset = _symmetry(structure, SYMPREC)
    equivalent = list(range(len(structure))) if dataset is None else list(dataset.equivalent_atoms)
    counts = Counter(equivalent)
    sites = [i for i in counts if structure[i].specie.symbol in ELEMENTS]
    common = {
        "material_id": material_id,
        "formula": formula_key(structure),
        "prototype": prototype_key(structure),
        "n_sites": len(structure),
    }
    rows = []
    for i in map(int, sorted(sites)):
        row = {**common, "site_index": i, "absorber": structure[i].specie.symbol, "multiplicity": counts[i]}
        try:
            rows.append(row | coordination(structure, i) | {"reason": ""})
        except Exception as error:  # noqa: BLE001 -- whatever geometry does to Voronoi cells, the site is recorded
            empty = {"cn": None, "cn_values": None, "cn_weights": None, "neighbours": None}
            rows.append(row | empty | {"reason": f"CrystalNN: {type(error).__name__}: {error}"[:150]})
    return rows


def formula_key(structure: Structure) -> str:
    """Reduced formula without brackets: one name for a composition, whatever way it is usually written."""
    words = structure.composition.reduced_composition.formula.split()
    return "".join(word[:-1] if re.fullmatch(r"[A-Za-z]+1", word) else word for word in words)


def coordination(structure: Structure, site_index: int) -> dict:
    """CrystalNN's most probable coordination number, its whole distribution, and the neighbours it counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no oxidation states, by choice: nothing is guessed
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
        "neighbours": " ".join(f"{symbol}:{distance:.3f}" for distance, symbol in neighbours),
    }


def prototype_key(structure: Structure) -> str:
    """A name that isostructural crystals share, ordered solid solutions included.

    Elements of one chemical family (transition metals, rare earths, alkali metals, heavier chalcogens, ...)
    count as one kind; the key is space group, then stoichiometry with multiplicity and site symmetry of each
    orbit in the primitive cell. Cruder than a comparison of coordinates: what it joins by mistake is
    held out together, which is the safe side.
    """
    numbers, dataset = _symmetry(structure, 0.1, families=True)
    if dataset is None:
        return "unknown:" + structure.composition.anonymized_formula
    sizes = Counter(dataset.crystallographic_orbits)
    orbits = Counter(
        (numbers[i], dataset.site_symmetry_symbols[i].replace(".", "") or "1", size) for i, size in sizes.items()
    )
    cells = len(structure) / max(1, len(set(dataset.mapping_to_primitive)))
    kinds: dict[int, list[str]] = {}
    for (number, symmetry, size), n in sorted(orbits.items()):
        kinds.setdefault(number, []).append(f"{n}x{size / cells:g}{symmetry}")
    return f"{dataset.number}:" + ";".join(sorted(",".join(orbit) for orbit in kinds.values()))


def anonymous_keys(tables: Iterable[str | Path], ids: Collection[str]) -> dict[str, str]:
    """Anonymous reduced formula and space group of structures by their ids: 'AB2C4 227' for every spinel.

    Crystals that share it are mostly of one structure type in other chemistry. The tolerance is coarse (0.1 Å), so that
    slightly distorted members of a family count as the family.

    Parameters
    ----------
    tables : parquet tables of structures, the columns of `structures.SCHEMA`
    ids : material ids; those that no table has are not in the answer
    """
    rows = {row["material_id"]: row for path in tables for row in structures.iterate(Path(path))}
    wanted = [rows[i] for i in sorted(set(ids)) if i in rows]
    parallel = Parallel(n_jobs=-1 if len(wanted) > 1000 else 1, batch_size=100)
    keys = parallel(delayed(_anonymous_key)(row["cell"], row["species"], row["frac_coords"]) for row in wanted)
    return {row["material_id"]: key for row, key in zip(wanted, keys, strict=True)}


def _anonymous_key(cell: list[float], species: str, frac_coords: list[float]) -> str:
    symbols = species.split()
    numbers = [Element(symbol).Z for symbol in symbols]
    matrix = Lattice.from_parameters(*cell).matrix
    crystal = (matrix, np.reshape(frac_coords, (-1, 3)), numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = spglib.get_spacegroup(crystal, symprec=0.1) or "unknown"  # type: ignore[arg-type]
    return f"{Composition(Counter(symbols)).anonymized_formula} {group}"


def _symmetry(structure: Structure, symprec: float, families: bool = False):
    numbers = [_family(site.specie.symbol) if families else site.specie.Z for site in structure]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cell = (structure.lattice.matrix, structure.frac_coords, numbers)
        try:
            return numbers, spglib.get_symmetry_dataset(cell, symprec=symprec)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 -- spglib's own error class differs between releases
            return numbers, None


@cache
def _family(symbol: str) -> int:
    element = Element(symbol)
    if element.is_rare_earth and symbol != "Sc":
        return 57
    if element.is_transition_metal:
        return 26
    if element.is_alkali:
        return 11
    if element.is_alkaline:
        return 20
    if element.is_halogen:
        return 17
    if symbol in ("S", "Se", "Te"):
        return 16
    return element.Z
