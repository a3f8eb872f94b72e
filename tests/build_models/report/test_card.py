"""Cards and README print the figures of metrics.json, each where it belongs."""

import json
from dataclasses import asdict

import pytest

from build_models import config
from build_models.config import ConfigError
from build_models.report import card
from larch_cnpredict.models import default_folder
from tests.helpers import EXAMPLES

COLUMNS = "accuracy clear within1 macro_f1 calibration_error coverage set_size log_loss mean_error"
SAMPLE = "mean_error_of_absorber_mean mean_error coverage width one_called_several several_called_so"
SPLITS = {"prototype": "Whole structure types held out", "formula": "Whole formulas held out", "random": "Random split"}
ABSORBERS = {"Fe": 60, "Ni": 40}
FAMILIES = ("network", "bagging", "forest", "shells", "phase")


def figures(value: float, names: str = COLUMNS, step: float = 0.001) -> dict[str, float]:
    """A row of metrics in which each figure has a value of its own, all derived from one number."""
    return {name: value + step * i for i, name in enumerate(names.split())}


def scored(value: float) -> dict[str, dict[str, float]]:
    return {"all": figures(value), "Fe": figures(value + 0.011), "Ni": figures(value + 0.022)}


def sample(value: float) -> dict[str, float]:
    return {"samples": 77} | figures(value, SAMPLE, 0.01)


def mixture(value: float) -> dict[str, float]:
    return {"spectra": 65, "sure": 1.0} | figures(value, "off covered width said misled", 0.01)


@pytest.fixture
def metrics():
    schemes = {}
    for number, scheme in enumerate(SPLITS):
        start = 0.1 + 0.2 * number
        families = {name: scored(start + 0.01 * i) for i, name in enumerate(FAMILIES)}
        schemes[scheme] = {
            "baselines": {"majority": scored(start - 0.05), "composition": scored(start - 0.04)},
            "paper": {test: {name: families[name] for name in FAMILIES[:3]} for test in ("realistic", "ideal")},
            "shipped": dict.fromkeys(("realistic", "ideal"), families),
            "ideal": {"ideal": {"phase": scored(start + 0.09)}},
            "with formula": {"realistic": {"phase": scored(start + 0.07)}},
            "with elements": {"realistic": {"phase": scored(start + 0.06)}},
        }
    measured = {
        "spectra": 46, "compounds": 17, "commonest": 6, "always_commonest": 0.588, "exact": 0.971, "balanced": 0.983,
        "within1": 0.972, "in_set": 0.999, "several": 0.118, "mixed": 0.31, "ambig": 1.72, "flagged": 0.021,
        "confident": 23, "confident_wrong": 2, "wrong": {"Fe Fe2O3": {"truth": 6, "predicted": [4]}}, "int": 0.32,
        "known": 31, "verdicts": {"ok": 13, "undecided": 16, "several": 2},
        "missed": [{"compound": "Ti Ti", "truth": 12, "mean": "10.0 [8.1, 11.1]"}],
    }  # fmt: skip
    return {
        "data": {
            "sites": 100, "formulas": 90, "prototypes": 33, "clear": 71, "not_labelled_1_to_16": 3, "digest": "abc",
            "sources": {"amcsd": 100}, "extra": 0, "single": 0,
            "per_absorber": ABSORBERS,
        },
        "folds": 5,
        "sample_folds": 5,
        "schemes": schemes,
        "calibration": {name: {"power": 1.25, "thresholds": {"all": 0.1}} for name in FAMILIES},
        "by_number": {
            "3": {"sites": 9, "found": 0.143, "coverage": 0.61, "each": 0.92, "taken_for": 4},
            "6": {"sites": 91, "found": 0.943, "coverage": 0.96, "each": 0.91, "taken_for": 4},
        },
        "each_size": 5.43,
        "samples": {
            "complex": {
                "all": sample(0.3), "nothing told": sample(0.4), "both told": sample(0.1), "one site": sample(0.2),
            },
            "magnitude": {"all": sample(0.6)},
            "measured": {"as shipped": {"mixed": mixture(0.7)}, "formulas unseen": {"mixed": mixture(0.8)}},
        },
        "agreement": {name: {"same_class": 1.0, "difference": 2e-6, "spectra": 100} for name in FAMILIES},
        "measured": {"as shipped": {"common": measured}, "formulas unseen": {"common": measured}},
    }  # fmt: skip


def table(name: str, **numbers: int | str) -> dict:
    return {"file": f"{name}.parquet", "sha256": 64 * name, "versions": {"xraylarch": "2026.3.1"}} | numbers


def sure(value: float) -> dict[str, float]:
    return {"sites": 100, "accuracy": 0.77} | figures(value, "sure right mean calibration_error", 0.01)


def told(value: float) -> dict[str, float]:
    more = {"misled_alone": 0.091, "misled_as_often": 0.045, "misled_said": 0.023}
    return sample(value) | more | {"several": value + 0.001, "several_before": value + 0.002}


@pytest.fixture
def confirmed(metrics, manifest):
    """Metrics and manifest of models that were asked about what nothing in them has learnt from."""
    asked = {
        reads: {
            "majority": figures(start), "composition": figures(start + 0.1), "sites": figures(start + 0.2),
            "with formula": figures(start + 0.25),
            "by_number": {"7": {"sites": 5, "found": 0.1, "coverage": 0.4, "each": start + 0.4, "taken_for": 6}},
            "alone": sure(start + 0.1), "said": sure(start),
            "samples": {name: told(start + more) for name, more in (("all", 0.0), ("sites", 0.05), ("foils", 0.1))},
        }
        for reads, start in (("complex", 0.5), ("magnitude", 0.7))
    }  # fmt: skip
    metrics["confirmed"] = {
        "models": "2026.11.30",
        "false_alarms": 0.05,
        "sites": 123,
        "formulas": 99,
        "prototypes": 88,
        "clear": 77,
    } | asked
    manifest["confirmed"] = {"spectra": [table("fresh", rows=130)], "particles": [], "defects": []}
    return metrics, manifest


@pytest.fixture
def manifest():
    return {
        "version": "2026.12.1", "date": "2026-12-01", "seed": 7, "edge": "K", "absorbers": ["Fe", "Ni"],
        "classes": list(range(1, 17)), "default": {"complex": "phase", "magnitude": "shells"},
        "recipe": {"spectra": 20, "members": 4, "precision": "bfloat16", "augmentation": {"s02": [0.78, 0.14]}},
        "transform": {"kmin": 3.0, "kweight": 2}, "kmax_range": [8.5, 14.0],
        "r_grid": {"step": 0.003, "max": 6.0, "read_from": 1.0, "pool": 10},
        "families": {name: {"reads": "complex" if name == "phase" else "magnitude"} for name in FAMILIES},
        "calibration": {
            name: {
                "power": 1.25,
                "formula": {"weights": [0.81, 0.56, 0.25], "agreement": 0.0123},
                "elements": {"weights": [0.91, 0.36, 0.15], "agreement": 0.0234},
            }
            for name in FAMILIES
        },
        "particles": [table("a", materials=21, rows=212), table("b", materials=10, rows=100)],
        "defects": [table("c", materials=7, rows=21)],
        "extra": [],
        "single": [],
        "beam": {"s02": {"Fe": 0.75, "Ni": 0.85}, "s02_spread": 0.11},
        "tables": [
            {
                "file": "spectra.parquet", "sha256": "0123456789abcdef" * 4, "rows": 130, "config_hash": "feedbeef",
                "config": {"source": {"kind": "amcsd", "way": "feff"}, "feff": {"scf_radius": 4.0, "rpath": 6.5}},
                "versions": {"xraylarch": "2026.3.1"},
            }
        ],
    }  # fmt: skip


def row(text: str, label: str) -> list[str]:
    """The cells of the one line of a table that begins with this label."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def section(text: str, heading: str) -> str:
    return text.split(f"### {heading}", 1)[1].split("\n### ", 1)[0]


def test_percentages_are_a_hundred_times_the_shares():
    shares = (0.0, 0.5, 0.69949, 1.0, float("nan"))
    assert [card.percent(share) for share in shares] == ["0.0", "50.0", "69.9", "100.0", ""]


def test_sites_that_no_figure_counts_are_said_where_there_are_some(metrics, manifest):
    assert "sites more" not in card.render("card.md.jinja", manifest, metrics)
    manifest["extra"] = [manifest["tables"][0] | {"file": "rare.parquet", "rows": 18}]
    manifest["single"] = [manifest["tables"][0] | {"file": "single.parquet", "rows": 70, "program": "pairs"}]
    metrics["data"] |= {"extra": 17, "single": 69}
    text = card.render("card.md.jinja", manifest, metrics)
    assert "`phase` and the networks of samples learn from 17 sites more" in text
    assert "Of 69 labelled sites more there is single scattering alone" in text
    assert "| rare.parquet | 0123456789abcdef | 18 |" in text
    assert "| single.parquet | 0123456789abcdef | 70 | pairs |" in text
    manifest["samples_learnt"] = [table("single", rows=30, program="pairs")]
    manifest["particles"], manifest["defects"] = [table("particles", rows=44, materials=5)], manifest["samples_learnt"]
    text = card.render("card.md.jinja", manifest, metrics)
    assert "`phase` learns from 17 sites more" in text
    assert "`phase` sees as many of them as of all others" in text
    own = text.split("The networks of samples learn in this way from the first 1 of these tables, and from")[1]
    assert own.count("| single.parquet | singlesinglesing | 30 | pairs |") == 1
    assert "| particles.parquet | particlesparticl | 44 |" in own


def test_formulas_unseen_are_said_to_be_another_model_where_they_are(metrics, manifest):
    assert "stands for another `phase`" not in card.render("card.md.jinja", manifest, metrics)
    text = card.render("card.md.jinja", manifest | {"but_samples": "2020.1.1"}, metrics)
    assert text.count("stands for another `phase`, too") == 1
    assert "calibrated as 2020.1.1 is" in text


def test_the_overview_gives_each_model_its_own_figures(metrics, manifest):
    text = card.render("card.md.jinja", manifest, metrics)
    for number, (scheme, words) in enumerate(SPLITS.items()):
        part = section(text, words)
        start = 0.1 + 0.2 * number
        first = [f"{100 * (start + 0.04 + 0.001 * i):.1f}" for i in range(6)]
        assert row(part, "phase, realistic spectra")[:6] == first, scheme
        assert row(part, "the paper's recipe: forest, ideal spectra")[0] == f"{100 * (start + 0.02):.1f}"
        assert row(part, "no spectrum: composition and absorber alone")[0] == f"{100 * (start - 0.04):.1f}"
        assert row(part, "no spectrum: always the absorber's commonest number")[0] == f"{100 * (start - 0.05):.1f}"


def test_each_absorber_and_each_number_has_its_line(metrics, manifest):
    text = card.render("card.md.jinja", manifest, metrics)
    phase = metrics["schemes"]["prototype"]["shipped"]["realistic"]["phase"]
    best = metrics["schemes"]["prototype"]["paper"]["realistic"]["forest"]
    for absorber, sites in ABSORBERS.items():
        cells = row(text, absorber)
        assert cells[0] == str(sites)
        assert cells[3] == f"{100 * best[absorber]['accuracy']:.1f}"
        assert cells[4] == f"{100 * phase[absorber]['accuracy']:.1f}"
    assert row(text, "3") == ["9", "14.3", "61.0", "92.0", "4"]
    assert "3 (14.3 % found, in the 90 % set for 61.0 %, else mostly taken for 4)" in text
    assert "6 (94.3" not in text


def test_the_readme_says_split_test_and_baselines_in_one_line(metrics, manifest):
    text = card.render("figures.md.jinja", manifest, metrics)
    assert row(text, "whole structure types held out; realistic") == ["5.0", "6.0", "12.0", "14.0", "14.1"]
    assert row(text, "whole structure types held out; realistic, from chir_mag alone")[3] == "13.0"
    random = row(text, "random split, as in the paper; ideal, this trained on nearly ideal ones")
    assert random == ["45.0", "46.0", "52.0", "59.0", "59.1"]
    assert "100 sites of 90 formulas and 33 structure types" in text
    assert "p of `phase` is off by 14.4 points on average; 14.2 % are right within ±1" in text
    assert "hold the number for 14.5 % and have 0.15 members" in text


def test_measured_figures_are_those_that_were_scored(metrics, manifest):
    text = card.render("card.md.jinja", manifest, metrics)
    (line, _) = [line for line in text.splitlines() if "| common |" in line]
    assert (
        line
        == "| as shipped | common | 97.1 | 98.3 | 97.2 | 99.9 | 13 | 16 | 2 | 0 | 2 of 23 | 0.32 | 0.31 | 1.72 | 2.1 |"
    )
    assert "interval of the mean misses it, as shipped: Ti Ti (is 12, mean 10.0 [8.1, 11.1]), of 31." in text
    assert "Measured compounds read wrongly, as shipped: Fe Fe2O3 (is 6, read as 4)." in text
    assert "46 spectra of 17 compounds with one coordination number" in text
    assert "Always answering 6 is right for\n58.8 %." in text
    page = card.render("figures.md.jinja", manifest, metrics)
    said = "97.1 % right, p of 0.8 or more and wrong 2 of 23 spectra; of 31 spectra of one number 13 ok, 16 undecided,"
    assert page.count(said) == 2
    assert page.count("read as 4") == 2
    metrics["measured"]["as shipped"]["common"]["wrong"] = {}
    assert "read wrongly, as shipped" not in card.render("figures.md.jinja", manifest, metrics)
    assert "read wrongly, as shipped: none" in card.render("card.md.jinja", manifest, metrics)
    for name in ("verdicts", "int", "missed"):  # as metrics of before have none
        del metrics["measured"]["as shipped"]["common"][name]
    assert "99.9 |  |  |  |  | 2 of 23 |  | 0.31" in card.render("card.md.jinja", manifest, metrics)
    del metrics["measured"]
    assert "Not yet held against measured spectra" in card.render("card.md.jinja", manifest, metrics)


def test_where_the_data_come_from_is_read_and_not_typed(metrics, manifest):
    text = card.render("card.md.jinja", manifest, metrics)
    assert "Materials Project" not in text
    assert "American Mineralogist" in text
    assert "without self-consistent potentials" not in text  # SCF of 4 Å here
    assert "Fe 60, Ni 40" in text
    assert "Zn" not in text
    metrics["data"]["sources"] = {"mp": 100, "files": 7}
    manifest["tables"][0]["config"] = {
        "source": {"kind": "mp", "way": "feff"}, "feff": {"scf_radius": 0.0, "rpath": 6.5},
    }  # fmt: skip
    text = card.render("card.md.jinja", manifest, metrics)
    assert "Materials Project" in text
    assert "\nStructures from files: 7 sites." in text
    assert "without self-consistent potentials" in text


def test_what_models_have_learnt_goes_by_what_was_counted(metrics, manifest):
    """A table of complexes may have any name; metrics of earlier models did not count them."""
    hint = "molecules and complexes in solution as a hint alone"
    manifest["extra"] = [manifest["tables"][0] | {"file": "molecules.parquet"}]
    for made_up, learnt in ((7, True), (0, False)):
        metrics["data"]["made_up"] = made_up
        text = card.render("card.md.jinja", manifest, metrics)
        assert (hint in text) == learnt
        assert ("families have learnt crystals alone" in text) != learnt


def test_what_earlier_models_were_scored_by_is_said_of_them_alone(metrics, manifest):
    earlier = "it can be 72.7 % at most"
    assert earlier in card.render("card.md.jinja", manifest, metrics)
    assert earlier not in card.render("card.md.jinja", manifest, metrics | {"macro_f1_over": "classes"})


def test_whether_cn_set_each_was_scored_as_users_get_it_is_said(confirmed):
    metrics, manifest = confirmed
    before = card.render("card.md.jinja", manifest, metrics)
    assert (before.count("sets for each number hold %"), "`cn_set_each` holds" in before) == (2, False)
    metrics["confirmed"]["each_of_both"] = True
    mixed = card.render("card.md.jinja", manifest, metrics)
    assert (mixed.count("sets for each number hold %"), mixed.count("`cn_set_each` holds %")) == (1, 1)
    assert "above a threshold for each number, or in the 90 % set, and 5.43 members" in card.render(
        "card.md.jinja", manifest, metrics | {"each_of_both": True}
    )


def test_where_there_are_none_nothing_is_said(metrics, manifest):
    """No clear site of iron, no particle, and no mixture among the samples."""
    headline = metrics["schemes"]["prototype"]["shipped"]["realistic"]["phase"]
    headline["Fe"] = headline["Fe"] | {"clear": float("nan")}
    text = card.render("card.md.jinja", manifest | {"particles": []}, metrics)
    assert "training has not seen: Ni 16.3 %; all absorbers" in text
    assert "particles and bulk metals" not in text


def test_figures_go_between_the_markers_and_nowhere_else(metrics, manifest, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{card.START}\nstale figures\n{card.END}\nafter\n")
    card.fill_page(path, card.render("figures.md.jinja", manifest, metrics))
    text = path.read_text()
    assert text.startswith(f"before\n{card.START}\n")
    assert text.endswith(f"\n{card.END}\nafter\n")
    assert "stale figures" not in text
    assert "whole structure types held out" in text
    for broken in ("nothing", f"{card.END}\n{card.START}"):
        path.write_text(broken)
        with pytest.raises(ConfigError, match="no place for figures"):
            card.fill_page(path, card.render("figures.md.jinja", manifest, metrics))
        assert path.read_text() == broken


def test_what_ships_says_what_its_metrics_say():
    """No figure on the card or in README is typed, and `shipped.toml` is what made the models."""
    folder = default_folder()
    manifest, metrics = (json.loads((folder / name).read_text()) for name in ("manifest.json", "metrics.json"))
    assert (folder / "README.md").read_text() == card.render("card.md.jinja", manifest, metrics) + "\n"
    readme = (EXAMPLES.parent / "README.md").read_text()
    figures = readme.split(card.START, 1)[1].split(card.END, 1)[0]
    assert figures.strip() == card.render("figures.md.jinja", manifest, metrics).strip()
    settings = config.load(EXAMPLES.parent / "build_models" / "shipped.toml")
    assert manifest["version"] == settings.train.version
    assert manifest["seed"] == settings.seed
    for name in ("spectra", "epochs", "phase_epochs", "members", "precision", "copies", "trees", "bagged_trees"):
        assert manifest["recipe"][name] == getattr(settings.train, name), name
    retrain = (EXAMPLES.parent / "docs" / "retrain.md").read_text()
    for one in manifest["tables"]:
        assert one["sha256"] in retrain
        if "config" in one:
            made = one["config"]["feff"] | {"debye_temperatures": tuple(one["config"]["feff"]["debye_temperatures"])}
            assert made == asdict(settings.feff)


def test_samples_have_a_block_of_their_own(manifest, metrics):
    text = section(card.render("card.md.jinja", manifest, metrics), "Samples")
    assert "31 of the two together, 312 spectra" in text.replace("\n", " ")
    assert "sites of no perfect crystal (21 spectra" in text.replace("\n", " ")
    assert "no perfect crystal" not in card.render("card.md.jinja", manifest | {"defects": []}, metrics)
    assert row(text, "chi(k) | one site") == ["one site", "77", "0.20", "0.21", "22.0", "0.23", "24.0", "25.0"]
    assert row(text, "chir_mag alone | all")[2:5] == ["0.60", "0.61", "62.0"]
    assert row(text, "formulas unseen | mixed") == ["mixed", "65", "0.80", "81.0", "0.82", "83.0", "55 of 65"]
    figures_of_readme = card.render("figures.md.jinja", manifest, metrics)
    assert "off by 0.41 (the absorber's mean by 0.40), its 90 % interval holds 42.0 %" in figures_of_readme
    assert "Of single sites 44.0 % are said to be several." in figures_of_readme
    mixed = "As shipped: `cn_mean` of 65 is off by 0.70, its interval holds 71.0 %, misled 48. Formulas unseen:"
    assert mixed in figures_of_readme
    assert "With s02 and the elements told it is off by 0.11 (77 samples)" in figures_of_readme


def test_folds_that_were_not_tested_are_said(manifest, metrics):
    for few in (2, 5):
        metrics |= {"folds": 5, "sample_folds": few}
        said = few < 5
        assert ("2 of the 5 folds were tested" in card.render("card.md.jinja", manifest, metrics)) is said
        assert (
            "particles held out, in 2 of the folds, nothing" in card.render("figures.md.jinja", manifest, metrics)
        ) is said


def test_what_nothing_has_learnt_from_has_a_block_of_its_own(confirmed):
    metrics, manifest = confirmed
    page = card.render("card.md.jinja", manifest, metrics)
    text = section(page, "Materials that nothing has learnt from")
    assert text.startswith("\n123 sites of 99 formulas and 88 structure types, 77 of them clear")
    assert "What ships (networks of 2026.11.30), and not networks of a fold" in text
    assert row(text, "fresh.parquet")[1] == "130"
    blind = ["50.0", "50.1", "60.0", "60.1", "60.2", "60.3"]
    models = ["70.0", "70.1", "70.2", "70.3", "70.4", "70.5", "0.71"]
    assert row(text, "chi(k) | 50.0")[-16:] == [*blind, *models, "75.0", "75.1", "75.3"]
    assert row(text, "7") == ["5", "10.0", "40.0", "90.0", "6"]
    assert row(text, "chi(k) | `phase`") == ["`phase`", "100", "60.0", "61.0", "0.62", "63.0"]
    assert row(text, "chir_mag alone | the answer") == ["the answer", "100", "70.0", "71.0", "0.72", "73.0"]
    misled, scored = text.split("The networks of samples, with nothing told")
    assert row(misled, "chi(k) | foils") == ["foils", "77", "60.1", "60.2", "9.1", "4.5", "2.3"]
    assert row(scored, "chi(k) | all")[:3] == ["all", "77", "0.50"]
    assert "5 % of both together, by absorber" in text
    assert "62.6 % of their sites clear and not 71.0" in text
    readme = card.render("figures.md.jinja", manifest, metrics)
    assert (
        "nothing here has learnt from**: of 123 sites of 88 structure types and 99 formulas, `phase` is right" in readme
    )
    assert (
        "for 70.0 % (without a spectrum: always the commonest number 50.0 %, composition and absorber alone 60.0"
        in readme
    )
    assert "of the 77 clear ones for 70.1 % (50.1 %, 60.1 %), and with the formula told for 75.0 and 75.1 %." in readme
    assert "p of 0.8 or more for 50.0 % of them, of which 51.0 % are right; told to be one site, for 60.0 %" in readme
    assert "60.0 %, of which 61.0 % are right. Such p is 53.0 points too low on average, and 63.0 where" in readme
    assert "Of single sites 55.1 % are said to be several, of metal foils 60.1 %" in readme
    del metrics["confirmed"]
    for template in ("card.md.jinja", "figures.md.jinja"):
        assert "p of an answer" not in card.render(template, manifest, metrics)


def test_sites_of_no_perfect_crystal_have_a_table_and_are_a_known_failure(confirmed):
    metrics, manifest = confirmed
    assert "Sites of no perfect crystal" not in card.render("card.md.jinja", manifest, metrics)
    assert "families have learnt crystals alone" in card.render("card.md.jinja", manifest, metrics)

    def kind(share: float, start: float) -> dict:
        said = figures(start, "accuracy right mean calibration_error", 0.01) | {"sites": 50, "sure": share}
        return {"majority": 0.25, "alone": said | {"sure": 0.5, "right": 0.51}, "said": said}

    kinds = {"beside a vacancy": kind(0.125, 0.04), "on a support": kind(0.0, 0.6)}
    metrics["confirmed"]["complex"]["defects"] = kinds
    manifest["extra"] = [manifest["tables"][0] | {"file": "complexes.parquet"}]
    text = card.render("card.md.jinja", manifest, metrics)
    found = row(section(text, "Materials that nothing has learnt from"), "on a support")
    assert found == ["50", "25.0", "60.0", "50.0", "51.0", "0.0", "61.0"]
    common = "of 50 (the commonest number 25.0 %)"
    assert f"a vacancy 4.0 % right {common} (12.5 % get p of 0.8 or more, and 5.0 % of these are right); on a" in text
    assert f"; on a support 60.0 % right {common}. Their crystals are clear sites" in text
    assert "families have learnt crystals alone" not in text
    assert "Complexes of ideal" not in text
    page = card.render("figures.md.jinja", manifest, metrics)
    assert "from: beside a vacancy 4.0 % right of 50" in page
    assert "on a support" not in page
    metrics |= {"said_by": "the first", "defects": {"complexes": kind(0.25, 0.3), "beside a vacancy": kind(0.5, 0.5)}}
    text = card.render("card.md.jinja", manifest, metrics)
    said = "(networks of samples: the first): 30.0 % right; 25.0 % get p of 0.8 or more, and 31.0 % of these are right."
    assert f"- Complexes of ideal geometry, simulated, structure types and sets of ligands held out {said}" in text


def test_what_is_warned_of_is_on_the_card(metrics, manifest):
    assert "### Warnings" not in card.render("card.md.jinja", manifest, metrics)
    metrics["warned"] = {
        "sound": {"spectra": 50, "flagged": 0.02, "sure": 0.3}, "foils": {"spectra": 40, "flagged": 0.05, "sure": 0.2},
        "waves": {"spectra": 30, "flagged": 0.9, "sure": 0.1},
        "wrong sign": {"spectra": 10, "flagged": 0.5, "sure": 0.3},
    }  # fmt: skip
    text = section(card.render("card.md.jinja", manifest | {"warns": "2026.12.1"}, metrics), "Warnings")
    assert row(text, "wrong sign") == ["10", "50.0", "30.0"]
    assert "is of this version" in text
    assert "is of this version" not in card.render("card.md.jinja", manifest | {"warns": "old"}, metrics)
    said = "of 50 sound simulated spectra 2.0 % are flagged as outside, of 40 of metal foils 5.0 %"
    assert said in (readme := card.render("figures.md.jinja", manifest, metrics))
    assert "of 40 that are no EXAFS" in readme
    assert "times too high 80.0 %, and 15.0 % get p of 0.8 or more and no flag." in readme
