"""Recomputes chi(k) of random rows of a spectra table: does this FEFF, with these cards, still give what is in it?

    python -m benchmarks.reproduce SPECTRA STRUCTURES [--rows 100] [--tolerance 1e-3] [--draws 40]

SPECTRA has material_id, site_index, chi_static and chi_debye, STRUCTURES what `build_models fetch` writes. Where the
structures are in single precision, what FEFF was given is known to half a unit of the seventh digit only.
That matters where symmetry makes paths equal: FEFF's pathfinder parts them at the fifth decimal of a coordinate. A
row that differs is therefore tried again with structures that round to the same single precision.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from joblib import Parallel, delayed
from tqdm import tqdm

from build_models.config import FeffSettings
from build_models.data import structures
from build_models.data.feff import FeffError, run_paths, variants

BELOW = 3  # points of k below 0.15 1/Å, some of which FEFF leaves out and a table fills with zeros


def worst(row: dict, structure: dict, settings: FeffSettings) -> float:
    """Largest difference of chi(k), static or warm, relative to the largest chi of that spectrum."""
    expected = np.vstack([row["chi_static"], np.reshape(row["chi_debye"], (-1, len(row["chi_static"])))])
    expected = expected[: 1 + len(settings.debye_temperatures)].astype(float)
    try:
        chis = variants(run_paths(structures.to_structure(structure), row["site_index"], settings), settings)
    except FeffError as error:
        print(f"{row['material_id']}: {error}")
        return np.inf
    return float((np.abs(chis - expected)[:, BELOW:].max(axis=1) / np.abs(expected).max(axis=1)).max())


def redrawn(structure: dict, rng: np.random.Generator) -> dict:
    """Another structure of the same single precision; equal numbers stay equal, six decimals are exact."""
    cell, coords = structure["cell"], structure["frac_coords"]
    stored = {value: np.float32(value) for value in (*cell, *coords)}
    drawn = {value: float(x) + rng.uniform(-0.5, 0.5) * float(np.spacing(x)) for value, x in stored.items()}
    drawn |= {value: value for value in coords if value == round(value, 6)} | {90.0: 90.0, 60.0: 60.0}
    return structure | {"cell": [drawn[value] for value in cell], "frac_coords": [drawn[value] for value in coords]}


def closest_draw(row: dict, structure: dict, tolerance: float, draws: int) -> float:
    """Smallest difference over the structures drawn; it stops at the first one that agrees."""
    rng = np.random.default_rng(0)
    static = FeffSettings(debye_temperatures=())
    smallest = np.inf
    for _ in range(draws):
        other = redrawn(structure, rng)
        error = worst(row, other, static)
        if error < tolerance:
            error = worst(row, other, FeffSettings())
        smallest = min(smallest, error)
        if smallest < tolerance:
            break
    return smallest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", type=Path)
    parser.add_argument("structures", type=Path)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    table = ds.dataset(arguments.spectra)
    chosen = np.random.default_rng(arguments.seed).choice(table.count_rows(), arguments.rows, replace=False)
    columns = ["material_id", "site_index", "formula", "chi_static", "chi_debye"]
    rows = table.take(chosen, columns=columns).to_pylist()
    wanted = {row["material_id"] for row in rows}
    crystals = structures.rows_of([arguments.structures], wanted)

    work = Parallel(arguments.workers, return_as="generator")
    jobs = (delayed(worst)(row, crystals[row["material_id"]], FeffSettings()) for row in rows)
    errors = np.array(list(tqdm(work(jobs), total=len(rows))))
    differ = [(row, error) for row, error in zip(rows, errors, strict=True) if error >= arguments.tolerance]
    print(f"{len(rows) - len(differ)} of {len(rows)} rows agree within {arguments.tolerance:g} of the largest chi; "
          f"median {np.median(errors):.1e}")  # fmt: skip
    single = pq.read_schema(arguments.structures).field("cell").type.value_type == "float"
    for row, error in differ:
        again = ""
        if single:
            other = closest_draw(row, crystals[row["material_id"]], arguments.tolerance, arguments.draws)
            again = f", {other:.1e} with another structure of the same single precision"
        print(f"{row['material_id']} {row['formula']} site {row['site_index']}: {error:.1e}{again}")


if __name__ == "__main__":
    main()
