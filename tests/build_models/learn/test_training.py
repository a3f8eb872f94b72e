"""Augmentation, folds, calibration, and the ONNX form of each family, on a small table of real FEFF8L spectra."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from larch import Group
from larch.xafs import autobk

from build_models.data import table, work
from build_models.learn import calibrate, families
from build_models.spectra import augment, background, copies, dataset
from larch_cnpredict import domain, features
from larch_cnpredict.uncertainty import mean_and_std, pool, prediction_set

TINY = families.Recipe(spectra=6, epochs=12, members=2, copies=6, trees=8, bagged_trees=4, hidden=(32, 16))
ONLY_PRE_EDGE = augment.Augmentation(
    thermal=False, broadening=0.0, mu0_power=0.0, s02=(1.0, 0.0), over_absorption=0.0, e0_shift=(0.0, 0.0),
    stretch=(0.0, 0.0), noise=(0.0, 0.0), glitches=0.0, residue=0.0, autobk=False, mixture=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def spectra_table(tmp_path_factory, structure_table):
    from build_models import config
    from build_models.data import sources

    out = tmp_path_factory.mktemp("training")
    settings = config.load(
        None,
        {
            "run": {"out": str(out), "workers": 2},
            "source": {"kind": "parquet", "path": str(structure_table)},
        },
    )
    sources.fetch(settings)
    work.label(settings)
    work.simulate(settings)
    return table.build(settings)


@pytest.fixture(scope="module")
def data(spectra_table):
    return dataset.load([spectra_table])


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    return copies.make(folder, data, TINY.augmentation, TINY.sharpness, TINY.spectra, 1, np.zeros((len(data), 1)))


@pytest.mark.feff
def test_the_table_as_arrays(data):
    assert data.variants.shape == (len(data), 6, len(features.K_GRID))
    np.testing.assert_allclose(data.labels.sum(1), 1, atol=1e-5)
    iron = data.formulas == "Fe3O4"
    assert set(data.cn[iron]) == {4, 6}
    assert set(data.shell[iron]) == {"O4", "O6"}


@pytest.mark.feff
def test_one_formula_does_not_fill_the_table(data, spectra_table, tmp_path):
    rows = pq.read_table(spectra_table)
    more = []
    for i in range(dataset.MOST_ALIKE + 3):
        ids = pa.array([f"{name}-{i}" for name in rows["material_id"].to_pylist()])
        path = tmp_path / f"{i}.parquet"
        pq.write_table(rows.set_column(rows.schema.get_field_index("material_id"), "material_id", ids), path)
        more.append(path)
    many = dataset.load([*more, more[0]])  # a site that two tables hold is there once
    assert len(many) == dataset.MOST_ALIKE * len(data)
    assert sorted(set(zip(many.formulas, many.cn, strict=True))) == sorted(zip(data.formulas, data.cn, strict=True))


@pytest.mark.feff
def test_ideal_augmentation_changes_nothing(data):
    rows = np.arange(len(data))
    chi, kmax, kend = augment.augment(data, rows, np.random.default_rng(0), augment.IDEAL)
    np.testing.assert_allclose(chi, data.variants[:, 0], atol=2e-5)
    assert set(kmax) == {features.KMAX_RANGE[1]}
    assert (kend >= kmax).all()
    changed, _, _ = augment.augment(data, rows, np.random.default_rng(0), augment.Augmentation())
    assert (np.abs(changed - chi).max(1) > 0.01).all()


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
    chi, _, _ = augment.augment(data, np.zeros(200, int), np.random.default_rng(3), ONLY_PRE_EDGE)
    static = data.variants[0, 0]
    moved = np.abs(chi - static).max(1) > 1e-3
    assert 0.03 < moved.mean() < 0.2  # the share with a pre-edge peak taken for the edge
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
def test_sites_that_are_apart_are_never_mixed(data, tmp_path):
    """Zinc's label would give away that a spectrum of copper holds some of it."""
    twice = data.take(np.repeat(np.arange(len(data)), 40))
    apart = np.arange(len(twice))[:, None] % 2
    everything = replace(augment.Augmentation(), mixture=1.0)
    blind = replace(twice, elements=np.full(len(twice), "Cu"), shell=np.full(len(twice), "O1"))
    labels = np.zeros_like(blind.labels)
    labels[np.arange(len(blind)), apart[:, 0]] = 1  # one label for each side
    mixed = copies.make(tmp_path, replace(blind, labels=labels), everything, 1.0, 1, 0, apart)
    np.testing.assert_array_equal(mixed.labels(0, np.arange(len(blind))), labels)
    together = copies.make(tmp_path / "b", replace(blind, labels=labels), everything, 1.0, 1, 0, apart * 0)
    assert (together.labels(0, np.arange(len(blind))) != labels).any(1).mean() > 0.3


@pytest.mark.feff
@pytest.mark.parametrize(("rbkg", "kweight"), [(1.0, 2), (1.4, 1), (0.8, 1)])
def test_the_spline_is_that_of_larchs_autobk(data, rbkg, kweight):
    energy = np.concatenate([np.arange(-150, 0, 1.0), augment.HBAR2_OVER_2M * np.arange(0, 14.001, 0.05) ** 2]) + 7112
    k = np.sqrt(np.maximum(energy - 7112, 0) / augment.HBAR2_OVER_2M)
    for static in data.variants[:, 2]:
        mu = np.where(energy >= 7112, 1 + np.interp(k, features.K_GRID, static), 0)
        group = Group(energy=energy, mu=mu)
        autobk(group, rbkg=rbkg, kweight=kweight, ek0=7112.0, edge_step=1.0)
        basis, values = background.operator(14.0, rbkg, kweight)
        n = min(len(basis), len(group.chi))
        ours = static.copy()
        ours[: len(basis)] -= basis @ (values @ static[: len(basis)])
        spectra = np.zeros((3, len(static)), np.float32)
        spectra[:, :n] = group.chi[:n], ours[:n], static[:n]
        limits = features.windows(np.full(3, 12.0), np.full(3, 14.0))
        larch, mine, before = np.abs(features.chir(spectra, limits, 2))
        assert np.linalg.norm(larch - mine) < 0.02 * np.linalg.norm(larch)
        assert np.linalg.norm(larch - mine) < 0.3 * np.linalg.norm(larch - before)


@pytest.mark.feff
@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_onnx_answers_as_the_trained_original(data, made, family):
    rows = np.tile(np.arange(len(data)), 12)
    model = families.fit(family, made, rows, TINY, seed=1)
    x = made.inputs(model.reads, 1, rows)
    far_too_large = x.copy()
    far_too_large[:, : len(features.R_POOLED)] *= 1e5
    session = onnxruntime.InferenceSession(model.onnx().SerializeToString())
    for inputs in (far_too_large, x):
        trained = model.predict(inputs)
        (shipped,) = session.run(["probabilities"], {"X": inputs})
        np.testing.assert_allclose(shipped, trained[:, model.classes - 1], atol=1e-5)
    assert (dataset.CLASSES[trained.argmax(1)] == data.cn[rows]).mean() > 0.5 or isinstance(model, families.Network)
    again = families.fit(family, made, rows, TINY, seed=1).predict(x)
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
    from build_models.learn import domain as fitting

    arrays = fitting.fit(data, replace(augment.Augmentation(), mixture=0.0), seed=0)
    for i, element in enumerate(features.ELEMENTS):
        rows = np.flatnonzero(arrays["element"] == i)
        if len(rows):
            found, _ = domain.nearest(arrays["index"][rows].astype(float), arrays, i, 1)
            assert found[:, 0].tolist() == rows.tolist(), element
