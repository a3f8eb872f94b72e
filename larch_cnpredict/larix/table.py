"""What the tab says, as text: the rows of the table, their order, CSV; errors in the words of the tab. No wx."""

import io
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import CNPredictError, reworded
from ..features import ELEMENTS, KMAX_RANGE
from ..models import default_folder
from ..result import MEANING, ONE_SITE, Prediction, p_text, write_table

PANEL = "cnpredict"  # under which Larix keeps what is the tab's
AUTO, ONE, SCAN_NUMBER = "<Auto>", "One", "<Scan number>"
# of what is kept with a group
TITLES = {"absorber": "Absorber", "formula": "Formula", "one_site": "Sites", "s02": "s02"}
TRANSFORMS = {AUTO: "auto", "As for training": "training", "Group's own": "own"}
# heading: width at usual text size
COLUMNS = {"Group": 170, "Absorber": 70, "CN": 40, "90 % set": 105, "Mean": 125, "Kind": 95, "Status": 150}
SITES = {"Nearest known site": 175, "Formula": 160, "CN": 45, "Shell": 160, "Dissimilarity": 110}
# column: what it is sorted by, where that is not its text
KEYS: dict[str, Callable[[dict], Any]] = {
    "CN": lambda row: row["CN"],
    "90 % set": lambda row: row["found"].cn_set,
    "Mean": lambda row: row["found"].cn_mean,
}
HINT = (
    "How many nearest neighbours has the absorbing atom, and how sure is that? From EXAFS of the K edges of\n"
    f"{', '.join(ELEMENTS)}, with chi(k) up to k = {KMAX_RANGE[0]:g} Å⁻¹ or more.\n"
    "Press Predict Current Group, or check groups in the list at the left and press Predict Selected Groups.\n"
    "What is missing of their processing is done first, with the settings of the EXAFS tab."
)

# what an error says to a script: what it says on the tab
_OWN = {value: name for name, value in TRANSFORMS.items()}
WORDS = (
    (r"pass (it|the right element), as in predict_cn\(group, element='Fe'\)", r"choose \1 at Absorber"),
    (r"pass element='(\w+)'", r"choose \1 at Absorber"),
    (r"(?:pass|use) model='(\w+)'", r"choose the model \1"),
    (r"the model '(\w+)'", r"the model \1"),
    (r"pass transform='(\w+)'", lambda match: f"choose {_OWN[match[1]]} at Fourier transform"),
    (r"leave out transform='\w+'|transform='\w+' needs both", "choose another Fourier transform"),
    (r"transform='(\w+)'", lambda match: f"the Fourier transform {_OWN[match[1]]}"),
    (r"write (it|them) as in (formula|elements)='.*'", "write it like Na2CrO4, or only the elements: Na Cr O"),
    (r"(?:formula|elements)=", "Formula "),
    (r"reference=(.*) must be .* an s02 from", r"s02 \1 must be a number from"),
    (r"(has no \w+, the absorber) of .*: correct one of the two", r"\1: correct Formula or Absorber"),
    (r"run autobk and xftf on it first", "process it on the EXAFS tab first"),
    (r"run xftf( on it)?( first| again)?", r"transform it\2 on the EXAFS tab"),
)


def model_choices() -> list[str]:
    """The default and each family by its name; where models are damaged, `predict_cn` says so when it is called."""
    try:
        manifest = (default_folder() / "manifest.json").read_text(encoding="utf-8")
        return ["default", *json.loads(manifest)["families"]]
    except (CNPredictError, OSError, ValueError, KeyError):
        return ["default"]


def in_words_of_the_tab(message: str, name: str) -> str:
    """An error's message without Python, and without the group's name, which stands beside it."""
    return re.sub("^this group", "This group", reworded(message, WORDS).replace(name, "this group"))


def row(name: str, found: Prediction | None, problem: str) -> dict[str, Any]:
    """One line of the table: numbers only where there is no problem, that is, where they are the group's own now."""
    out: dict[str, Any] = dict.fromkeys((*COLUMNS, "verdict"), "") | {"Group": name, "Status": problem}
    if found is None or problem:
        return out | {"csv": {"group": name, "notes": problem}}  # as the command line has it
    out |= {"Absorber": f"{found.element} {found.edge}", "Mean": found.mean_text, "Kind": found.kind.split(" or ")[0]}
    out |= {"CN": found.cn, "90 % set": found.set_text} if found.kind == ONE_SITE else {}
    out["Status"] = f"outside: {found.reason}" if found.reason else found.verdict
    return out | {"verdict": found.verdict, "found": found, "csv": {"group": name, **found.row()}}


def in_order(rows: list[dict], column: str, rising: bool) -> list[dict]:
    """Rows sorted by a column, numbers as numbers; those that have nothing there come last either way."""
    blank = [row for row in rows if row[column] == ""]
    key = KEYS.get(column, lambda row: as_people_count(row[column]))
    return sorted((row for row in rows if row[column] != ""), key=key, reverse=not rising) + blank


def as_people_count(name: str) -> list[tuple[int, int, str]]:
    """A key that puts scan2 before Scan10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def as_text(rows: Iterable[dict], columns: Iterable[str], dialect: str) -> str:
    """The rows as CSV ('excel') or to be pasted into a spreadsheet ('excel-tab')."""
    out = io.StringIO()
    write_table(out, rows, columns, dialect)
    return out.getvalue()


def answer_texts(found: Prediction) -> tuple[str, str, str, str]:
    """What the tab says of an answer: large, beside it, how far to trust it, and all there is to know."""
    absorber, single = f"{found.element} {found.edge}", f"{p_text(found.p)},  90 % set {found.set_text}"
    answer, numbers = found.headline, f"{absorber}:  {single},  {found.mean_said}"
    status, notes = found.advice, found.notes
    if found.kind != ONE_SITE:
        answer, numbers, status = f"mean {found.mean_text}", absorber, f"{found.kind.capitalize()}. {status}"
        meaning = [MEANING.get(found.kind, found.kind), found.as_one_number]
        notes = [*meaning, *notes] if found.in_domain else [*notes, *meaning]  # why it is outside comes first
    shells = [f"shells: {found.shells_text}"] if found.cn_shells else []
    notes = [*notes, *shells, f"model: {found.model}, version {found.model_version}"]
    return answer, numbers, status, "\n".join(f"• {note}" for note in notes)


def site_row(site: dict) -> list[str]:
    return [*(str(site.get(key, "")) for key in ("site", "formula", "cn", "shell")), f"{site['distance']:.1f}"]
