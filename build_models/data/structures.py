"""Crystal structures from several sources into one table, in the order of work."""

from __future__ import annotations

import logging
import random
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser
from tqdm import tqdm

from build_models.config import Config, ConfigError, Order
from build_models.data import table

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("material_id", pa.string()),
        pa.field("cell", pa.list_(pa.float64()), metadata={"unit": "a, b, c in Å; alpha, beta, gamma in degrees"}),
        pa.field("species", pa.string(), metadata={"unit": "space-separated symbols, site order"}),
        pa.field("frac_coords", pa.list_(pa.float64()), metadata={"unit": "flat, three a site"}),
    ]
)


def fetch(config: Config) -> Path:
    """Write `structures.parquet`, rows in the order in which the later stages take them."""
    path = config.out / "structures.parquet"
    source = config.source
    if source.kind in ("cif", "parquet") and not Path(source.path).exists():
        raise ConfigError(f"[source] path = '{source.path}' does not exist; the source '{source.kind}' needs it")
    limit = None if source.kind == "parquet" else config.limit
    metadata = config.provenance("source", "order") | {"limit": str(limit)}
    if path.exists() and _says(path, metadata):
        return path
    wanted = set(source.elements)
    rows: dict[str, dict] = {}
    for row in tqdm(_SOURCES[source.kind](config), desc=f"structures ({source.kind})", unit=""):
        species = row["species"].split()
        fits = len(species) <= source.max_atoms and len(set(species)) <= (source.max_elements or len(species))
        if wanted.intersection(species) and fits:
            rows[row["material_id"]] = row
        if limit is not None and len(rows) >= limit:
            break
    if not rows:
        raise ConfigError(f"the source '{source.kind}' has no structure with {', '.join(sorted(wanted))}")
    ordered = work_order(rows, config.order, config.seed, wanted)
    with table.replacing(path) as temporary:
        schema = SCHEMA.with_metadata(metadata)
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for start in range(0, len(ordered), 1000):
                batch = [rows[i] for i in ordered[start : start + 1000]]
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return path


def _says(path: Path, metadata: dict[str, str]) -> bool:
    """Whether a table was made with these settings."""
    found = pq.read_schema(path).metadata or {}
    return all(found.get(key.encode()) == metadata[key].encode() for key in ("config_hash", "limit", "seed"))


def iterate(path: Path, limit: int | None = None) -> Iterator[dict]:
    """Rows of a structure table, without reading all of it."""
    done = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=500):
        batch = pa.record_batch([_as_written(column) for column in batch.columns], names=batch.schema.names)
        for row in batch.to_pylist():
            if limit is not None and done >= limit:
                return
            done += 1
            yield row


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
        "material_id": normal_id(material_id),
        "cell": list(structure.lattice.parameters),
        "species": " ".join("H" if site.specie.Z == 1 else site.specie.symbol for site in structure),  # D too
        "frac_coords": structure.frac_coords.ravel().tolist(),
    }


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
    absorbers = set(absorbers)
    present = {i: absorbers.intersection(rows[i]["species"].split()) for i in rows}
    frequency = Counter(symbol for symbols in present.values() for symbol in symbols)
    shuffled = sorted(rows)
    random.Random(seed).shuffle(shuffled)
    pools: dict[tuple[bool, bool], list[str]] = defaultdict(list)
    for i in shuffled:
        number = re.fullmatch(r"mp-(\d+)", i)
        is_low = number is None or int(number[1]) < order.low_id
        pools[rows[i]["species"].count(" ") < order.small_first, is_low].append(i)
    result = []
    for small in (True, False):
        low, high = (_in_turn(pools[small, is_low], present, frequency) for is_low in (True, False))
        share = order.low_share
        position = {i: rank / share for rank, i in enumerate(low)} | {i: rank + 0.5 for rank, i in enumerate(high)}
        result += sorted(position, key=lambda i: position[i])
    return result


def _in_turn(ids: list[str], present: dict[str, set[str]], frequency: Counter) -> list[str]:
    """A stable order in which every absorber, by the rarest one of a structure, comes equally often."""
    seen: Counter = Counter()
    rank = {}
    for i in ids:
        rarest = min(sorted(present[i]), key=lambda symbol: frequency[symbol])
        rank[i] = seen[rarest]
        seen[rarest] += 1
    return sorted(ids, key=lambda i: rank[i])


def _from_parquet(config: Config) -> Iterator[dict]:
    yield from iterate(Path(config.source.path))


def _from_cif_folder(config: Config) -> Iterator[dict]:
    folder = Path(config.source.path)
    for path in sorted(folder.rglob("*.cif")):
        yield from _parse_cif(str(path.relative_to(folder).with_suffix("")), path.read_text(errors="replace"))


def _from_amcsd(config: Config) -> Iterator[dict]:
    """Structures of the mineral database that Larch's dependency larixite installs, read only.

    `AMCSD()` opens that file and nothing else; larixite's `get_amcsd()` would download a larger one.
    """
    from larixite.amcsd import AMCSD

    database = AMCSD(read_only=True)
    try:
        elements: dict[str, dict] = {}
        entries, contents = database.tables["cif"], database.tables["cif_elements"]
        known = {str(row.id) for row in database.execall(entries.select().with_only_columns(entries.c.id))}
        for row in database.execall(contents.select()):
            if row.cif_id in known:
                elements.setdefault(row.cif_id, {"species": ""})["species"] += f" {row.element}"
        wanted = set(config.source.elements)
        candidates = {i: row for i, row in elements.items() if wanted.intersection(row["species"].split())}
        for i in work_order(candidates, config.order, config.seed, wanted):
            yield from _parse_cif(f"amcsd-{int(i):07d}", database.get_cif(int(i)).ciftext)
    finally:
        database.close()


def _from_materials_project(config: Config) -> Iterator[dict]:
    from build_models.data.materials_project import structures

    yield from structures(config)


def _parse_cif(material_id: str, text: str) -> Iterator[dict]:
    """The structure of a CIF file; none where pymatgen cannot read it or a site is shared by several elements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structure = CifParser(StringIO(text)).parse_structures(primitive=True)[0]
        except Exception as error:  # noqa: BLE001 -- pymatgen raises anything for a broken file
            log.info("%s: not readable: %s", material_id, error)
            return
    if structure.is_ordered:
        yield to_row(material_id, structure)
    else:
        log.info("%s: left out, some sites are shared by several elements", material_id)


_SOURCES = {
    "amcsd": _from_amcsd,
    "mp": _from_materials_project,
    "cif": _from_cif_folder,
    "parquet": _from_parquet,
}
