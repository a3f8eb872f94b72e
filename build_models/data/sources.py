"""Stage `fetch`: crystal structures from where they are into one table."""

import re
import warnings
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pyarrow.parquet as pq
from pymatgen.io.cif import CifParser
from tqdm import tqdm

from build_models.config import Config, ConfigError, short_hash
from build_models.data import materials_project, table
from build_models.data.structures import SCHEMA, iterate, to_row, work_order

# Å: sites of a primitive cell are at most so far from those of the cell that was given. With pymatgen's own 0.25 Å a
# dimerised crystal becomes the one without dimers, and a snapshot of thermal motion the ideal crystal.
SAME_PLACE = 5e-4


def fetch(config: Config) -> Path:
    """Write `structures.parquet`, rows in the order of work; what cannot be taken is a row of `unreadable.parquet`."""
    path, source = config.out / "structures.parquet", config.source
    if source.kind in ("cif", "parquet") and not Path(source.path).exists():
        raise ConfigError(f"[source] path = '{source.path}' does not exist; the source '{source.kind}' needs it")
    limit = None if source.kind == "parquet" else config.limit
    metadata = config.provenance("source", "order") | {"limit": str(limit), "files": _listing(config)}
    if path.exists() and table.says(path, metadata, "config_hash", "limit", "seed", "files"):
        reasons = pq.read_table(path.with_name("unreadable.parquet"))["reason"].to_pylist()
        if materials_project.NOT_DELIVERED not in reasons:
            return path
    wanted = set(source.elements)
    rows: dict[str, dict] = {}
    failures: list[dict] = []
    for row in tqdm(_SOURCES[source.kind](config), desc=f"structures ({source.kind})", unit=""):
        if "reason" in row:
            failures.append(row)
            continue
        species = row["species"].split()
        fits = len(species) <= source.max_atoms and len(set(species)) <= (source.max_elements or len(species))
        if wanted.intersection(species) and fits:
            rows[row["material_id"]] = row
        if limit is not None and len(rows) >= limit:
            break
    if not rows:
        raise ConfigError(f"the source '{source.kind}' has no structure with {', '.join(sorted(wanted))}")
    ordered = [rows[i] for i in work_order(rows, config.order, config.seed, wanted)]
    if source.kind == "mp":
        metadata["database"] = table.database(config.out, "summary")
    table.write_shard(config.out, failures, table.FAILURE_SCHEMA, metadata, "unreadable")
    table.write_shard(config.out, ordered, SCHEMA, metadata, "structures")
    return path


def _listing(config: Config) -> str:
    """Which files a source has, and of what size and date; nothing for those that are no files."""
    folder = Path(config.source.path)
    files = {"cif": sorted(folder.rglob("*.cif")), "parquet": [folder]}.get(config.source.kind, [])
    listed = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return short_hash(str(listed)) if listed else ""


def _from_cif_folder(config: Config) -> Iterator[dict]:
    folder = Path(config.source.path)
    for path in sorted(folder.rglob("*.cif")):
        yield from read_cif(str(path.relative_to(folder).with_suffix("")), path.read_text(errors="replace"), config)


def _from_amcsd(config: Config) -> Iterator[dict]:
    """Structures of the mineral database that Larch's dependency larixite installs, read only.

    `AMCSD()` opens that file and nothing else; larixite's `get_amcsd()` would download a larger one.
    """
    from larixite.amcsd import AMCSD

    with closing(AMCSD(read_only=True)) as database:
        found: dict[str, dict] = {}
        entries, contents = database.tables["cif"], database.tables["cif_elements"]
        known = {str(row.id) for row in database.execall(entries.select().with_only_columns(entries.c.id))}
        wanted = config.source.elements
        for row in database.execall(contents.select().where(contents.c.element.in_(wanted))):
            if row.cif_id in known:
                found.setdefault(row.cif_id, {"species": ""})["species"] += f" {row.element}"
        for i in work_order(found, config.order, config.seed, wanted):
            yield from read_cif(f"amcsd-{int(i):07d}", database.get_cif(int(i)).ciftext, config)


def read_cif(material_id: str, text: str, config: Config) -> Iterator[dict]:
    """The structures of a CIF file, or the reason why there is none: a row of the one table or of the other."""
    # pymatgen takes a coordinate this near to 1/3 or 2/3 for it (relative). 0.3333 must be, for symmetry to join its
    # images; with five decimals it need not be, and nothing else may: a snapshot has atoms there that have moved.
    four_decimals = re.search(r"(?<![\d.])0?\.(3333|6667)(?!\d)", text)
    with warnings.catch_warnings(action="ignore"):
        try:
            parser = CifParser(StringIO(text), frac_tolerance=1.1e-4 if four_decimals else 1.1e-5)
            structures = parser.parse_structures(primitive=False)
        except Exception as error:  # noqa: BLE001 -- pymatgen raises anything for a broken file
            yield table.failure(material_id, f"CIF is not readable: {type(error).__name__}: {error}")
            return
        for n, structure in enumerate(structures):
            name = f"{material_id}:{n + 1}" if n else material_id
            if structure.is_ordered:
                yield to_row(name, structure.get_primitive_structure(SAME_PLACE))
            elif set(config.source.elements).intersection(structure.composition.get_el_amt_dict()):
                yield table.failure(name, "some sites are shared by several elements or partly empty")


_SOURCES = {
    "amcsd": _from_amcsd,
    "mp": materials_project.structures,
    "cif": _from_cif_folder,
    "parquet": lambda config: iterate(Path(config.source.path)),
}
