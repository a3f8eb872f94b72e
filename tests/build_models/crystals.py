"""Small crystals, made here."""

from functools import cache

import numpy as np
from pymatgen.core import Lattice, Structure

from build_models.config import FeffSettings
from build_models.data import feff


def spectra(structure: Structure, site_index: int, settings: FeffSettings) -> np.ndarray:
    """chi(k) on `K_GRID` by FEFF8L: the static one, then one for each Debye temperature."""
    return feff.variants(feff.run_paths(structure, site_index, settings), settings)


@cache
def crystals() -> dict[str, Structure]:
    cubic, spacegroup = Lattice.cubic, Structure.from_spacegroup
    return {
        "mp-30": spacegroup("Fm-3m", cubic(3.61), ["Cu"], [[0, 0, 0]]),
        "mp-13": spacegroup("Im-3m", cubic(2.87), ["Fe"], [[0, 0, 0]]),
        "mp-19009": spacegroup("Fm-3m", cubic(4.18), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "mp-18748": spacegroup(
            "Fd-3m", cubic(8.40), ["Fe", "Fe", "O"], [[0.0] * 3, [0.625] * 3, [0.380] * 3]
        ).get_primitive_structure(),  # magnetite: 4 and 6 neighbours in one crystal
        "mp-2657": spacegroup("P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
    }
