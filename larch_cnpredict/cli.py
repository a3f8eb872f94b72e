"""The command line: `larch-cnpredict install | uninstall | info | predict`."""

import argparse
import contextlib
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__, larch_hooks
from .errors import CNPredictError, FileError, SeriesError, reworded

# of the rows, on a terminal, `group` only where it is not the file's name; CSV has all there is in them
SHOWN = ("file", "group", "absorber", "cn", "p", "cn_set", "mean", "kind", "verdict")
# how notes begin that belong to an answer which is ok, too
QUALIFIES = ("the answer depends", "another edge", "another phase", "the header's", "mu(E)", "read as transmission")
# what an error says to a script: what it says here
WORDS = (
    (r"predict_cn\(group, element='Fe'\)", "--element Fe"),
    (r"\b(element|elements|formula|model)='([\w()]+)'", r"--\1 \2"),
    (r"\b(element|elements|formula|model)=(?=['\"])", r"--\1 "),
    (r"reference=(.*) must be a foil's group", r"--reference \1 must be a file of a foil"),
    (r", or pass transform='own' to use chir_mag as it is", ""),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    args = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console may have no Å
    try:
        status = args.run(args)
        sys.stdout.flush()
        return int(status or 0)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; keep Python from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except CNPredictError as error:
        print(f"larch-cnpredict: {reworded(str(error), WORDS)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="larch-cnpredict", description="Coordination numbers from EXAFS spectra.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, what_it_does in (
        (_install, "make Larch and Larix load predict_cn at their start (init.lar)"),
        (_uninstall, "take that out of init.lar again"),
        (_info, "versions, and the card of the shipped models"),
        (_predict, "predict for every spectrum of data files"),
    ):
        command = commands.add_parser(run.__name__.lstrip("_"), help=what_it_does)
        command.set_defaults(run=run)
    command.description = "Each spectrum goes through pre_edge, autobk and xftf as far as that is still to do."
    option = command.add_argument
    columns = "columns labelled energy and mu (or i0 and i1, it or ifluor, or k and chi)"
    option("files", nargs="+", metavar="FILE", help=f"Athena project, .larix, XDI or {columns}")
    option("--csv", metavar="FILE", type=Path, help="write all of the table to a new CSV file, or print it as CSV: -")
    picture = "draw the mean coordination number along the spectra (.png, .pdf, ...)"
    option("--series", metavar="FILE", type=Path, help=picture)
    option("--x", help="what --series is drawn against, such as temperature or time, as the files name it")
    option("--overwrite", action="store_true", help="replace these files where they exist")
    option("--element", help="the absorber of all the spectra, where the files do not say")
    option("--formula", help="what all the samples are made of, such as Na2CrO4")
    option("--elements", help="the same where amounts are not known, such as 'Na Cr O'")
    option("--reference", metavar="FILE", help="a foil measured like the samples, which gives s02; or s02 itself")
    option("--one-site", action="store_true", help="all the samples are known to be one site: foils, pure compounds")
    option("--model", default="default", help="default, phase, shells, network, bagging or forest")
    return parser


def _install(args: argparse.Namespace) -> None:
    print(f"predict_cn is loaded at the start of Larch and Larix, by {larch_hooks.install()}")


def _uninstall(args: argparse.Namespace) -> None:
    path = larch_hooks.uninstall()
    print(f"taken out of {path}" if path else f"nothing to take out of {larch_hooks.init_file()}")


def _info(args: argparse.Namespace) -> None:
    import larch

    from . import models

    state = "loads it" if larch_hooks.is_installed() else "does not load it (larch-cnpredict install)"
    print(f"larch-cnpredict {__version__}, Larch {larch.__version__}; {larch_hooks.init_file()} {state}")
    print(f"models: {models.default_folder()}\n\n{models.card_text()}")


def _predict(args: argparse.Namespace) -> int:
    print_csv = args.csv == Path("-")
    outputs = [path for path in (None if print_csv else args.csv, args.series) if path]
    for path in outputs:
        others = {Path(other).resolve() for other in (*args.files, args.reference or "", *outputs) if other is not path}
        _check_new_file(path, others, args.overwrite, picture=path is args.series)
    if args.x is not None and not args.series:
        raise SeriesError("is not drawn", "name a file for it with --series FILE.png, or leave out --x")
    with contextlib.redirect_stdout(sys.stderr):  # Larch's own remarks do not belong into the table
        asked = {name: getattr(args, name) for name in ("element", "model", "formula", "elements", "one_site")}
        if args.reference is not None:
            asked["reference"] = _reference(args.reference)
        rows, groups = predict_files(args.files, args.x, **asked)
    for row in rows:
        row["notes"] = reworded(row["notes"], WORDS)
    from .result import write_table

    columns = max((["file", "group", "notes"], *map(list, rows)), key=len)  # those of an answer, where there is one
    if print_csv:
        write_table(sys.stdout, rows, columns)
    else:
        _print_table(rows)
    for path in outputs:
        try:
            if path is args.csv:
                with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
                    write_table(file, rows, columns, line_end="\r\n")
            elif groups:
                from matplotlib.figure import Figure

                from .series import plot_cn_series

                figure = plot_cn_series(groups, x=args.x, figure=Figure((8, 6)))
                figure.savefig(path, dpi=150)
                if remarks := figure.get_supxlabel():
                    print(reworded(f"{path}: {remarks}", WORDS), file=sys.stderr)
            else:
                print(f"larch-cnpredict: {path} is not written: no spectrum worked", file=sys.stderr)
        except OSError as error:
            raise FileError(path, f"it cannot be written ({error.strerror})") from error
    return 0 if groups else 1


def _reference(given: str) -> Any:
    """The number, or the one group of a file, processed."""
    from . import files

    with contextlib.suppress(ValueError):
        return float(given)
    groups = files.read_groups(given)
    if len(groups) != 1:
        raise FileError(given, f"it has {len(groups)} spectra: name a file of the foil alone")
    return files.process(groups[0])


def _check_new_file(path: Path, others: set[Path], overwrite: bool, picture: bool) -> None:
    """Refuse a file that cannot be written, before the work and not after it."""
    if path.is_dir():
        raise FileError(path, "it is a folder: name a file")
    if not path.parent.is_dir():
        raise FileError(path, "its folder is not there: make it first")
    if path.exists() and not overwrite:
        raise FileError(path, "it exists, and is replaced only with --overwrite")
    if path.resolve() in others:
        raise FileError(path, "it is one of the other files")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FileError(path, "it cannot be written: you have no permission there")
    if picture:
        from matplotlib.figure import Figure

        known = Figure().canvas.get_supported_filetypes()
        if path.suffix.lower().lstrip(".") not in known:
            raise FileError(path, f"it is no picture: end its name in one of .{', .'.join(sorted(known))}")


def predict_files(paths: Sequence[str | Path], x: Any = None, **options: Any) -> tuple[list[Any], list[Any]]:
    """Rows with `file`, `group` and those of `Prediction.row` (where it fails `notes` alone), and groups that worked.

    `options` are those of `predict_cn`, which gets all groups at once; an `x` that none of them has is an error before.
    """
    from tqdm import tqdm

    from . import files
    from .models import load_models
    from .predict import predict_cn
    from .scans import positions
    from .spectrum import plain_name

    load_models(model=options.get("model", "default"))
    rows: list[dict[str, Any]] = []
    raw, ready = [], []
    for path in map(str, paths):
        try:
            read = [({"file": path, "group": plain_name(group)}, group) for group in files.read_groups(path)]
        except FileError as error:
            rows.append({"file": path, "notes": str(error)})
        else:
            rows += [row for row, _ in read]
            raw += read
    for row, group in tqdm(raw, unit="spectrum", disable=None):
        try:
            ready.append((row, files.process(group)))
        except FileError as error:
            row["notes"] = str(error)
    groups = [group for _, group in ready]
    if groups:
        positions(groups, x)
    answers = predict_cn(groups, errors="collect", **options) if ready else []
    for (row, group), answer in zip(ready, answers, strict=True):
        row.update({"notes": str(answer)} if isinstance(answer, CNPredictError) else answer.row())
        if remark := getattr(group, "read_as", ""):
            row["notes"] = f"{row['notes']}; {remark}" if row["notes"] else remark
    return rows, [group for row, group in ready if "cn" in row]


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    from .result import mean_text, p_text

    named = any(row.get("group") not in (None, Path(row["file"]).name) for row in rows)
    shown = [name for name in SHOWN if named or name != "group"]
    cells = []
    for row in rows:
        made = dict(row)
        if "cn" in row:
            interval = float(row["cn_mean_low"]), float(row["cn_mean_high"])
            p = p_text(row["p"]).removeprefix("p ").removeprefix("= ")
            made |= {"p": p, "mean": mean_text(row["cn_mean"], interval)}
            made["kind"] = row["kind"].split(" or ")[0]
        cells.append([str(made.get(name, "")) for name in shown])
    widths = [max(map(len, column)) for column in zip(shown, *cells, strict=True)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for line, told in zip([shown, *cells], [{}, *rows], strict=True):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        notes = told.get("notes", "")
        if told.get("verdict") == "ok":
            notes = "; ".join(note for note in notes.split("; ") if note.startswith(QUALIFIES))
        if notes:
            print(textwrap.indent("\n".join(textwrap.wrap(notes, width - 4, break_long_words=False)), "    "))


if __name__ == "__main__":
    sys.exit(main())
