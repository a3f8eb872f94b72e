"""Augmentation, folds, calibration, and the ONNX form of each family, on a small table of real FEFF8L spectra."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from build_models import augment, calibrate, dataset, families, simulate, table
from larch_cnpredict import domain, features
from larch_cnpredict.uncertainty import mean_and_std, pool, prediction_set

TINY = replace(families.Recipe(), epochs=4, members=2, copies=4, trees=8, bagged_trees=4, hidden=(32, 16))


@pytest.fixture(scope="module")
def data(tmp_path_factory, structure_table):
    from build_models import config, structures

    out = tmp_path_factory.mktemp("training")
    settings = config.load(
        None,
        {
            "run": {"out": str(out), "workers": 2},
            "source": {"kind": "parquet", "path": str(structure_table)},
        },
    )
    structures.fetch(settings)
    simulate.label(settings)
    simulate.simulate(settings)
    return dataset.load([table.build(settings)])


@pytest.mark.feff
def test_the_table_as_arrays(data):
    assert data.variants.shape == (len(data), 6, len(features.K_GRID))
    np.testing.assert_allclose(data.labels.sum(1), 1, atol=1e-5)
    iron = data.formulas == "Fe3O4"
    assert set(data.cn[iron]) == {4, 6}
    assert set(data.shell[iron]) == {"O4", "O6"}


@pytest.mark.feff
def test_ideal_augmentation_changes_nothing(data):
    chi, kmax, kend = augment.augment(data.variants, data.shell_end, np.random.default_rng(0), augment.IDEAL)
    np.testing.assert_allclose(chi, data.variants[:, 0], atol=2e-5)
    assert set(kmax) == {features.KMAX_DEFAULT}
    assert (kend >= kmax).all()


@pytest.mark.feff
def test_the_first_shell_and_the_rest_are_the_whole(data):
    static = data.variants[:, 0]
    first = augment.first_shell(static, data.shell_end)
    limits = features.windows(np.full(len(data), 12.0), np.full(len(data), 18.0))
    whole, part, rest = (np.abs(features.chir(c, limits, 2)) for c in (static, first, static - first))
    r = features.larch_r()
    for i, end in enumerate(data.shell_end):
        near, far = (r > 1) & (r < end - 0.5), (r > end + 0.8)
        assert part[i, near].max() > 0.9 * whole[i, near].max()
        assert part[i, far].max() < 0.1 * whole[i, far].max()
        assert rest[i, near].max() < 0.35 * whole[i, near].max()


@pytest.mark.feff
def test_an_edge_energy_too_low_moves_chi_as_the_formula_says(data):
    one = replace(augment.IDEAL, e0_shift=1e-9)
    rng = np.random.default_rng(3)
    chi, _, _ = augment.augment(np.repeat(data.variants[:1], 200, 0), np.repeat(data.shell_end[:1], 200), rng, one)
    static = data.variants[0, 0]
    moved = np.abs(chi - static).max(1) > 1e-3
    assert 0.05 < moved.mean() < 0.4  # the share with a pre-edge peak taken for the edge
    k = np.sqrt(np.maximum(features.K_GRID**2 - 10 / augment.HBAR2_OVER_2M, 0))
    expected = np.interp(k, features.K_GRID, static)
    np.testing.assert_allclose(
        augment._shift(static[None], np.array([10.0]), np.array([1.0]))[0], expected, atol=2e-3 * np.abs(static).max()
    )


@pytest.mark.feff
def test_mixed_sites_have_mixed_labels(data):
    rng = np.random.default_rng(0)
    groups = np.zeros(len(data), int)
    chi, labels = augment.mix_sites(data.variants[:, 0], data.labels, groups, rng, 1.0)
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-5)
    assert (np.abs(chi - data.variants[:, 0]).max(1) > 0).sum() >= len(data) - 1


@pytest.mark.feff
@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_onnx_answers_as_the_trained_original(data, family):
    rows = np.tile(np.arange(len(data)), 12)
    model = families.fit(family, data, rows, TINY, seed=1)
    chi, kmax, kend, _ = families.make_spectra(data, rows, np.random.default_rng(2), TINY)
    x = features.from_chi(model.reads, chi, data.elements[rows], kmax, kend)
    trained = model.predict(x)
    (shipped,) = onnxruntime.InferenceSession(model.onnx().SerializeToString()).run(["probabilities"], {"X": x})
    np.testing.assert_allclose(shipped, trained[:, model.classes - 1], atol=1e-5)
    assert (dataset.CLASSES[trained.argmax(1)] == data.cn[rows]).mean() > 0.5 or family in ("network", "phase")
    again = families.fit(family, data, rows, TINY, seed=1).predict(x)
    np.testing.assert_allclose(again, trained, atol=1e-6)


def test_folds_hold_whole_formulas_out():
    keys = np.array(["FeO", "Fe2O3", "FeO", "NiO", "Fe2O3", "CuO", "ZnO"] * 5)
    fold = dataset.folds(keys, 3, seed=0)
    for key in set(keys):
        assert len(set(fold[keys == key])) == 1
    assert set(fold) == {0, 1, 2}


def _sure_and_unsure(n=4000):
    """Two families: one is right as often as it says, the other knows nothing and is sure."""
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.full(16, 0.15), n)
    cn = np.array([rng.choice(dataset.CLASSES, p=p) for p in honest])
    noise = np.eye(16)[rng.integers(0, 16, n)] * 0.9 + 0.1 / 16
    return honest, noise, cn


def test_weights_go_to_the_family_that_knows():
    honest, noise, cn = _sure_and_unsure()
    weights = calibrate.fit_weights({"a": honest, "b": noise}, cn, ("a", "b"))
    assert weights["a"] > 0.8
    assert weights["b"] < 0.05
    p = pool({"a": honest, "b": noise}, weights)
    assert calibrate.calibration_error(p, cn) < 0.03
    assert calibrate.calibration_error(noise, cn) > 0.5


def test_sets_hold_the_truth_nine_times_in_ten():
    honest, _, cn = _sure_and_unsure(8000)
    elements = np.array(["Fe", "Ni"])[np.arange(len(cn)) % 2]
    half = np.arange(len(cn)) < 4000
    thresholds = calibrate.fit_thresholds(honest[half], cn[half], elements[half])
    assert thresholds["Sc"] == thresholds["all"]
    held = [
        c in prediction_set(p, dataset.CLASSES, thresholds[e])
        for p, c, e in zip(honest[~half], cn[~half], elements[~half], strict=True)
    ]
    assert 0.88 < np.mean(held) < 0.93


def test_mean_and_std_are_the_distributions():
    mean, std = mean_and_std(np.array([0.25, 0.75]), np.array([4, 6]))
    assert (mean, std) == (pytest.approx(5.5), pytest.approx(np.sqrt(0.75)))


@pytest.mark.feff
def test_a_sites_nearest_neighbour_is_itself(data):
    from build_models import domain as fitting

    arrays = fitting.fit(data, replace(augment.Augmentation(), mixture=0.0), seed=0)
    for i, element in enumerate(features.ELEMENTS):
        rows = np.flatnonzero(arrays["element"] == i)
        if len(rows):
            found, _ = domain.nearest(arrays["index"][rows].astype(float), arrays, i, 1)
            assert found[:, 0].tolist() == rows.tolist(), element
