"""The settings of a run: `default.toml`, a user's file over it, the command line over both."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from build_models.data.feff import FeffSettings

DEFAULT = Path(__file__).with_name("default.toml")
PACKAGES = ("xraylarch", "pymatgen", "spglib", "numpy", "mp-api", "scikit-learn", "torch")
RESULT_SECTIONS = ("source", "order", "feff")


class ConfigError(Exception):
    """The configuration names something that is not there, or gives a value of the wrong kind."""


@dataclass(frozen=True)
class Config:
    """One run. `sections` is the whole merged TOML; the properties are what the data stages read."""

    sections: dict[str, Any]

    @property
    def out(self) -> Path:
        return Path(self.sections["run"]["out"]).expanduser()

    @property
    def limit(self) -> int | None:
        return self.sections["run"]["limit"] or None

    @property
    def seed(self) -> int:
        return self.sections["run"]["seed"]

    @property
    def feff(self) -> FeffSettings:
        section = dict(self.sections["feff"])
        return FeffSettings(**section | {"debye_temperatures": tuple(section["debye_temperatures"])})

    def __getitem__(self, section: str) -> dict[str, Any]:
        return self.sections[section]

    def replace(self, section: str, **values: Any) -> Config:
        """The same configuration with other values in one section."""
        return Config(self.sections | {section: self.sections[section] | values})

    def hash(self, *sections: str) -> str:
        """Short hash of the named sections: two outputs with one hash were made with the same settings."""
        chosen = {name: self.sections[name] for name in sections or RESULT_SECTIONS}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]

    def provenance(self, *sections: str) -> dict[str, str]:
        """What an output file says about how it was made."""
        chosen = {name: self.sections[name] for name in sections or RESULT_SECTIONS}
        return {
            "config": json.dumps(chosen, sort_keys=True),
            "config_hash": self.hash(*sections),
            "versions": json.dumps(versions()),
            "seed": str(self.seed),
        }


def load(path: str | Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Read the configuration; a key that `default.toml` does not have is an error."""
    sections = tomllib.loads(DEFAULT.read_text())
    if path is not None:
        try:
            given = tomllib.loads(Path(path).read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read the configuration {path}: {error}") from None
        _merge(sections, given, str(path))
    _merge(sections, overrides or {}, "the command line")
    if sections["source"]["way"] not in ("feff", "xas"):
        raise ConfigError(f"[source] way = '{sections['source']['way']}' is unknown; there are feff and xas")
    return Config(sections)


def versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def _merge(sections: dict, given: Mapping, where: str) -> None:
    for name, values in given.items():
        if name not in sections or not isinstance(values, Mapping):
            raise ConfigError(f"{where}: there is no section [{name}]; there are {', '.join(sections)}")
        for key, value in values.items():
            if key not in sections[name]:
                raise ConfigError(f"{where}: [{name}] has no '{key}'; it has {', '.join(sections[name])}")
            default = sections[name][key]
            number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
            if not isinstance(value, type(default)) and not number:
                raise ConfigError(f"{where}: [{name}] {key} = {value!r} should be a {type(default).__name__}")
            sections[name][key] = float(value) if number else value
