"""The order of work of the CN tab, without wx and without Larix."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from larch_cnpredict.errors import CNPredictError
from larch_cnpredict.larix.batch import LARGEST, Batch, command
from larch_cnpredict.request import Request


class Host:
    """What Larix does for a batch: here it keeps a list of what it was asked."""

    def __init__(self, absorbers=(), raw=(), bad=(), removed=()):
        self.absorbers, self.raw, self.bad, self.removed = dict(absorbers), set(raw), dict(bad), set(removed)
        self.log = []

    def batch(self, names):
        groups = [SimpleNamespace(groupname=name) for name in names]
        return Batch(groups, self.request, lambda g: g.groupname not in self.removed, self.process, self.evaluate)

    def request(self, group):
        return Request(element=self.absorbers.get(group.groupname))

    def process(self, group):
        name = group.groupname
        if name not in self.raw:
            return False, ""
        self.log.append(f"process {name}")
        return True, self.bad.get(name, "")

    def evaluate(self, text):
        self.log.append(text)
        names = text[len("predict_cn(") :].split("]")[0].strip("[)").split(", ")
        answers = [CNPredictError(self.bad[name]) if name in self.bad else name for name in names]
        return answers if "errors='collect'" in text else answers[0]


def run(batch):
    steps = 0
    while batch.running:
        batch.step()
        steps += 1
    return steps


def names(count):
    return [f"g{i}" for i in range(count)]


def test_one_group_is_asked_about_by_its_name():
    host = Host()
    batch = host.batch(["cuo"])
    assert run(batch) == 1
    assert host.log == ["predict_cn(cuo)"]
    assert batch.summary == "Predicted the coordination number of 1 of 1 group"


@pytest.mark.parametrize(
    ("request_", "args"),
    [
        (Request(), ""),
        (Request(element="Cu"), ", element='Cu'"),
        (Request(one_site=True), ", one_site=True"),
        (Request(model="forest", transform="own"), ", model='forest', transform='own'"),
    ],
)
def test_command(request_, args):
    assert command(["a"], request_, collect=False) == f"predict_cn(a{args})"
    assert command(["a", "b"], request_, collect=True) == f"predict_cn([a, b]{args}, errors='collect')"


def test_commands_grow_so_that_progress_is_seen_at_once():
    host = Host()
    batch = host.batch(names(300))
    seen = []
    while batch.running:
        batch.step()
        seen.append(batch.done)
    sizes = [text.count("g") for text in host.log]
    assert sizes[:5] == [2, 4, 8, 16, 32]
    assert max(sizes) == LARGEST
    assert sum(sizes) == 300
    assert seen == sorted(seen)
    assert next(done for done in seen if done) == 2


def test_processing_of_a_group_is_a_step_of_its_own():
    host = Host(raw=names(4))
    batch = host.batch(names(4))
    for _ in range(2):
        batch.step()
        assert len(host.log) <= 2
    assert host.log == ["process g0", "process g1"]
    run(batch)
    assert host.log[2] == "predict_cn([g0, g1], errors='collect')"


def test_groups_of_another_absorber_are_asked_about_apart():
    host = Host(absorbers={"g1": "Fe"})
    batch = host.batch(names(2))
    run(batch)
    assert host.log == ["predict_cn([g0], errors='collect')", "predict_cn([g1], element='Fe', errors='collect')"]
    assert [group.groupname for group in batch.answered] == names(2)


def test_one_that_fails_leaves_the_others():
    host = Host(bad={"g1": "no chi"}, raw=["g1"])
    batch = host.batch(names(3))
    run(batch)
    assert [(group.groupname, words) for group, words in batch.failed] == [("g1", "no chi")]
    assert batch.summary == "Predicted the coordination number of 2 of 3 groups, 1 failed: see the table"


def test_a_command_that_fails_fails_for_each_of_its_groups():
    host = Host()
    host.evaluate = lambda text: CNPredictError("no models")
    batch = host.batch(names(2))
    run(batch)
    assert [words for _, words in batch.failed] == ["no models"] * 2


def test_removed_groups_are_not_asked_about_and_not_counted():
    host = Host(removed=["g0"], raw=["g1"])
    batch = host.batch(names(3))
    batch.step()  # g1 is ready
    host.removed.add("g1")
    run(batch)
    assert host.log == ["process g1", "predict_cn([g2], errors='collect')"]
    assert batch.summary == "Predicted the coordination number of 1 of 1 group, 2 removed meanwhile"


def test_cancelled():
    host = Host()
    batch = host.batch(names(300))
    for _ in range(4):
        batch.step()
    batch.cancel()
    assert not batch.running
    assert batch.summary == "Cancelled: 6 of 300 groups done"
    batch.step()
    assert len(host.log) == 2


def test_without_wx():
    code = (
        "import sys; sys.modules['wx'] = None;"
        "from larch_cnpredict.larix import batch, table; print(batch.LARGEST, len(table.COLUMNS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == str(LARGEST)
