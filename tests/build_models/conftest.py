"""A way to run the stages on small crystals."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build_models import config
from build_models.config import Config
from build_models.data import sources, structures, table, work
from build_models.spectra import dataset
from tests.build_models.crystals import crystals


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
            "run": {"out": str(tmp_path / "out"), "workers": 1} | sections.get("run", {}),
            "source": {"kind": "parquet", "path": str(structure_table)} | sections.get("source", {}),
            "feff": {"debye_temperatures": [300.0]} | sections.get("feff", {}),
            "order": sections.get("order", {}),
        }
        return config.load(None, given)

    return make


@pytest.fixture(scope="session")
def spectra_table(tmp_path_factory, structure_table):
    out = tmp_path_factory.mktemp("training")
    settings = config.load(
        None,
        {
            "run": {"out": str(out), "workers": 1},
            "source": {"kind": "parquet", "path": str(structure_table)},
        },
    )
    sources.fetch(settings)
    work.label(settings)
    work.simulate(settings)
    return table.build(settings)


@pytest.fixture(scope="session")
def data(spectra_table):
    return dataset.load([spectra_table])
