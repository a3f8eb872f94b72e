"""Small crystals, made here, and a way to run the stages on them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from build_models import config, structures
from build_models.config import Config


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


@pytest.fixture(scope="session")
def structure_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("structures") / "crystals.parquet"
    rows = [structures.to_row(name, crystal) for name, crystal in crystals().items()]
    pq.write_table(pa.Table.from_pylist(rows, schema=structures.SCHEMA), path)
    return path


@pytest.fixture
def make_config(tmp_path: Path, structure_table: Path) -> Callable[..., Config]:
    """A configuration on the small crystals: `make_config(run={...}, feff={...})`."""

    def make(**sections: dict) -> Config:
        given = {
            "run": {"out": str(tmp_path / "out"), "workers": 2} | sections.get("run", {}),
            "source": {"kind": "parquet", "path": str(structure_table)} | sections.get("source", {}),
            "feff": {"debye_temperatures": [300.0]} | sections.get("feff", {}),
            "order": sections.get("order", {}),
        }
        return config.load(None, given)

    return make
