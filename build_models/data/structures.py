"""The table of crystal structures, and the order in which later stages take its rows."""

import json
import random
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Lattice, Structure

from build_models.config import Order, short_hash

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


def rows_of(paths: Iterable[str | Path], ids: Container[str], limit: int | None = None) -> dict[str, dict]:
    """Rows of these materials by id; those that no table has are not in the answer."""
    every = (row for path in paths for row in iterate(Path(path), limit))
    return {row["material_id"]: row for row in every if row["material_id"] in ids}


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


def named(row: dict) -> dict:
    """The row with what it is in its name: what was calculated of another structure of that name is not found by it."""
    name, numbers = row["material_id"], [(np.round(row[part], 6) + 0.0).tolist() for part in ("cell", "frac_coords")]
    content = short_hash(json.dumps([row["species"], *numbers]))
    return row | {"material_id": f"{name} {content}"}


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


def few_of_each(labels: pa.Table, count: int, seed: int) -> pa.Table:
    """So many sites of each cell and absorber, by chance."""
    sites = labels.select(["material_id", "absorber"]).to_pandas().sample(frac=1, random_state=seed)
    return labels.take(sorted(sites.groupby(["material_id", "absorber"]).head(count).index))


def rarest_first(labels: pa.Table, known: set[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    """Labelled sites (material_id, site_index) that are not known yet, those first that add most to those that are.

    A site is worth little where there are many of its absorber, number and kinds of neighbour, and less where there are
    many of its structure type; what stands before it in the list counts as known. A label that CrystalNN is not sure of
    is worth little too: the square of its weight.
    """
    sites = labels.to_pandas().sample(frac=1, random_state=seed, ignore_index=True)
    new = ~np.array([key in known for key in zip(sites["material_id"], sites["site_index"], strict=True)])
    symbols = sites["neighbours"].map(lambda words: " ".join(sorted({word.split(":")[0] for word in words.split()})))
    kind = sites["absorber"] + " " + sites["cn"].astype(str) + " " + symbols
    alike, of_type = (
        key[new].map(key[~new].value_counts()).fillna(0) + key[new].groupby(key[new]).cumcount() + 1
        for key in (kind, sites["prototype"])
    )
    order = (np.sqrt(alike) * of_type / sites["cn_weights"][new].map(max) ** 2).sort_values(kind="stable").index
    return list(zip(sites["material_id"][order], sites["site_index"][order], strict=True))
