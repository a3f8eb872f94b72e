"""plot_cn: what is drawn is what was found."""

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import larch_cnpredict
from larch_cnpredict import errors, explain, plot_cn, plot_cn_compare, predict_cn
from larch_cnpredict.plot import BLUE, RED


def test_the_figure_shows_the_spectrum_the_importance_and_the_set(measured, tmp_path):
    group = measured("CuO")
    figure = plot_cn(group)
    left, right = figure.axes
    line = left.lines[0]
    np.testing.assert_array_equal(line.get_ydata(), group.chir_mag[group.r <= 6])
    shades = np.asarray(left.images[0].get_array())[0]
    assert shades.argmax() == group.cn_predict.importance.argmax()
    assert shades.min() == 0
    bars = {round(bar.get_x() + bar.get_width() / 2): bar for bar in right.patches}
    assert [bars[cn].get_height() for cn in group.cn_predict.classes] == group.cn_predict.probabilities
    blue = [cn for cn, bar in bars.items() if bar.get_facecolor() == to_rgba(BLUE)]
    assert blue == group.cn_predict.cn_set
    assert "Cu K: CN 4" in figure.get_suptitle()
    figure.savefig(tmp_path / "cn.png")
    assert (tmp_path / "cn.png").stat().st_size > 10_000


def test_the_nearest_known_site_is_drawn_over_the_spectrum(measured):
    figure = plot_cn(group := measured("Cu_foil"))
    line, nearest = figure.axes[0].lines
    known = group.cn_predict.neighbours[0]
    assert nearest.get_label() == f"nearest known site: {known['formula']}, CN {known['cn']}"
    own = np.interp(nearest.get_xdata(), line.get_xdata(), line.get_ydata())
    assert np.corrcoef(own, nearest.get_ydata())[0, 1] > 0.9
    assert figure.axes[0].get_ylim()[1] >= max(own.max(), nearest.get_ydata().max())
    other = measured("Cu_foil", kmin=3, kmax=12, kweight=3, dk=1, window="hanning")
    predict_cn(other, transform="own")
    assert len(plot_cn(other).axes[0].lines) == 1  # in another unit


def test_a_given_figure_is_drawn_into_without_pyplot(measured):
    mine = Figure(figsize=(5, 3))
    mine.subplots(3, 3)
    assert plot_cn(measured("Cu_foil"), figure=mine, title="mine") is mine
    assert len(mine.axes) == 2
    assert mine.get_suptitle() == "mine"
    assert pyplot.get_fignums() == []


def test_what_was_explained_is_plotted_unless_the_group_changed(measured):
    group = measured("Ni_foil")
    explain(group, model="forest")
    made = group.cn_predict
    plot_cn(group)
    assert group.cn_predict is made
    group.chi = 0.9 * group.chi
    plot_cn(group)
    assert group.cn_predict is not made
    assert group.cn_predict.model == "forest"


def test_the_transform_of_another_k_weight_has_its_unit(measured):
    group = measured("CuO", kmin=3, kmax=12, kweight=3, dk=1, window="hanning")
    explain(group, transform="own")
    assert "{-4}" in plot_cn(group).axes[0].get_ylabel()


@pytest.mark.parametrize("stem", ["CuO", "Cu_foil"])
def test_how_much_the_darkest_part_carries_is_said_as_explain_says_it(measured, stem):
    said = str(explain(group := measured(stem)))
    lost = 100 * (1 - np.exp(-group.cn_predict.importance.max()))
    assert f"without it {100 - lost:.0f}% of p are left" in said
    title = plot_cn(group).axes[0].get_title()
    assert title == f"red: what the answer rests on; darkest: without it p falls by {lost:.0f} %"
    group.cn_predict.importance[:] = 0.01
    assert plot_cn(group).axes[0].get_title() == "no single part of R carries the answer"


def test_without_a_screen_there_is_a_figure_to_be_saved(measured, monkeypatch, tmp_path):
    def no_screen(**_):
        raise ImportError("Cannot load backend 'WXAgg'")

    monkeypatch.setattr(pyplot, "figure", no_screen)
    plot_cn(measured("CuO")).savefig(tmp_path / "cn.png")
    assert (tmp_path / "cn.png").stat().st_size > 10_000


def test_the_mean_is_drawn_where_no_one_number_describes_the_sample(measured):
    explain(group := measured("CuO"))
    assert plot_cn(group).axes[1].lines[:] == []
    group.cn_predict.kind = "several sites or phases"
    group.cn_predict.cn_mean, group.cn_predict.cn_mean_interval = 5.2, [5.3, 6.1]  # a mean need not be inside
    right = plot_cn(group).axes[1]
    assert list(right.lines[0].get_xdata()) == [5.3, 5.2, 6.1]


def test_two_groups_over_each_other(measured, larch):
    larch_cnpredict.register(_larch=larch)
    larch.symtable.cuo, larch.symtable.foil = a, b = measured("CuO"), measured("Cu_foil")
    figure = larch.eval("plot_cn_compare(cuo, 'foil')")
    assert larch.error == []
    chir, numbers, lost = figure.axes
    for group, line, share, colour in zip((a, b), chir.lines, lost.lines, (BLUE, RED), strict=True):
        made = group.cn_predict
        np.testing.assert_array_equal(line.get_ydata(), group.chir_mag[group.r <= 6])
        np.testing.assert_allclose(share.get_ydata(), 100 * (1 - np.exp(-np.clip(made.importance, 0, None))))
        bars = [bar for bar in numbers.patches if bar.get_facecolor() == to_rgba(colour)]
        assert [round(bar.get_x() + bar.get_width() / 2) for bar in bars] == made.cn_set
        trusted = "" if colour == RED else " (undecided)"
        assert line.get_label().endswith(f": CN {made.cn}{trusted}")
    assert chir.get_ylim()[1] > max(a.chir_mag.max(), b.chir_mag.max())


def test_comparing_what_cannot_be_predicted_leaves_the_groups_as_they_are(measured):
    good, bad = measured("CuO"), measured("Cu_foil")
    bad.chi = np.nan * bad.chi
    predict_cn(good)
    for given in ({"a": good, "b": bad}, {"a": good, "b": good, "figure": "mine"}):
        with pytest.raises(errors.CNPredictError):
            plot_cn_compare(**given)
    assert not hasattr(bad, "cn_predict")


def test_in_larch_a_figure_is_shown_as_those_of_its_own_plots_are(measured, larch, monkeypatch):
    shown = []
    monkeypatch.setattr(FigureManagerBase, "show", lambda manager: shown.append(manager))
    plot_cn(measured("Cu_foil"))
    assert shown == []  # in Python that is the user's
    larch_cnpredict.register(_larch=larch)
    larch.symtable.foil = measured("Cu_foil")
    figure = larch.eval("plot_cn(foil)")
    assert shown == [figure.canvas.manager]
