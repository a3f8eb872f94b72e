"""Parquet: shards written as work is done, and the spectra table that training reads."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from build_models.config import Config, ConfigError
from larch_cnpredict.features import K_GRID

KEY = ["material_id", "site_index"]
LABEL_SCHEMA = pa.schema(
    [
        ("material_id", pa.string()),
        ("site_index", pa.int32()),  # row of the structure's site; -1 where a structure as a whole failed
        ("absorber", pa.string()),
        ("formula", pa.string()),  # reduced: the group for holding out materials
        ("prototype", pa.string()),  # structure-prototype key: the group for holding out isostructural ones
        ("multiplicity", pa.int32()),  # equivalent sites in the cell
        ("n_sites", pa.int32()),  # sites in the cell
        ("cn", pa.int16()),  # CrystalNN's most probable coordination number
        ("cn_values", pa.list_(pa.int16())),  # its whole distribution ...
        ("cn_weights", pa.list_(pa.float32())),  # ... and the probabilities
        ("neighbours", pa.string()),  # symbol:distance/Å of the neighbours at cn, nearest first
        ("reason", pa.string()),  # why there is no label; "" where there is one
    ]
)
CHI_SCHEMA = pa.schema(
    [
        ("material_id", pa.string()),
        ("site_index", pa.int32()),
        ("chi_static", pa.list_(pa.float16())),  # chi(k), sigma2 = 0, s02 = 1, on K_GRID
        ("chi_debye", pa.list_(pa.float16())),  # flat: one chi(k) for each Debye temperature
        ("seconds", pa.float32()),
        ("reason", pa.string()),  # why there is no chi(k); "" where there is one
    ]
)
SCHEMA = pa.schema(
    [field for field in LABEL_SCHEMA if field.name != "reason"]
    + [CHI_SCHEMA.field("chi_static"), CHI_SCHEMA.field("chi_debye")]
)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write beside `path`, then rename: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_shard(folder: Path, rows: list[dict], schema: pa.Schema, metadata: dict[str, str]) -> None:
    """One more file of rows, under a name that no other process takes."""
    schema = schema.with_metadata(metadata)
    with replacing(folder / f"{uuid.uuid4().hex}.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary, compression="zstd")


def read_shards(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """All rows of a folder of shards, the first of each key, sorted by key."""
    files = [str(path) for path in sorted(folder.glob("*.parquet"))] if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(f"{folder} has no shards yet; run the stage '{folder.name}' first")
    return first_of_each(ds.dataset(files, format="parquet").to_table(columns=columns))


def first_of_each(rows: pa.Table) -> pa.Table:
    """Sorted by key with no key twice: a site that two runs did is there once."""
    rows = rows.append_column("_row", pa.array(np.arange(len(rows))))
    kept = rows.select([*KEY, "_row"]).group_by(KEY).aggregate([("_row", "min")])
    kept = kept.sort_by([(name, "ascending") for name in KEY])
    return rows.take(kept["_row_min"]).drop_columns("_row")


def check_settings(folder: Path, metadata: dict[str, str]) -> None:
    """Refuse to add to the work of other settings: a table is of one kind or it says nothing."""
    for path in folder.glob("*.parquet"):
        found = (pq.read_schema(path).metadata or {}).get(b"config_hash", b"").decode()
        if found != metadata["config_hash"]:
            raise ConfigError(f"{folder} holds work that was done with other settings; choose another --out")


def keys(folder: Path) -> set[tuple[str, int]]:
    """The (material_id, site_index) that a folder of shards already holds."""
    try:
        rows = read_shards(folder, KEY)
    except FileNotFoundError:
        return set()
    return set(_key_list(rows))


def _key_list(rows: pa.Table) -> list[tuple[str, int]]:
    return list(zip(*(rows[name].to_pylist() for name in KEY), strict=True))


def build(config: Config) -> Path:
    """Join labels and chi(k) into `spectra.parquet`; the sites without one go to `failures.parquet`."""
    labels = read_shards(config.out / "label")
    chi = read_shards(config.out / "simulate")
    good = chi.filter(pc.equal(chi["reason"], ""))
    row_of = {key: i for i, key in enumerate(_key_list(labels))}
    spectra = labels.take([row_of[key] for key in _key_list(good)])
    for name in ("chi_static", "chi_debye"):
        spectra = spectra.append_column(CHI_SCHEMA.field(name), good[name])
    spectra = spectra.select(SCHEMA.names)
    failed = pa.concat_tables(
        [rows.filter(pc.not_equal(rows["reason"], "")).select([*KEY, "reason"]) for rows in (labels, chi)]
    )
    feff = config.feff
    metadata = config.provenance() | {
        "k": f"0 to {K_GRID[-1]:g} by {K_GRID[1]:g} 1/Angstrom, {len(K_GRID)} points",
        "theta_debye_K": " ".join(f"{theta:g}" for theta in feff.debye_temperatures),
        "T_K": f"{feff.temperature:g}",
        "structures": _origin(config),
        "failures": str(len(failed)),
    }
    path = config.out / "spectra.parquet"
    with replacing(path) as temporary:
        pq.write_table(spectra.cast(SCHEMA).replace_schema_metadata(metadata), temporary, row_group_size=1000,
                       compression="zstd")  # fmt: skip
    with replacing(config.out / "failures.parquet") as temporary:
        pq.write_table(failed.replace_schema_metadata(metadata), temporary)
    reasons = Counter(reason.split(",")[0] for reason in failed["reason"].to_pylist())
    print(f"{path}: {len(spectra)} spectra of {len(set(spectra['material_id'].to_pylist()))} materials")
    print(f"{len(failed)} sites failed ({len(failed) / max(1, len(failed) + len(spectra)):.2%})")
    for reason, n in reasons.most_common():
        print(f"  {n:5d}  {reason}")
    return path


def _origin(config: Config) -> str:
    """Hash of the structure table, or the database version of the XAS documents."""
    if config.source.way == "xas":
        return max(path.parent.name for path in (config.out / "mp").glob("*/xas"))
    metadata = pq.read_schema(config.out / "structures.parquet").metadata or {}
    return metadata.get(b"config_hash", b"").decode()
