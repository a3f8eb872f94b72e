"""plot_cn_series: each group's own answer at its place along the series, and what is left out is said."""

import numpy as np
import pytest
from larch import Group, Journal
from matplotlib import pyplot
from matplotlib.backend_bases import MouseEvent
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from larch_cnpredict import errors, plot_cn_series, predict, predict_cn
from larch_cnpredict.along import cn_series
from larch_cnpredict.result import KINDS, PARTICLE, SEVERAL
from larch_cnpredict.scans import about, positions, series_names
from larch_cnpredict.series import STYLES


@pytest.fixture
def foils(measured):
    """Three groups whose numbers, times and temperatures run in different directions."""
    groups = [measured(stem) for stem in ("Cu_foil", "CuO", "Ni_foil")]
    for i, group in enumerate(groups):
        group.filename = f"sample2_{11 - i:03d}.xdi"
        group.attrs = {
            "sample": {"temperature": f"{300 + 50 * i} K", "name": "foil"},
            "scan": {"start_time": f"2024-05-01 12:{10 * i:02d}:00", "edge_energy": "8979.0"},
        }
    return groups


def test_points_are_the_answers_with_their_intervals(foils):
    figure = plot_cn_series(foils, x=[3, 1, 2])
    assert [made.cn for made in figure.cn_series.answers] == [12, 4, 12]
    drawn = {tuple(point) for points, _ in figure.cn_series.points for point in points.get_offsets().data}
    assert drawn == {(x, group.cn_predict.cn_mean) for x, group in zip((3, 1, 2), foils, strict=True)}
    bars = figure.axes[0].collections[0].get_segments()
    assert {tuple(bar.ravel()) for bar in bars} == {
        (x, made.interval[0], x, made.interval[1]) for x, made in zip((3, 1, 2), figure.cn_series.answers, strict=True)
    }
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [1, 2, 3]  # the line goes along x, whatever the order of the groups


def test_colour_and_marker_say_the_kind_and_open_is_outside(foils):
    predict_cn(foils)
    for group, kind, inside in zip(foils, (SEVERAL, PARTICLE, SEVERAL), (True, True, False), strict=True):
        group.cn_predict.kind, group.cn_predict.in_domain = kind, inside
    found = {}
    for artist, (row,) in plot_cn_series(foils).cn_series.points:
        found[row] = (tuple(artist.get_edgecolor()[0]), tuple(artist.get_facecolor()[0]))
    colour = {kind: to_rgba(STYLES[kind][1]) for kind in KINDS}
    white = to_rgba("white")
    assert found == {0: (colour[SEVERAL],) * 2, 1: (colour[PARTICLE],) * 2, 2: (colour[SEVERAL], white)}


def test_the_legend_stays_in_the_figure(foils):
    foils = [*foils, *(Group(**vars(one)) for one in foils)]
    predict_cn(foils)
    for i, group in enumerate(foils):
        group.cn_predict = Group(**vars(group.cn_predict) | {"kind": KINDS[i % 3], "in_domain": i < 3})
    figure = plot_cn_series(foils)
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend()
    words = [text.get_text() for text in legend.get_texts()]
    assert sorted(words) == ["one site", "open: outside what the models know", "particle", "several sites"]
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height


def test_a_click_on_a_point_finds_its_group(foils, tmp_path):
    figure = plot_cn_series(foils, x="temperature")
    figure.savefig(tmp_path / "series.png")
    picked = []
    figure.canvas.mpl_connect("pick_event", lambda event: picked.append(figure.cn_series.picked(event)))
    for x, group in zip((300, 350, 400), foils, strict=True):
        at = figure.axes[0].transData.transform((x, group.cn_predict.cn_mean))
        figure.canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", figure.canvas, *at, 1))
    assert [id(group) for group in picked] == [id(group) for group in foils]


@pytest.mark.parametrize(
    ("x", "label", "wanted"),
    [
        (None, "scan number", [11, 10, 9]),
        ("temperature", "temperature (K)", [300, 350, 400]),
        ("Sample.Temperature", "Sample.Temperature (K)", [300, 350, 400]),
        ("time", "time (min)", [0, 10, 20]),
        ("potential", "potential", [0.1, 0.2, 0.4]),
        ("ph", "ph", [7, 8, 9]),
        (np.array([5, 6, 7]), "x", [5, 6, 7]),
    ],
)
def test_where_the_spectra_lie(foils, x, label, wanted):
    for i, group in enumerate(foils):
        group.potential = (0.1, 0.2, 0.4)[i]
        group.journal = Journal(source="file", ph=f"{7 + i}")
    made = cn_series(foils, x)
    assert made.label == label
    np.testing.assert_allclose(made.x, wanted)
    assert {"sample.temperature", "scan.start_time", "potential", "journal.ph"} <= set(series_names(foils))
    assert not {"scan.edge_energy", "sample.name"} & set(series_names(foils))  # the same for all, no number


def test_what_processing_makes_of_the_scans_is_no_series(foils):
    for i, group in enumerate(foils):
        group.athena_params = group.config = Group(bkg=Group(nor2=400 + i), nor2=400 + i)
        group.journal = {"pre_edge_callargs": {"e0": 8979 + i}}
    made = {"e0", "ek0", "edge_step", "athena_params.bkg.nor2", "config.nor2", "journal.pre_edge_callargs.e0"}
    assert made & set(dict(about(foils[0]))) == made
    assert sorted(series_names(foils)) == ["sample.temperature", "scan.start_time"]


def test_without_numbers_in_the_names_it_is_their_order(foils):
    for group, name in zip(foils, ("as made", "reduced at 500", "reduced at 600"), strict=True):
        group.filename = name
    made = cn_series(foils)
    assert (made.label, list(made.x)) == ("number in the series", [1, 2, 3])


def test_what_was_predicted_stays_and_what_changed_is_predicted_as_it_was_asked_for(foils, monkeypatch):
    first, second, _ = foils
    predict_cn(first)
    predict_cn(second, model="forest")
    kept = first.cn_predict
    second.chi = 0.9 * second.chi
    batches = []
    monkeypatch.setattr(
        predict, "predict_cn", lambda groups, **asked: batches.append(groups) or predict_cn(groups, **asked)
    )
    figure = plot_cn_series(foils)
    assert first.cn_predict is kept
    assert [made.family for made in figure.cn_series.answers] == ["phase", "forest", "phase"]
    assert sorted(map(len, batches)) == [1, 1]
    plot_cn_series(foils)
    assert len(batches) == 2


def test_a_group_that_fails_is_left_out_and_said(foils):
    empty = Group(filename="empty.dat")
    del foils[1].attrs
    figure = plot_cn_series([*foils, empty], x="temperature", title="mine")
    made = figure.cn_series
    assert [id(group) for group in made.groups] == [id(foils[0]), id(foils[2])]
    assert made.left_out == [
        "'sample2_010.xdi' has no temperature.",
        "'empty.dat' has no data at all: read a spectrum, run autobk and xftf on it first.",
    ]
    assert all(sentence in figure.get_supxlabel() for sentence in made.left_out)
    assert figure.get_suptitle() == "mine"
    assert not hasattr(empty, "cn_predict")


@pytest.mark.parametrize(
    ("groups", "x", "kind", "sentence"),
    [
        ("foils", None, errors.SeriesError, "no list of groups"),
        ([], None, errors.SeriesError, "no list of groups"),
        (["nothing"], None, errors.InputError, "no group of the name 'nothing'"),
        ([Group()], None, errors.MissingArrayError, "no data at all"),
        (None, "pressure", errors.SeriesError, "what changes along it is .*sample.temperature"),
        (None, " ", errors.SeriesError, "has no ' ' that is a number"),
        (None, [1, 2], errors.BadArrayError, "one number for each of the 3 groups"),
        (None, ["a", "b", "c"], errors.BadArrayError, "neither a name nor numbers"),
        (None, [1, 2, np.nan], errors.BadArrayError, "NaN"),
    ],
)
def test_what_is_no_series_is_refused_in_a_sentence(foils, groups, x, kind, sentence):
    with pytest.raises(kind, match=sentence):
        plot_cn_series(foils if groups is None else groups, x)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("300 K", "77 K", "27 C"), "in K and in C: write it in one unit"),
        (("30 s", "1 min", "2 min"), "in s and in min:"),
        (("2024-05-01T12:00", 3, "2024-05-01T12:10"), "in date and in no unit:"),
    ],
)
def test_units_are_not_mixed(foils, values, said):
    for group, value in zip(foils, values, strict=True):
        group.dose = value
    with pytest.raises(errors.SeriesError, match=f"The series has dose {said}"):
        cn_series(foils, "dose")
    assert "dose" not in series_names(foils)


def test_where_nothing_changes_that_is_said():
    groups = [Group(filename=name, k=np.arange(3.0), chi=np.arange(3.0)) for name in ("one", "two")]
    with pytest.raises(errors.SeriesError, match="nothing that is known of these spectra changes along the series"):
        cn_series(groups, "dose")


def test_a_given_figure_is_drawn_into_without_pyplot(foils):
    mine = Figure(figsize=(5, 3))
    mine.subplots(3, 3)
    assert plot_cn_series(foils, figure=mine) is mine
    assert len(mine.axes) == 1
    assert pyplot.get_fignums() == []
    with pytest.raises(errors.OptionError, match="None or a matplotlib Figure"):
        plot_cn_series(foils, figure="mine")


def test_a_name_that_the_table_has_already_hides_nothing(foils):
    for pressure, group in enumerate(foils):
        group.p = pressure
    rows = cn_series(foils, "p").rows()
    assert [row["x: p"] for row in rows] == [0, 1, 2]
    assert [row["p"] for row in rows] == [round(max(group.cn_predict.probabilities), 4) for group in foils]


def test_rows_are_those_of_the_table(foils):
    rows = cn_series(foils, "temperature").rows()
    assert [(row["group"], row["temperature (K)"], row["cn"]) for row in rows] == [
        ("sample2_011.xdi", 300, 12),
        ("sample2_010.xdi", 350, 4),
        ("sample2_009.xdi", 400, 12),
    ]


def test_a_request_that_cannot_be_met_costs_its_own_groups_alone(measured, tmp_path):
    gone, good = measured("CuO"), measured("Cu_foil")
    predict_cn([gone, good])
    gone.cn_predict.request["models"] = str(tmp_path / "gone")
    gone.chi = 1.01 * gone.chi
    made = cn_series([gone, good])
    assert made.groups == [good]
    assert "gone is missing" in made.left_out[0]


def test_of_names_that_fit_one_of_a_single_unit_is_taken():
    groups = [
        Group(
            filename=f"{i}.xdi", sample={}, attrs={"sample": {"temperature": text}, "scan": {"temperature_k": 300 + i}}
        )
        for i, text in enumerate(("300 K", "27 C"))
    ]
    values, label = positions(groups, "temperature")
    assert (values, label) == ([300, 301], "temperature")
