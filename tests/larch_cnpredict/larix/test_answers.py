"""What the tab shows of a group: its answer as long as that holds, a failure as long as nothing has changed."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
from larch import Group
from larch.xafs import autobk

from larch_cnpredict import predict_cn
from larch_cnpredict.larix import plots
from larch_cnpredict.larix.answers import NOT_YET, Answers, is_of_other_mu
from larch_cnpredict.result import is_stale
from tests.helpers import TRAINING


def test_a_failure_ends_with_the_answer_that_comes_after_it(measured):
    group, answers = measured("Cu_foil"), Answers()
    group.groupname = "foil"
    answers.failed(group, "no")
    assert answers.stored(group) == (None, "no")
    predict_cn(group)  # in the buffer, say
    found, failure = answers.stored(group)
    assert (found.cn, failure) == (12, "")


def test_a_failure_is_of_the_group_as_it_was_and_keeps_no_group(measured):
    group, answers = measured("Cu_foil"), Answers()
    group.groupname = "foil"
    answers.failed(group, "no")
    group.chi = 2 * group.chi
    assert answers.stored(group) == (None, NOT_YET)
    gone = weakref.ref(group)
    del group
    gc.collect()
    assert gone() is None


def test_what_the_header_says_anew_makes_an_answer_stale(measured):
    group, answers = measured("Cu_foil"), Answers()
    group.groupname = "foil"
    predict_cn(group)
    answers.answered(group)
    assert answers.stored(group)[1] == ""
    group.attrs = {"sample": {"stoichiometry": "CuO"}}
    assert is_stale(group)
    assert answers.stored(group)[1].startswith("Stale")


def test_chi_of_another_mu_is_seen(measured):
    group = measured("Cu_foil")
    for step in (None, 1.7):  # of the edge, which the user may have set
        autobk(group, edge_step=step, rbkg=1.1)
        assert not is_of_other_mu(group)
    for changed in (group.mu + 1e-3 * np.sin(group.energy), group.mu[1:], 1.01 * group.mu):
        other = Group(**vars(group) | {"mu": changed})
        assert is_of_other_mu(other)
        other.is_frozen = True
        assert not is_of_other_mu(other)
    for name, value in (("bkg", None), ("chie", "text"), ("mu", np.full(len(group.mu), np.nan))):
        assert not is_of_other_mu(Group(**vars(group) | {name: value}))  # read from a file, or nothing can be said


def test_the_unit_of_chi_of_r_goes_by_either_name_of_kweight():
    for kweight, name in ((3, "kw"), (3, "kweight"), (1, "kw")):
        group = Group(callargs=SimpleNamespace(xftf={**TRAINING, "kweight": None, name: kweight}))
        assert f"{{-{kweight + 1}}}" in plots.label(group)
    assert "{-3}" in plots.label(Group())
