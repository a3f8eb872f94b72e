"""The model card and the figures of the project README: printed from metrics.json, never typed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from build_models.learn.families import PAPER_FAMILIES
from build_models.spectra.dataset import MOST_ALIKE
from larch_cnpredict.features import ELEMENTS

START, END = "<!-- figures:start -->", "<!-- figures:end -->"
IDEAL_BEST = "ideal | ideal | default"
SHOWN = {
    "shipped | augmented | default": "default, realistic spectra",
    "shipped | augmented | magnitude": "default from chir_mag alone, realistic spectra",
    "shipped | augmented | phase": "phase, realistic spectra",
    "shipped | augmented | shells": "shells, realistic spectra",
    "shipped | augmented | network": "network, realistic spectra",
    "shipped | augmented | bagging": "bagging, realistic spectra",
    "shipped | augmented | forest": "forest, realistic spectra",
    "per absorber | augmented | network": "network, one for each absorber, realistic spectra",
    "paper | augmented | network": "the paper's recipe: network, realistic spectra",
    "paper | augmented | bagging": "the paper's recipe: bagging, realistic spectra",
    "paper | augmented | forest": "the paper's recipe: forest, realistic spectra",
    "shipped | ideal | default": "default, ideal spectra (sigma2 = 0)",
    "paper | ideal | network": "the paper's recipe: network, ideal spectra",
    "paper | ideal | bagging": "the paper's recipe: bagging, ideal spectra",
    "paper | ideal | forest": "the paper's recipe: forest, ideal spectra",
    "ideal | ideal | phase": "phase trained on nearly ideal spectra, ideal spectra",
    IDEAL_BEST: "that and the paper's three together, ideal spectra",
}


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def percent(value: float | None) -> str:
    return "" if value is None or value != value else f"{100 * value:.1f}"


def overview(metrics: Mapping[str, Any], scheme: str) -> str:
    """Every model and recipe, means over absorbers."""
    columns = ("accuracy", "clear", "within1", "macro_f1", "calibration_error", "coverage", "log_loss", "mean_error")
    head = ["model, test spectra", "all %", "clear %", "within ±1 %", "macro F1 %", "ECE %", "90 % sets hold %"]
    rows = []
    for name, label in {"majority": "always the commonest number", **SHOWN}.items():
        if name not in metrics[scheme]:
            continue
        mean = metrics[scheme][name]["mean"]
        cells = [percent(mean.get(column)) for column in columns[:6]]
        rows.append([label, *cells, *(f"{mean[c]:.2f}" if c in mean else "" for c in columns[6:])])
    return table([*head, "log loss", "mean abs. error of cn_mean"], rows)


def by_absorber(metrics: Mapping[str, Any]) -> str:
    """The default model and the best of the paper's recipe for each absorber, whole materials held out."""
    grouped = metrics["grouped"]
    paper = [grouped[f"paper | augmented | {family}"] for family in PAPER_FAMILIES]
    default, only = grouped["shipped | augmented | default"], grouped["majority"]
    rows = [
        [
            element,
            metrics["data"]["per_absorber"][element],
            percent(only[element]["accuracy"]),
            percent(max(p[element]["accuracy"] for p in paper)),
            *(percent(default[element][c]) for c in ("accuracy", "clear", "within1", "macro_f1")),
            *(percent(default[element][c]) for c in ("calibration_error", "coverage")),
            f"{default[element]['set_size']:.2f}",
        ]
        for element in (*ELEMENTS, "mean")
        if element in default and element != "mean"
    ]
    head = ["absorber", "sites", "majority %", "paper's recipe, best %", "all %", "clear %", "within ±1 %"]
    return table([*head, "macro F1 %", "ECE %", "90 % sets hold %", "set size"], rows)


def by_number(metrics: Mapping[str, Any]) -> str:
    """What becomes of each coordination number, whole materials held out."""
    rows = [
        [cn, n["sites"], percent(n["found"]), percent(n["coverage"]), n["taken_for"] if n["found"] < 1 else ""]
        for cn, n in metrics["by_number"].items()
    ]
    return table(["CrystalNN", "sites", "found %", "90 % sets hold %", "else mostly taken for"], rows)


def failures(metrics: Mapping[str, Any]) -> str:
    """Where the models fail, by the figures."""
    default = metrics["grouped"]["shipped | augmented | default"]
    absorbers = sorted((default[e]["clear"], e) for e in ELEMENTS if e in default)
    worst = ", ".join(f"{e} {percent(right)} %" for right, e in absorbers[:3])
    numbers = metrics["by_number"].items()
    rare = ", ".join(
        f"{cn} ({percent(n['found'])} % found, else mostly {n['taken_for']})" for cn, n in numbers if n["found"] < 0.5
    )
    mean = default["mean"]
    lines = [
        f"Worst absorbers, clear sites of unseen formulas: {worst}; mean of all ten {percent(mean['clear'])} %.",
        f"Sites that CrystalNN is not sure of bring this down to {percent(mean['accuracy'])} % for all sites.",
    ]
    if rare:
        lines.append(f"Numbers that are missed more often than found: {rare}.")
    for training, by_transform in metrics.get("measured", {}).items():
        wrong = by_transform["common"]["wrong"]
        lines.append(f"Measured compounds read wrongly, {training}: {_wrong(wrong)}.")
    return "\n".join(f"- {line}" for line in lines)


def _wrong(wrong: Mapping[str, Any]) -> str:
    found = (f"{name} (is {w['truth']}, read as {', '.join(map(str, w['predicted']))})" for name, w in wrong.items())
    return ", ".join(found) or "none"


def summary(metrics: Mapping[str, Any]) -> str:
    """What README says of accuracy."""
    data, grouped = metrics["data"], metrics["grouped"]
    default = grouped["shipped | augmented | default"]["mean"]
    rows = []
    for label, scheme, model, test in (
        ("whole formulas held out, realistic", "grouped", "shipped | augmented | default", "augmented"),
        ("the same, from chir_mag alone", "grouped", "shipped | augmented | magnitude", "augmented"),
        ("whole formulas held out, ideal", "grouped", "shipped | ideal | default", "ideal"),
        ("random split, ideal (the paper's own measure): the paper's three and phase", "random", IDEAL_BEST, "ideal"),
    ):
        results = metrics[scheme]
        mean = results[model]["mean"]
        values = (
            results["majority"]["mean"]["accuracy"],
            max(results[f"paper | {test} | {family}"]["mean"]["accuracy"] for family in PAPER_FAMILIES),
            mean["accuracy"],
            mean["clear"],
        )
        rows.append([label, *map(percent, values)])
    return "\n\n".join(
        [
            f"Simulated spectra: {data['sites']} sites of {data['formulas']} formulas "
            f"({data['clear']} clear: CrystalNN's weight above 0.8), {metrics['folds']}-fold cross-validation, each "
            "site once, means over the ten absorbers. Realistic spectra carry thermal damping, s02, E0 and distance "
            "errors, background residue, noise, mixed sites and k limits from 8.5 to 14 Å⁻¹. Ideal spectra are FEFF's "
            "at sigma2 = 0, kmax 14. The paper's recipe is a model for each absorber, trained on ideal spectra.",
            table(
                ["split, spectra", "always the commonest %", "paper's recipe, best %", "this, all %", "clear %"], rows
            ),
            f"Whole formulas held out, realistic spectra: within ±1 {percent(default['within1'])} %; expected "
            f"calibration error {percent(grouped['shipped | augmented | default']['all']['calibration_error'])} %; "
            f"the 90 % sets hold the answer for "
            f"{percent(grouped['shipped | augmented | default']['all']['coverage'])} % and have "
            f"{grouped['shipped | augmented | default']['all']['set_size']:.1f} members on average.",
            measured_text(metrics.get("measured", {})),
            "Where they fail:",
            failures(metrics),
        ]
    )


def measured_text(on_measured: Mapping[str, Any]) -> str:
    """What is said of measured spectra."""
    if not on_measured:
        return "Not yet held against measured spectra."
    first = next(iter(on_measured.values()))["common"]
    rows = [
        [
            training,
            transform,
            *(percent(s[c]) for c in ("exact", "balanced", "within1", "in_set")),
            *(f"{s[c]:.2f}" for c in ("mixed", "ambig")),
            percent(s["flagged"]),
        ]
        for training, by_transform in on_measured.items()
        for transform, s in by_transform.items()
    ]
    head = ["training", "xftf settings", "right %", "balanced %", "within ±1 %", "in 90 % set %"]
    more = ["mixed sites: abs. error of cn_mean", "convention decides: the same", "flagged %"]
    return "\n\n".join(
        [
            f"{first['spectra']} measured spectra of {first['compounds']} compounds with one coordination number and "
            "of some with several sites; each compound counts once. Always answering "
            f"{first['commonest']} is right for {percent(first['always_commonest'])} %. 'Formulas unseen': models "
            "trained without any material of these compounds' formulas. The ranges of s02, E0 and distances in "
            "training are what first-shell fits of these compounds' known structures find, and that several networks "
            "are averaged was decided after one alone had varied on them: so these figures are not wholly blind.",
            table([*head, *more], rows),
        ]
    )


def card(
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
    agreement: Mapping[str, Any],
) -> str:
    """The card of one model version."""
    data, recipe = metrics["data"], manifest["recipe"]
    augmentation = table(["piece", "range"], [[key, value] for key, value in recipe["augmentation"].items()])
    plain = ", ".join(f"{key} {value}" for key, value in recipe.items() if key != "augmentation")
    transform = ", ".join(f"{key}={value!r}" for key, value in manifest["transform"].items())
    weights = "; ".join(
        f"{name}: " + ", ".join(f"{family} {weight:.3f}" for family, weight in entry["weights"].items())
        for name, entry in manifest["calibration"].items()
        if len(entry["weights"]) > 1
    )
    checked = [[f, f"{a['same_class']:.2%}", f"{a['difference']:.1e}", a["spectra"]] for f, a in agreement.items()]
    return f"""# Models {manifest["version"]}

Made {manifest["date"]} by `python -m build_models`, seed {manifest["seed"]}. K edges of {", ".join(ELEMENTS)}.

## Intended use
Coordination number of the absorbing atom from EXAFS after `autobk` and `xftf`: a first answer, a check of a fit, a
screening of many spectra. Not for structures unlike crystals (molecules in solution, liquids, very small clusters)
without a look at the notes, and not in place of a fit where distances or disorder matter.

## Data
{data["sites"]} sites of {data["formulas"]} formulas of the Materials Project (CC BY 4.0; Jain et al., APL Materials 1
(2013) 011002), chi(k) from FEFF8.5L as shipped with Larch, K edge, at sigma2 = 0 and with the correlated Debye model.
Table {data["digest"]}; sites: {", ".join(f"{e} {n}" for e, n in data["per_absorber"].items())}.

Of one formula, absorber and coordination number there are at most {MOST_ALIKE} sites.

Labels: CrystalNN's distribution over coordination numbers 1 to 16; accuracy counts its most probable value.
{data["clear"]} sites are clear (weight above 0.8). {data["not_labelled_1_to_16"]} sites have another number: they are
not trained on, and count as wrong wherever all sites are counted.

Training goes through {recipe["spectra"]} changed copies of each site; chi(k) is changed, before the
transform:

{augmentation}

Transform: `xftf` with {transform}, and kmax from {manifest["kmax_range"][0]} to {manifest["kmax_range"][1]} Å⁻¹ (an
input of the models). |chi(R)| on {manifest["r_grid"]["step"]} Å steps to {manifest["r_grid"]["max"]} Å, read from
{manifest["r_grid"]["read_from"]:g} Å on as means of {manifest["r_grid"]["pool"]} points: Larch's own points lie
0.031 Å apart.

## Models
`network`, `bagging` and `forest` are the paper's kinds; they read |chi(R)|, absorber and kmax. So does `shells`:
networks of five convolutions along R, their answers averaged. `phase` are such networks over magnitude, real and
imaginary part of chi(R) at k weights 1, 2 and 3, where the group has chi(k). `default` is the weighted product of the
paper's three and `phase`, or `shells` where there is no chi(k). One model serves all absorbers and all k limits; the
row "one for each absorber" below is the alternative, trained in the same way.

Hyper-parameters: {plain}.

Weights of the product, from held-out materials ("magnitude" is what serves where there is no chi(k)): {weights}.

ONNX against the trained originals:

{table(["family", "same class", "largest difference of a probability", "spectra"], checked)}

## Results
{metrics["folds"]}-fold cross-validation; each site once; weights, temperature and set thresholds of a fold come from
the other folds. "Clear" sites have a CrystalNN weight above 0.8. Means over the ten absorbers.

### Whole formulas held out
{overview(metrics, "grouped")}

{by_absorber(metrics)}

{by_number(metrics)}

### Random split, as in the paper
{overview(metrics, "random")}

### Measured spectra
{measured_text(metrics.get("measured", {}))}

![confusion matrices](confusion.png)

Rows: CrystalNN; columns: the default model, formulas held out, realistic spectra.

![importance](importance.png)

## Known failures
{failures(metrics)}
- CrystalNN is undecided itself for many sites (bcc metals: 8 or 14; distorted octahedra: 4 to 6). The answer is then
  spread over these numbers, and `cn_mean` lies between them.
- Amplitude errors above 30 % (over-absorption, thickness, pinholes, a wrong edge step) look like another number.
- The simulated spectra are FEFF's without self-consistent potentials, for perfect crystals.
"""


def fill_readme(path: Path, text: str) -> None:
    """Put the figures between the markers of README.md."""
    content = path.read_text(encoding="utf-8")
    if START in content and END in content:
        before, rest = content.split(START, 1)
        path.write_text(f"{before}{START}\n{text}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")
