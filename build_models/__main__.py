"""`python -m build_models STAGE`: from structures to shipped models, stage by stage."""

import argparse
import pkgutil
import sys
from dataclasses import fields

from build_models import config as configuration
from build_models.config import BuildError, Config

STAGES = {
    "fetch": "data.sources:fetch",
    "label": "data.work:label",
    "simulate": "data.work:simulate",
    "table": "data.table:build",
    "train": "learn.train:run",
    "evaluate": "report.evaluate:run",
    "export": "report.export:run",
}
EXTRA_STAGES = {  # not part of `all`
    "particles": "data.particles:simulate",
    "defects": "data.defects:simulate",
    "complexes": "data.complexes:simulate",
    "single": "data.single:simulate",
    "confirm": "report.confirm:run",
    "domain": "report.warned:run",
}
XAS_STAGES = STAGES | {  # mu(E) of the Materials Project in the place of our own simulation
    "fetch": "data.materials_project:fetch",
    "label": "data.materials_project:convert",
    "simulate": "data.materials_project:convert",
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m build_models", description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, *EXTRA_STAGES, "all", "config"], help="config prints the settings")
    parser.add_argument("--config", help="TOML file; what it does not say is as `config` prints")
    parser.add_argument("--out", help="folder of everything that is made")
    parser.add_argument("--limit", type=int, help="structures (or XAS documents) at most")
    parser.add_argument("--workers", type=int, help="processes; 0: one for each core")
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--way", help="feff: structures and FEFF8L; xas: Materials Project XAS documents")
    parser.add_argument("--source", dest="kind", help="amcsd, mp, cif or parquet")
    parser.add_argument("--path", help="folder of CIF files, or a parquet table of structures")
    parser.add_argument("--unseen-formulas", nargs="+", help="evaluate, export: models without these, too")
    parser.add_argument("--measured", help="evaluate, export: folder of spectra with an index.csv, scored by export")
    arguments = parser.parse_args(argv)
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    sections = {one.name: one.default for one in fields(Config)}
    overrides = {name: {key: given[key] for key in given if hasattr(one, key)} for name, one in sections.items()}
    try:
        config = configuration.load(arguments.config, overrides)
        if arguments.stage == "config":
            print(config.toml())
            return 0
        stages = (XAS_STAGES if config.source.way == "xas" else STAGES) | EXTRA_STAGES
        for stage in STAGES if arguments.stage == "all" else [arguments.stage]:
            pkgutil.resolve_name(f"build_models.{stages[stage]}")(config)
    except (BuildError, FileNotFoundError) as error:
        print(f"build_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
