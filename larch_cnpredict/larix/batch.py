"""The groups of one request, made ready and asked about a few at a time. No wx: the tab says when a step is due."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..request import Request

# Groups in one command. Each command costs Larix a refresh of the tree in its buffer, which grows with the number of
# groups (85 ms for 300, as much as asking about 30 of them): so long requests go in larger and larger commands.
FIRST, LARGEST = 2, 32


def command(names: Sequence[str], request: Request, collect: bool) -> str:
    """The Larch command for groups of these names. `collect`: one that fails leaves the others their answers."""
    given = {name: value for name, value in vars(request).items() if value != getattr(Request, name)}
    given |= {"errors": "collect"} if collect else {}
    args = [f"[{', '.join(names)}]" if collect else names[0], *(f"{name}={value!r}" for name, value in given.items())]
    return f"predict_cn({', '.join(args)})"


def count(groups: int) -> str:
    return "1 group" if groups == 1 else f"{groups} groups"


@dataclass(eq=False)
class Batch:
    """One request for some groups."""

    groups: Sequence[Any]
    request: Callable[[Any], Request]  # how a group is asked about
    exists: Callable[[Any], bool]  # whether it is still there; the user may remove it at any time
    process: Callable[[Any], tuple[bool, str]]  # makes chi(R) where there is none: whether it had to, and what is wrong
    evaluate: Callable[[str], Any]  # runs a Larch command; its value, or the error that ended it

    def __post_init__(self) -> None:
        self.waiting, self.total = list(self.groups), len(self.groups)
        self.ready: list[Any] = []
        self.answered: list[Any] = []
        self.failed: list[tuple[Any, str]] = []
        self.removed = self.cancelled = 0
        self.size = FIRST

    @property
    def running(self) -> bool:
        return bool(self.waiting or self.ready)

    @property
    def done(self) -> int:
        return self.total - self.cancelled - len(self.waiting) - len(self.ready)

    def step(self) -> None:
        """A piece of work so small that Larix stays awake: the processing of one group, or one command."""
        preparing = self.waiting and len(self.ready) < self.size
        if not (preparing and (self._make_ready() or self.total > 1)) and self.ready:
            groups, self.ready = self.ready, []
            self.size = min(2 * self.size, LARGEST)
            for request, alike in groupby(self._there(groups), key=self.request):
                self._ask(request, list(alike))

    def cancel(self) -> None:
        """Ask no more; what has been answered stays."""
        self.cancelled = len(self.waiting) + len(self.ready)
        self.waiting, self.ready = [], []

    @property
    def summary(self) -> str:
        groups = count(self.total - self.removed)
        if self.cancelled:
            return f"Cancelled: {self.done} of {groups} done"
        text = f"Predicted the coordination number of {len(self.answered)} of {groups}"
        text += f", {len(self.failed)} failed" + (": see the table" if self.total > 1 else "") if self.failed else ""
        return text + (f", {self.removed} removed meanwhile" if self.removed else "")

    def _there(self, groups: list[Any]) -> list[Any]:
        there = [group for group in groups if self.exists(group)]
        self.removed += len(groups) - len(there)
        return there

    def _make_ready(self) -> bool:
        worked = False  # a group that has its chi(R) costs nothing; Larix's processing of one is a step of its own
        while self.waiting and len(self.ready) < self.size and not worked:
            for group in self._there([self.waiting.pop(0)]):
                worked, problem = self.process(group)
                if problem:
                    self.failed.append((group, problem))
                else:
                    self.ready.append(group)
        return worked

    def _ask(self, request: Request, groups: list[Any]) -> None:
        answer = self.evaluate(command([group.groupname for group in groups], request, collect=self.total > 1))
        answers = answer if isinstance(answer, list) else [answer] * len(groups)
        for group, one in zip(groups, answers, strict=True):
            if isinstance(one, Exception):
                self.failed.append((group, str(one)))
            else:
                self.answered.append(group)
