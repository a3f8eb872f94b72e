"""Parquet: shards written as work is done, and the spectra table that training reads."""

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from build_models.config import BuildError, Config, ConfigError, FeffSettings
from build_models.data import structures
from larch_cnpredict.features import K_GRID

KEY = ["material_id", "site_index"]
LABEL_SCHEMA = pa.schema(
    [
        ("material_id", pa.string()),
        ("site_index", pa.int32()),  # row of the structure's site; -1 where a structure as a whole failed
        ("absorber", pa.string()),
        ("formula", pa.string()),  # reduced: the group for holding out materials
        ("prototype", pa.string()),  # structure type: the group for holding out isostructural ones
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
PATHS_SCHEMA = CHI_SCHEMA.append(pa.field("paths", pa.binary()))  # what `paths.load` reads
GRID = {"k": f"0 to {K_GRID[-1]:g} by {K_GRID[1]:g} 1/Angstrom, {len(K_GRID)} points"}
FAILURE_SCHEMA = pa.schema([LABEL_SCHEMA.field(name) for name in (*KEY, "reason")])
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


def write(path: Path, rows: pa.Table, metadata: dict[str, str]) -> None:
    """A parquet file as a whole, with what it says about how it was made."""
    with replacing(path) as temporary:
        pq.write_table(rows.replace_schema_metadata(metadata), temporary, row_group_size=1000, compression="zstd")


def failure(material_id: str, reason: str, site_index: int = -1) -> dict:
    """The row of what could not be done."""
    return {"material_id": material_id, "site_index": site_index, "reason": reason[:200]}


def write_shard(folder: Path, rows: list[dict], schema: pa.Schema, metadata: dict[str, str], name: str = "") -> None:
    """One more file of rows; without a name, under one that no other process takes."""
    write(folder / f"{name or uuid.uuid4().hex}.parquet", pa.Table.from_pylist(rows, schema=schema), metadata)


def read_shards(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """All rows of a folder of shards, sorted by key and with no key twice, should two runs have done a site."""
    files = sorted(map(str, folder.glob("*.parquet")))
    if not files:
        raise FileNotFoundError(f"{folder} has no shards yet; run the stage '{folder.name}' first")
    rows = ds.dataset(files, format="parquet").to_table(columns=columns)
    return take(rows, sorted(set(key_list(rows))))


def finished(config: Config, stage: str, columns: list[str] | None = None) -> pa.Table:
    """What a stage has done of the structures as they are now, by their ids; that of others stays and is not read."""
    rows = read_shards(config.out / stage, columns)
    if config.source.way == "xas":
        return rows
    path = config.out / "structures.parquet"
    ids = _ids(path, path.stat().st_ino, path.stat().st_mtime_ns)
    return renamed(rows, {key: ids[key[0]] for key in key_list(rows) if key[0] in ids})


@lru_cache(maxsize=1)
def _ids(path: Path, *_state: int) -> dict[str, str]:
    """The id of each structure by its `named` one; a stage asks for them several times, and they take seconds."""
    return {structures.named(row)["material_id"]: row["material_id"] for row in structures.iterate(path)}


def done(config: Config, stage: str) -> set[tuple[str, int]]:
    """The keys of that; none where there is no shard yet."""
    return set(key_list(finished(config, stage, KEY))) if any((config.out / stage).glob("*.parquet")) else set()


def renamed(rows: pa.Table, names: Mapping[tuple[str, int], str]) -> pa.Table:
    """The rows of these keys, with other names."""
    keys = [key for key in key_list(rows) if key in names]
    return take(rows, keys).set_column(0, "material_id", pa.array([names[key] for key in keys], pa.string()))


def take(rows: pa.Table, keys: Iterable[tuple[str, int]]) -> pa.Table:
    """The rows of these keys, in their order; of several with one key the first."""
    row_of = {key: i for i, key in reversed([*enumerate(key_list(rows))])}
    return rows.take(pa.array([row_of[key] for key in keys], pa.int64()))


def chi_columns(chis: np.ndarray) -> dict[str, Any]:
    """The static chi(k) and those of the Debye temperatures, (1 + n, k), as the columns of a row."""
    halves = chis.astype(np.float16)
    return {"chi_static": halves[0], "chi_debye": halves[1:].ravel()}


def by_material(keys: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """The sites of each material, in the order in which they come."""
    sites: dict[str, list[int]] = {}
    for material_id, site_index in keys:
        sites.setdefault(material_id, []).append(site_index)
    return sites


def labelled(labels: pa.Table, good: pa.Table) -> pa.Table:
    """A table of spectra: the labels of sites that have chi(k), with it."""
    return with_chi(take(labels, key_list(good)), good).select(SCHEMA.names).cast(SCHEMA)


def with_chi(rows: pa.Table, chi: pa.Table) -> pa.Table:
    """The rows with the spectra beside them, which are in the same order."""
    for name in ("chi_static", "chi_debye"):
        rows = rows.append_column(CHI_SCHEMA.field(name), chi[name])
    return rows


def check_settings(folder: Path, metadata: dict[str, str]) -> None:
    """Refuse to add to the work of other settings: a table is of one kind or it says nothing."""
    for names, what in ((("config_hash", "database"), "other settings"), (("pairs",), "paths of other runs of FEFF")):
        if not all(says(path, metadata, *names) for path in folder.glob("*.parquet")):
            raise ConfigError(f"{folder} holds work that was done with {what}; choose another --out, or remove it")


def says(path: Path, metadata: dict[str, str], *names: str) -> bool:
    """Whether a table has these metadata."""
    stored = pq.read_schema(path).metadata or {}
    return all(stored.get(name.encode(), b"").decode() == metadata.get(name, "") for name in names)


def keys(paths: Iterable[str | Path]) -> set[tuple[str, int]]:
    """The (material_id, site_index) of the rows of some tables."""
    return set().union(*(key_list(pq.read_table(path, columns=KEY)) for path in paths))


def key_list(rows: pa.Table) -> list[tuple[str, int]]:
    """The (material_id, site_index) of each row."""
    return list(zip(*(rows[name].to_pylist() for name in KEY), strict=True))


def build(config: Config) -> Path:
    """Join labels and chi(k) into `spectra.parquet`; what has none of either goes to `failures.parquet`."""
    labels = finished(config, "label")
    good, missing = parted(finished(config, "simulate", CHI_SCHEMA.names))
    spectra = labelled(labels, good)
    failed = [rows.select(FAILURE_SCHEMA.names) for rows in (parted(labels)[1], missing)]
    if (unreadable := config.out / "unreadable.parquet").exists():
        failed.append(pq.read_table(unreadable))
    failures = pa.concat_tables([rows.replace_schema_metadata() for rows in failed])
    words, path = f" of {pc.count_distinct(spectra['material_id'])} materials", config.out / "spectra.parquet"
    said = made_with(config)
    finish(path, spectra, said, failures, words)
    write(config.out / "failures.parquet", failures, said | {"failures": str(len(failures))})
    if not len(spectra):
        raise BuildError(
            f"{path} is empty: no site has a label and a spectrum; {path.with_name('failures.parquet')} says why"
        )
    return path


def parted(chi: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that have what they are for, chi(k) or a label, and those that failed."""
    return chi.filter(pc.equal(chi["reason"], "")), chi.filter(pc.not_equal(chi["reason"], ""))


def finish(path: Path, spectra: pa.Table, said: dict[str, str], failures: pa.Table, words: str = "") -> Path:
    """Write a table of spectra; say how many it has, and how many sites failed, and of what."""
    write(path, spectra, said | {"failures": str(len(failures))})
    done = len(spectra)
    print(f"{path}: {done} spectra{words}")
    reasons = Counter(re.split("[,:]", reason)[0] for reason in failures["reason"].to_pylist())
    print(f"{len(failures)} sites failed ({len(failures) / max(1, len(failures) + done):.2%})")
    for reason, n in reasons.most_common():
        print(f"  {n:5d}  {reason}")
    return path


def made_with(config: Config) -> dict[str, str]:
    """What a spectra table says about how it was made."""
    if config.source.way == "xas":
        from build_models.data.materials_project import FEFF_CARDS

        said = GRID | config.provenance("source", "order")
        return said | {
            "config": json.dumps(json.loads(said["config"]) | {"feff": FEFF_CARDS}),
            "program": "FEFF of the Materials Project, mu(E) through autobk",
            "database": database(config.out, "xas"),
        }
    structures = pq.read_schema(config.out / "structures.parquet").metadata or {}
    return made_with_feff(config) | {
        "structures": structures.get(b"config_hash", b"").decode(),
        "database": structures.get(b"database", b"").decode(),
    }


def made_with_feff(config: Config) -> dict[str, str]:
    """What every table of our own spectra says."""
    program = {"program": f"FEFF8L of xraylarch {version('xraylarch')}"}
    return GRID | config.provenance() | program | debye(config.feff)


def debye(feff: FeffSettings) -> dict[str, str]:
    """What a table says of the temperatures of the correlated Debye model."""
    theta = " ".join(f"{theta:g}" for theta in feff.debye_temperatures)
    return {"theta_debye_K": theta, "T_K": f"{feff.temperature:g}"}


def check_debye(path: str | Path) -> None:
    """Refuse chi(k) of metals at other temperatures than it is taken for; what says none is taken as it is."""
    said, assumed = pq.read_schema(path).metadata or {}, debye(FeffSettings())
    theta, warm = (said.get(name.encode(), b"").decode() for name in assumed)
    if theta and [theta, warm] != [*assumed.values()]:
        words = "Debye temperatures of {} K at {} K".format
        raise ConfigError(f"{path} has metals with {words(theta, warm)}; training needs {words(*assumed.values())}")


def database(out: Path, kind: str) -> str:
    """The version of the Materials Project's database of which `out` has the newest documents."""
    versions = [path.parent.name for path in (out / "mp").glob(f"*/{kind}")]
    if not versions:
        raise FileNotFoundError(f"{out / 'mp'} has no {kind} documents yet; run the stage 'fetch' first")
    return max(versions, key=lambda name: ([int(number) for number in re.findall(r"\d+", name)], name))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(path: Path) -> dict[str, Any]:
    """What a table of spectra says of how it was made, for cards and manifests.

    That is file, sha256, rows, materials, absorbers (sites of each); and, where the table says it, config (the sections
    source, order and feff), config_hash, commit, seed, versions, program, database (its version).
    """
    name = "particle" if "particle" in pq.read_schema(path).names else "material_id"
    rows = pq.read_table(path, columns=[name, "absorber"])
    said: dict[str, Any] = {key.decode(): value.decode() for key, value in (rows.schema.metadata or {}).items()}
    said |= {name: json.loads(said[name]) for name in ("config", "versions") if name in said}
    if "source" in said.get("config", {}):  # folders are of the machine that made it
        source, order = said["config"]["source"], said["config"]["order"]
        source["path"], order["skip"] = Path(source["path"]).name, [Path(other).name for other in order["skip"]]
    return said | {
        "file": path.name,
        "sha256": sha256(path),
        "rows": len(rows),
        "materials": pc.count_distinct(rows[name]).as_py(),
        "absorbers": dict(sorted(Counter(rows["absorber"].to_pylist()).items())),
    }
