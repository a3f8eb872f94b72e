"""The settings of a run: the defaults here, a user's TOML file over them, the command line over both.

`python -m build_models config` prints them as TOML, with what each of them means.
"""

import hashlib
import json
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from larch_cnpredict.features import ELEMENTS

PACKAGES = ("xraylarch", "pymatgen", "spglib", "numpy", "mp-api", "scikit-learn", "torch")
RESULT_SECTIONS = ("source", "order", "feff")
Names = tuple[str, ...]
Name = Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]  # of one folder
REFUSING = ConfigDict(extra="forbid", allow_inf_nan=False)


class BuildError(Exception):
    """A stage cannot go on; the message is one sentence for whoever started it."""


class ConfigError(BuildError):
    """The configuration names something that is not there, or gives a value of the wrong kind."""


def says(default: Any, meaning: str) -> Any:
    """A field with what it means."""
    return field(default=default, metadata={"meaning": meaning})


def short_hash(text: str) -> str:
    """Twelve digits that tell settings, structures or files from others."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, config=REFUSING)
class Run:
    """What does not decide the result."""

    out: Path = says(Path("models-build"), "folder of everything that is made")
    limit: NonNegativeInt = says(0, "structures (way feff) or documents (way xas) at most; 0: all")
    rare_first: NonNegativeInt = says(0, "stage simulate takes so many sites, those most unlike [order] skip; 0: all")
    each: NonNegativeInt = says(0, "stage simulate takes so many sites of an absorber in a cell; 0: all")
    seed: NonNegativeInt = says(20251101, "of every random choice")
    workers: NonNegativeInt = says(0, "processes; 0: one for each core")
    shard_rows: PositiveInt = says(200, "finished rows are written to disk in files of so many ...")
    shard_seconds: PositiveFloat = says(60.0, "... or after so long: what a crash loses")
    keep_paths: bool = says(False, "stage simulate keeps the scattering paths too: 20 kB a site and more")
    other_alloys: bool = says(False, "stage particles makes those of alloys that no model learns, for stage confirm")
    scheduler: str = says("", "address of a Dask scheduler; none: this machine, with joblib")


@dataclass(frozen=True, config=REFUSING)
class Source:
    """Where structures or documents come from, and which are taken."""

    kind: Literal["amcsd", "mp", "cif", "parquet"] = says("amcsd", "amcsd comes with Larch")
    path: str = says("", "folder of CIF files, or the parquet table")
    elements: Annotated[tuple[Literal[ELEMENTS], ...], Field(min_length=1)] = says(ELEMENTS, "absorbers")  # type: ignore[valid-type]
    max_atoms: PositiveInt = says(80, "sites in a cell")
    max_elements: NonNegativeInt = says(0, "kinds of atom in a cell; 0: any number. FEFF's time grows with it")
    way: Literal["feff", "xas"] = says("feff", "feff: structures and FEFF8L | xas: Materials Project XAS documents")


@dataclass(frozen=True, config=REFUSING)
class Order:
    """The order of work: what a run that is stopped early has done."""

    small_first: NonNegativeInt = says(40, "cells of at most so many sites come first")
    low_id: NonNegativeInt = says(600000, "Materials Project ids below this are mostly measured structures ...")
    low_share: PositiveInt = says(3, "... and are taken so many times as often as the others")
    skip: Names = says((), "parquet tables whose (material_id, site_index) are not done again")


@dataclass(frozen=True, config=REFUSING)
class FeffSettings:
    """What decides chi(k).

    `python -m benchmarks.feff` prints what other choices cost and change; docs/retrain.md says why these were taken.
    """

    rpath: PositiveFloat = says(6.5, "longest half path length, Å")
    cluster_radius: PositiveFloat = says(7.1, "Å")
    max_atoms: PositiveInt = says(500, "atoms of a cluster")
    nleg: Annotated[int, Field(ge=2)] = says(4, "legs of a path at most")
    kmax: PositiveFloat = says(18.0, "Å^-1")
    scf_radius: NonNegativeFloat = says(0.0, "Å; 0: overlapped atomic potentials, no SCF card")
    temperature: PositiveFloat = says(300.0, "K, of the correlated Debye model")
    debye_temperatures: tuple[PositiveFloat, ...] = says((200.0, 300.0, 450.0, 650.0, 1000.0), "K")
    time_limit: PositiveFloat = says(60.0, "s of processor time for one program of the chain")


@dataclass(frozen=True, config=REFUSING)
class Train:
    """What is trained on what, and where the models go."""

    tables: Names = says((), "spectra tables (parquet); none: what the stage table made")
    structures: Names = says((), "tables of their structures (parquet), in stage confirm of all that were learnt from; "
                                "none: the structure types stand in the tables")  # fmt: skip
    extra: Names = says((), "spectra tables of more sites to learn from, which are in no figure")
    single: Names = says((), "tables of single scattering (parquet), see stage single, to learn from too")
    particles: Names = says((), "tables of metal particles (parquet), see stage particles; none: no particles")
    defects: Names = says((), "tables of sites of no perfect crystal (parquet), see stages defects and complexes")
    keep: str = says("", "folder of finished models, for stages confirm and domain; export keeps all but samples'")
    unseen_formulas: Names = says((), "reduced formulas that the second set of models must not see, "
                                      "beside those of `measured`")  # fmt: skip
    spectra: PositiveInt = says(20, "augmented copies of each site, made once")
    epochs: PositiveInt = says(20, "networks see one copy of each site in an epoch, and begin again with the first")
    phase_epochs: PositiveInt = says(26, "those of `phase`, which has the most to learn from")
    members: PositiveInt = says(4, "networks that `shells` and `phase` average")
    copies: PositiveInt = says(2, "copies that the trees see")
    trees: PositiveInt = says(24, "of the forest")
    bagged_trees: PositiveInt = says(16, "of the bagging")
    folds: Annotated[int, Field(ge=2)] = says(5, "of the cross-validation")
    sample_folds: NonNegativeInt = says(0, "with `keep`: so many of these for networks of samples, two or more; 0: all")
    precision: Literal["bfloat16", "float32"] = says("bfloat16", "of the networks' matrix products")
    version: Name = says("2026.11.18", "of the models that stage export writes; predict_cn uses the newest by name")
    models: str = says("", "where stage export writes; none: <out>/models")
    measured: str = says("", "folder of measured spectra with an index.csv, to be scored and put on the card")
    readme: str = says("", "README.md whose figures stage export renews")


@dataclass(frozen=True, config=REFUSING)
class Config:
    """One run."""

    run: Run = Run()
    source: Source = Source()
    order: Order = Order()
    feff: FeffSettings = FeffSettings()
    train: Train = Train()

    @property
    def out(self) -> Path:
        return self.run.out.expanduser()

    @property
    def limit(self) -> int | None:
        return self.run.limit or None

    @property
    def seed(self) -> int:
        return self.run.seed

    @property
    def tables(self) -> list[Path]:
        """The spectra tables: those that are named, or what stage `table` made."""
        return [Path(path) for path in self.train.tables] or [self.out / "spectra.parquet"]

    def provenance(self, *sections: str) -> dict[str, str]:
        """What an output file says about how it was made; of one `config_hash` are outputs of the same settings."""
        said = json.dumps({name: asdict(getattr(self, name)) for name in sections or RESULT_SECTIONS}, sort_keys=True)
        return {
            "config": said,
            "config_hash": short_hash(said),
            "versions": json.dumps(versions()),
            "seed": str(self.seed),
            "commit": commit(),
        }

    def toml(self) -> str:
        """The whole configuration as a file that `load` reads."""
        lines = []
        for section in SECTIONS:
            values = getattr(self, section)
            lines.append(f"[{section}]")
            for key in fields(values):  # JSON's strings, numbers and lists are TOML's
                value = json.dumps(getattr(values, key.name), default=str)
                lines.append(f"{key.name} = {value}  # {key.metadata['meaning']}")
        return "\n".join(lines)


SECTIONS = [one.name for one in fields(Config)]


def load(path: str | Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Read the configuration; what is unknown, or of the wrong kind, is an error."""
    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = tomllib.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read the configuration {path}: {error}") from None
        _checked(given, str(path))
    for name, values in (overrides or {}).items():
        given[name] = {**given.get(name, {}), **values}
    return _checked(given, "the command line")


def _checked(given: dict[str, Any], where: str) -> Config:
    """A configuration whose values are of the right kind: no "6" for 6, as Python would take it."""
    try:
        config = TypeAdapter(Config).validate_json(json.dumps(given, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_sentence(error.errors()[0])}") from None
    feff, theta = config.feff, config.feff.debye_temperatures
    if feff.rpath > feff.cluster_radius:
        limit = f"rpath = {feff.rpath:g} is beyond cluster_radius = {feff.cluster_radius:g}"
        raise ConfigError(f"{where}: [feff] {limit}: FEFF would not see the atoms of such paths")
    few, folds = config.train.sample_folds, config.train.folds
    if few and not (config.train.keep and 2 <= few <= folds):  # other figures are of all sites
        raise ConfigError(f"{where}: [train] sample_folds = {few}: with [train] keep alone, from 2 to folds = {folds}")
    if list(theta) != sorted(set(theta)):
        raise ConfigError(f"{where}: [feff] debye_temperatures = {list(theta)}: should rise")
    return config


def _sentence(error: Mapping[str, Any]) -> str:
    section, *key = map(str, error["loc"])
    if section not in SECTIONS:
        return f"there is no section [{section}]; there are {', '.join(SECTIONS)}"
    if not key:
        return f"there is no section [{section}] but a value of that name"
    if error["type"] == "unexpected_keyword_argument":
        names = ", ".join(one.name for one in fields(getattr(Config(), section)))
        return f"[{section}] has no '{key[0]}'; it has {names}"
    return f"[{section}] {key[0]} = {error['input']!r}: {error['msg'].removeprefix('Input ')}"


@cache
def commit() -> str:
    """The commit of this code, with "-dirty" where it has changed since; "" where it is no checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}
