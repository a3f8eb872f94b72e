"""The table of crystal structures, and the order in which later stages take its rows."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Lattice, Structure

from build_models.config import Order

SCHEMA = pa.schema(
    [
        pa.field("material_id", pa.string()),
        pa.field("cell", pa.list_(pa.float64()), metadata={"unit": "a, b, c in Å; alpha, beta, gamma in degrees"}),
        pa.field("species", pa.string(), metadata={"unit": "space-separated symbols, site order"}),
        pa.field("frac_coords", pa.list_(pa.float64()), metadata={"unit": "flat, three a site"}),
    ]
)


def iterate(path: Path, limit: int | None = None) -> Iterator[dict]:
    """Rows of a structure table, without reading all of it."""
    rows = (
        row
        for batch in pq.ParquetFile(path).iter_batches(batch_size=500)
        for row in pa.record_batch([*map(_as_written, batch.columns)], batch.schema.names).to_pylist()
    )
    return islice(rows, limit)


def _as_written(column: pa.Array) -> pa.Array:
    """Lists of single precision by their shortest decimals: 0.666667 as its CIF file had it, not 0.66666698.

    A change of 1e-6 Å can part two paths that symmetry makes equal, and FEFF's pathfinder then keeps others.
    """
    if not (pa.types.is_list(column.type) and pa.types.is_float32(column.type.value_type)):
        return column
    decimals = column.values.cast(pa.string()).cast(pa.float64())
    return pa.ListArray.from_arrays(column.offsets, decimals)


def to_structure(row: dict) -> Structure:
    lattice = Lattice.from_parameters(*row["cell"])
    return Structure(lattice, row["species"].split(), np.array(row["frac_coords"]).reshape(-1, 3))


def to_row(material_id: str, structure: Structure) -> dict:
    return {
        "material_id": normal_id(material_id) if "-" in material_id else material_id,  # a file may be called goethite
        "cell": list(structure.lattice.parameters),
        "species": " ".join("H" if site.specie.Z == 1 else site.specie.symbol for site in structure),  # D too
        "frac_coords": structure.frac_coords.ravel().tolist(),
    }


def made_up(name: str, structure: Structure) -> dict:
    """The row of a crystal that a stage plans by itself: with what it is in its name, for the name says too little."""
    row = to_row(name, structure)
    numbers = [(np.round(row[part], 6) + 0.0).tolist() for part in ("cell", "frac_coords")]
    content = hashlib.sha256(json.dumps([row["species"], *numbers]).encode()).hexdigest()
    return row | {"material_id": f"{name} {content[:12]}"}


def normal_id(material_id: str) -> str:
    """One form for the two in which Materials Project ids are printed: mp-715262 for mp-aaaboscc too."""
    match = re.fullmatch(r"(?:(mp|mvc)-)?([a-z]{8,})", str(material_id))
    if not match:
        return str(material_id)
    number = 0
    for letter in match[2]:
        number = 26 * number + ord(letter) - ord("a")
    return f"{match[1] or 'mp'}-{number}"


def work_order(rows: dict[str, dict], order: Order, seed: int, absorbers: Iterable[str]) -> list[str]:
    """Ids: small cells first, absorbers in turn, low ids `low_share` times as often as high ones, shuffled."""
    present = {i: set(absorbers).intersection(row["species"].split()) for i, row in rows.items()}
    frequency = Counter(symbol for symbols in present.values() for symbol in symbols)
    shuffled = sorted(rows)
    random.Random(seed).shuffle(shuffled)
    sites = pd.DataFrame({"id": pd.Series(shuffled, dtype=str)})
    sites["large"] = [rows[i]["species"].count(" ") >= order.small_first for i in shuffled]
    numbers = sites["id"].str.extract(r"^mp-(\d+)$", expand=False).astype(float)
    sites["high"] = numbers >= order.low_id
    sites["rarest"] = [min(sorted(present[i]), key=frequency.__getitem__) for i in shuffled]
    sites["turn"] = sites.groupby(["large", "high", "rarest"]).cumcount()
    sites = sites.sort_values("turn", kind="stable")
    rank = sites.groupby(["large", "high"]).cumcount()
    sites["place"] = (rank / order.low_share).where(~sites["high"], rank + 0.5)
    return sites.sort_values(["large", "place", "high"])["id"].tolist()
