"""Training and predicting must see the same numbers: held equal here on a real spectrum, against Larch itself."""

import numpy as np
import pytest
from larch import Group
from larch.xafs import xftf

from larch_cnpredict import features


@pytest.mark.parametrize(("kmax", "kend"), [(12.0, 12.95), (12.0, 12.0), (9.0, 12.0), (11.35, 11.5)])
def test_many_at_once_is_larchs_xftf(measured, kmax, kend):
    group = measured("Cu_foil")
    here = group.k <= kend + 1e-6
    k, chi = group.k[here], group.chi[here]
    for kweight in features.COMPLEX_KWEIGHTS:
        one = Group()
        xftf(k, chi, group=one, kmax=kmax, **{**features.TRANSFORM, "kweight": kweight})
        grid = features.on_k_grid(k, chi)[None]
        many = features.chir(grid, features.windows([kmax], [k[-1]]), kweight)[0]
        np.testing.assert_allclose(many, one.chir[: len(many)], atol=2e-6 * one.chir_mag.max())


def test_nothing_is_read_where_the_data_have_ended(measured):
    group = measured("Cu_foil")
    chi = features.on_k_grid(group.k, group.chi)[None]
    more = np.where(features.K_GRID > 11.02, 1.0, chi)  # training spectra go on there
    limits = np.array([12.0]), np.array([11.0])
    read, expected = (features.complex_features(x, ["Cu"], *limits) for x in (more, chi))
    np.testing.assert_array_equal(read, expected)
    assert (features.windows(*limits)[0, features.K_GRID > 11.02] == 0).all()
    assert features.windows(*limits)[0, np.isclose(features.K_GRID, 11.0)] > 0.5


def test_predicting_reads_what_training_read(measured):
    group = measured("Ni_foil")
    kmax, kend = np.array([12.0]), np.array([group.k[-1]])
    training = features.from_chi("magnitude", features.on_k_grid(group.k, group.chi)[None], ["Ni"], kmax, kend)[0]
    predicting = features.magnitude_features(group.r, group.chir_mag[None], ["Ni"], kmax)[0]
    assert len(training) == len(features.R_POOLED) + len(features.ELEMENTS) + 1
    np.testing.assert_allclose(predicting, training, rtol=2e-4, atol=1e-5)


def test_the_networks_read_larchs_complex_transform(measured):
    group = measured("Ni_foil")
    kmax, kend = np.array([12.0]), np.array([group.k[-1]])
    read = features.complex_features(features.on_k_grid(group.k, group.chi)[None], ["Ni"], kmax, kend)[0]
    parts = read[: -len(features.ELEMENTS) - 1].reshape(len(features.COMPLEX_KWEIGHTS), 3, len(features.R_POOLED))
    for kweight, (magnitude, real, imaginary) in zip(features.COMPLEX_KWEIGHTS, parts, strict=True):
        xftf(group, kmax=12, **{**features.TRANSFORM, "kweight": kweight})
        scale = 8.0 ** (2 - kweight)  # one scale for all k weights, that of k = 8
        for got, own in ((real, group.chir_re), (imaginary, group.chir_im)):
            fine = np.interp(features.R_GRID, group.r, own)[:-1]
            expected = scale * fine.reshape(-1, 10).mean(1)[33:]  # means of 0.03 Å, from 1 Å on
            np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())
        np.testing.assert_allclose(magnitude, np.hypot(real, imaginary), rtol=1e-5)
    assert read[-1] == 0.0  # kmax is the default one
    assert read[-len(features.ELEMENTS) - 1 : -1].tolist() == [float(e == "Ni") for e in features.ELEMENTS]


def test_the_absorber_can_be_read_back():
    columns = features.absorber_columns(features.ELEMENTS, np.full(len(features.ELEMENTS), 11.0))
    assert features.absorber_of(columns).tolist() == list(range(len(features.ELEMENTS)))


def test_beyond_the_data_chi_is_zero():
    chi = features.on_k_grid(np.array([0.0, 5.0, 10.0]), np.ones(3))
    np.testing.assert_array_equal(chi, features.K_GRID <= 10)
