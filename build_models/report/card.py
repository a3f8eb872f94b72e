"""The model card and the figures in the project's README: rendered from metrics and manifest, never typed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from build_models.config import ConfigError
from build_models.spectra.dataset import CLEAR, MOST_ALIKE

START, END = "<!-- figures:start -->", "<!-- figures:end -->"
SPLITS = {
    "prototype": "whole structure types held out",
    "formula": "whole formulas held out",
    "random": "random split, as in the paper",
}
BASELINES = {
    "majority": "no spectrum: always the absorber's commonest number",
    "composition": "no spectrum: a forest on composition and absorber",
}
TRAINED = {"shipped": "", "paper": "the paper's recipe: ", "ideal": "trained on nearly ideal spectra: "}
CITATIONS = {  # of structures, by the first word of their ids
    "mp": "Structures of the Materials Project (CC BY 4.0; Jain et al., APL Materials 1 (2013) 011002)",
    "mvc": "Structures of the Materials Project's Multivalent Cathode set (CC BY 4.0)",
    "amcsd": "Structures of the American Mineralogist Crystal Structure Database (Downs and Hall-Wallace, American "
    "Mineralogist 88 (2003) 247)",
}
COLUMNS = {  # of the tables of results: metric, heading, whether it is a percentage
    "accuracy": ("all %", True),
    "clear": ("clear %", True),
    "within1": ("within ±1 %", True),
    "macro_f1": ("macro F1 %", True),
    "calibration_error": ("ECE %", True),
    "coverage": ("90 % sets hold %", True),
    "set_size": ("members of a set", False),
    "log_loss": ("log loss", False),
    "mean_error": ("mean abs. error of cn_mean", False),
}


def percent(value: float | None) -> str:
    return "" if value is None or value != value else f"{100 * value:.1f}"


def number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def cells(values: Mapping[str, float], columns: Sequence[str] = tuple(COLUMNS)) -> list[str]:
    """The figures of one row of a table of results."""
    return [(percent if COLUMNS[name][1] else number)(values.get(name)) for name in columns]


def overview(results: Mapping[str, Any]) -> str:
    """Every baseline, model and recipe of one split, over all sites."""
    rows = [[label, *cells(results["baselines"][name]["all"])] for name, label in BASELINES.items()]
    for trained, words in TRAINED.items():
        for test, families in results.get(trained, {}).items():
            rows += [[f"{words}{name}, {test} spectra", *cells(score["all"])] for name, score in families.items()]
    return table(["model, test spectra", *(heading for heading, _ in COLUMNS.values())], rows)


def papers_best(results: Mapping[str, Any], test: str, absorber: str = "all") -> str:
    """The accuracy of the best of the paper's three families trained as in the paper, where that was done."""
    trained = results.get("paper", {}).get(test, {}).values()
    return percent(max((family[absorber]["accuracy"] for family in trained), default=None))


def origins(tables: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """A row for each table of spectra: what it says of how it was made."""
    rows = []
    for one in tables:
        settings = one.get("config", {}).get("feff", {})
        feff = ", ".join(f"{key} {value}" for key, value in settings.items()) or "not said in the table"
        program = one.get("program") or f"FEFF8L of xraylarch {one['versions']['xraylarch']}"
        rows.append([one["file"], one["sha256"][:16], one["rows"], program, feff])
    return rows


def by_absorber(metrics: Mapping[str, Any], default: str) -> str:
    """The default family for each absorber, whole structure types held out, beside what it has to beat."""
    results = metrics["schemes"]["prototype"]
    columns = ("accuracy", "clear", "within1", "macro_f1", "calibration_error", "coverage", "set_size")
    rows = [
        [
            absorber,
            sites,
            *(percent(results["baselines"][name][absorber]["accuracy"]) for name in BASELINES),
            papers_best(results, "realistic", absorber),
            *cells(results["shipped"]["realistic"][default][absorber], columns),
        ]
        for absorber, sites in metrics["data"]["per_absorber"].items()
    ]
    head = ["absorber", "sites", "commonest %", "composition %", "paper's recipe, best %"]
    return table([*head, *(COLUMNS[name][0] for name in columns)], rows)


def by_number(metrics: Mapping[str, Any]) -> str:
    """What becomes of each coordination number, whole structure types held out."""
    rows = [
        [cn, n["sites"], percent(n["found"]), percent(n["coverage"]), n["taken_for"] if n["found"] < 1 else ""]
        for cn, n in metrics["by_number"].items()
    ]
    return table(["CrystalNN", "sites", "found %", "90 % sets hold %", "else mostly taken for"], rows)


def summary(metrics: Mapping[str, Any], default: Mapping[str, str]) -> str:
    """Each split on one line: baselines, the paper's recipe, ours; over all sites."""
    rows = []
    for scheme, test, trained, family, words in (
        ("prototype", "realistic", "shipped", default["complex"], ""),
        ("prototype", "realistic", "shipped", default["magnitude"], ", from chir_mag alone"),
        ("prototype", "ideal", "shipped", default["complex"], ""),
        ("formula", "realistic", "shipped", default["complex"], ""),
        ("formula", "ideal", "shipped", default["complex"], ""),
        ("random", "ideal", "ideal", "phase", ""),
    ):
        results = metrics["schemes"][scheme]
        known = [percent(results["baselines"][name]["all"]["accuracy"]) for name in BASELINES]
        own = results[trained][test][family]["all"]
        paper = papers_best(results, test)
        rows.append([f"{SPLITS[scheme]}; {test}{words}", *known, paper, *cells(own, ("accuracy", "clear"))])
    head = ["split; spectra", "no spectrum: commonest %", "no spectrum: composition %", "paper's recipe, best %"]
    return table([*head, "this, all %", "this, clear %"], rows)


def measured(scored: Mapping[str, Any]) -> str:
    """Right and wrong on measured spectra, for each set of models and each way to transform."""
    columns = {"exact": "right %", "balanced": "balanced %", "within1": "within ±1 %", "in_set": "in 90 % set %"}
    rows = [
        [
            training,
            transform,
            *(percent(s[name]) for name in columns),
            f"{s['confident_wrong']} of {s['confident']}",
            *(number(s[name]) for name in ("mixed", "ambig")),
            percent(s["flagged"]),
        ]
        for training, by_transform in scored.items()
        for transform, s in by_transform.items()
    ]
    more = ["confident (p ≥ 0.8) and wrong", "mixed sites: abs. error of cn_mean", "convention decides: the same"]
    return table(["training", "xftf settings", *columns.values(), *more, "flagged %"], rows)


def wrongly(scored: Mapping[str, Any]) -> str:
    """The measured compounds that are read wrongly."""
    wrong = scored["common"]["wrong"].items()
    return ", ".join(f"{name} (is {w['truth']}, read as {', '.join(map(str, w['predicted']))})" for name, w in wrong)


def render(template: str, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """A template of this folder, filled."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "number": number}
    data, default = metrics["data"], manifest["default"]["complex"]
    headline = metrics["schemes"]["prototype"]["shipped"]["realistic"][default]
    feff = [one["config"]["feff"] for one in manifest["tables"] if "config" in one]
    agreement, families, sources = metrics["agreement"].items(), manifest["families"].items(), data["sources"].items()
    known = {
        "manifest": manifest,
        "metrics": metrics,
        "data": data,
        "headline": headline,
        "CLEAR": CLEAR,
        "MOST_ALIKE": MOST_ALIKE,
        "SPLITS": SPLITS,
        "origins": origins(manifest["tables"]),
        "citations": [f"{CITATIONS.get(name, f'Structures of {name}')}: {n} sites." for name, n in sources],
        "self_consistent": not any(one.get("scf_radius") == 0 for one in feff),
        "families": [[f, entry["reads"], number(manifest["calibration"][f]["power"])] for f, entry in families],
        "agreement": [[f, percent(a["same_class"]), f"{a['difference']:.1e}", a["spectra"]] for f, a in agreement],
        "worst": sorted((e for e in headline if e != "all"), key=lambda e: headline[e]["clear"])[:3],
        "rare": [(cn, n) for cn, n in metrics["by_number"].items() if n["found"] < 0.5],
    }
    tables = {f.__name__: f for f in (table, overview, by_absorber, by_number, summary, measured, wrongly)}
    return environment.get_template(template).render(**known, **tables)


def card(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """The card of one model version."""
    return render("card.md.jinja", manifest, metrics) + "\n"


def fill_readme(path: Path, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Put the figures between the markers of README.md."""
    content = path.read_text(encoding="utf-8")
    if not (START in content and END in content.split(START, 1)[1]):
        raise ConfigError(f"{path} has no place for figures: add the lines {START} and {END}")
    before, rest = content.split(START, 1)
    after = rest.split(END, 1)[1]
    text = render("figures.md.jinja", manifest, metrics)
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")
