"""The model card and the figures in the project's README: rendered from metrics and manifest, never typed.

What they say is in `card.md.jinja` and `figures.md.jinja`; the tables of both are in `tables.jinja`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from build_models.config import ConfigError
from build_models.learn.calibrate import CONTRADICTED, FEWEST
from build_models.spectra.dataset import CLEAR, MOST_ALIKE

START, END = "<!-- figures:start -->", "<!-- figures:end -->"
CITATIONS = {  # of structures, by the first word of their ids
    "mp": "Structures of the Materials Project (CC BY 4.0; Jain et al., APL Materials 1 (2013) 011002)",
    "mvc": "Structures of the Materials Project's Multivalent Cathode set (CC BY 4.0)",
    "amcsd": "Structures of the American Mineralogist Crystal Structure Database (Downs and Hall-Wallace, American "
    "Mineralogist 88 (2003) 247)",
}


def percent(value: float) -> str:
    """A share in per cent; nothing where there is none."""
    return "" if value != value else f"{100 * value:.1f}"


def number(value: float) -> str:
    """Two decimals; nothing where there is none."""
    return "" if value != value else f"{value:.2f}"


def render(template: str, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """A template of this folder, filled."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "number": number}
    headline = metrics["schemes"]["prototype"]["shipped"]["realistic"][manifest["default"]["complex"]]
    clear = [(figures["clear"], e) for e, figures in headline.items() if e != "all" and figures["clear"] >= 0]  # no NaN
    return environment.get_template(template).render(
        manifest=manifest,
        metrics=metrics,
        data=metrics["data"],
        headline=headline,
        worst=sorted(clear)[:3],
        clear_from=CLEAR,
        most_alike=MOST_ALIKE,
        fewest=FEWEST,
        contradicted=CONTRADICTED,
        citations=CITATIONS,
    )


def fill_page(path: Path, text: str) -> None:
    """Put text between the markers of a page."""
    content = path.read_text(encoding="utf-8")
    before, start, rest = content.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ConfigError(f"{path} has no place for figures: add the lines {START} and {END}")
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")
