"""Work over many structures: restartable, on one machine or on a Dask cluster, and no site lost."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from pymatgen.core import Structure
from tqdm import tqdm

from build_models.config import BuildError, Config, FeffSettings
from build_models.data import feff, paths, structures, table
from build_models.data.feff import FeffError
from build_models.data.labels import label_structure

Task = tuple  # what the work is called with: a row of the table of structures, and where FEFF works, sites of it


def label(config: Config) -> None:
    """Coordination numbers of every distinct 3d site, for the structures that have none yet."""
    done = {material_id for material_id, _ in table.done(config, "label")}
    path = config.out / "structures.parquet"
    rows = structures.iterate(path, config.limit)
    tasks = ((structures.named(row), config.source.elements) for row in rows if row["material_id"] not in done)
    total = max(0, min(config.limit or 10**9, pq.ParquetFile(path).metadata.num_rows) - len(done))
    in_shards(config, "label", _label_task, tasks, table.LABEL_SCHEMA, total)


def simulate(config: Config) -> None:
    """chi(k) of every labelled site that has none yet."""
    feff.sweep_scratch()
    labels, _ = table.parted(table.finished(config, "label"))
    known = table.keys(config.order.skip)
    rare = config.run.rare_first
    if config.run.each:
        labels = structures.few_of_each(labels, config.run.each, config.seed)
    order = structures.rarest_first(labels, known, config.seed)[:rare] if rare else table.key_list(labels)
    done = known | table.done(config, "simulate")
    todo = table.by_material(key for key in order if key not in done)
    rows = structures.rows_of([config.out / "structures.parquet"], todo, config.limit)
    ids = (material_id for material_id in (todo if rare else rows) if material_id in rows)
    sites = ((structures.named(rows[material_id]), todo[material_id]) for material_id in ids)
    spectra(config, "simulate", sites, sum(map(len, todo.values())))


def spectra(
    config: Config,
    stage: str,
    sites: Iterable[tuple[dict, list[int]]],
    total: int,
    scatter: Callable = feff.run_paths,
    pairs: str = "",
) -> None:
    """chi(k) of these sites of the rows of a table of structures, from the paths that `scatter` gives.

    `pairs` says from which pairs, where it takes some.
    """
    keep = config.run.keep_paths and scatter is feff.run_paths
    tasks = ((row, todo, config.feff, keep, scatter) for row, todo in sites)
    in_shards(config, stage, _feff_task, tasks, table.PATHS_SCHEMA if keep else table.CHI_SCHEMA, total, pairs)


def planned(
    config: Config, stage: str, sites: Iterable[tuple[str, Structure, list[int]]], seconds: float
) -> tuple[pa.Table, dict[tuple[str, int], str]]:
    """chi(k) of sites of structures with names: that of all of them, and their names by the keys in the shards.

    A site is done where its name and its atoms are those of a row: what another seed, --limit or table has left behind
    stays there and is not read. It says how many sites there are, and how long they take where one takes so many
    seconds of processor time.
    """
    feff.sweep_scratch()
    done, tasks = table.keys((config.out / stage).glob("*.parquet")), []
    names: dict[tuple[str, int], str] = {}
    for name, structure, indices in sites:
        row = structures.named(structures.to_row(name, structure))
        names |= {(row["material_id"], i): name for i in indices}
        if todo := [i for i in indices if (row["material_id"], i) not in done]:
            tasks.append((row, todo))
    total = sum(len(todo) for _, todo in tasks)
    print(f"{len(names)} sites, {total} of them to be done:")
    print(f"about {total * seconds / 60:.0f} minutes of processor time", flush=True)
    spectra(config, stage, tasks, total)
    chi = table.read_shards(config.out / stage, table.CHI_SCHEMA.names)
    return table.renamed(chi, names), names


def _label_task(row: dict, absorbers: tuple[str, ...]) -> list[dict]:
    try:
        sites = label_structure(row["material_id"], structures.to_structure(row))
        return [site for site in sites if site["absorber"] in absorbers]
    except (OSError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 -- a structure that cannot be read is a row
        return [table.failure(row["material_id"], f"{type(error).__name__}: {error}")]


def _feff_task(
    row: dict, sites: list[int], settings: FeffSettings, keep_paths: bool = False, scatter: Callable = feff.run_paths
) -> list[dict]:
    structure = structures.to_structure(row)
    rows = []
    for site_index in sites:
        start, done = time.perf_counter(), table.failure(row["material_id"], "", site_index)
        try:
            scattering = scatter(structure, site_index, settings)
            done |= table.chi_columns(feff.variants(scattering, settings))
            if keep_paths:
                done["paths"] = paths.dump(scattering)
        except (OSError, ImportError):  # no FEFF8L, a full disk: the machine's fault and not the site's
            raise
        except Exception as error:  # noqa: BLE001 -- whatever else goes wrong, the site is recorded
            reason = str(error) if isinstance(error, FeffError) else f"{type(error).__name__}: {error}"
            done |= table.failure(row["material_id"], reason, site_index)
        rows.append(done | {"seconds": time.perf_counter() - start})
    return rows


def in_shards(
    config: Config, stage: str, work: Callable, tasks: Iterable[Task], schema: Any, total: int, pairs: str = ""
) -> None:
    """Do the tasks and write their rows in shards; what stops it costs nothing that is finished."""
    folder, run = config.out / stage, config.run
    metadata = config.provenance("source" if stage == "label" else "feff") | {"pairs": pairs}
    table.check_settings(folder, metadata)
    rows: list[dict] = []
    written = time.monotonic()
    with tqdm(total=total, desc=stage, unit="", smoothing=0.05, mininterval=2.0) as bar:
        try:
            for result in results(config, work, tasks):
                rows += result
                bar.update(1 if stage == "label" else len(result))
                if len(rows) >= run.shard_rows or (rows and time.monotonic() - written > run.shard_seconds):
                    table.write_shard(folder, rows, schema, metadata)
                    rows, written = [], time.monotonic()
        finally:
            if rows:
                table.write_shard(folder, rows, schema, metadata)


def results(config: Config, work: Callable[..., list[dict]], tasks: Iterable[Task]) -> Iterator[list[dict]]:
    """Results of the tasks as they come, from this machine's processes or those of a Dask cluster.

    When a worker dies, nobody says in whose task: all that were under way are done again, one at a time. A task whose
    worker then dies twice more is a row that says so. Any other error of a worker is raised: it is none of the task's.
    """
    with _workers(config) as workers:
        for ahead in (2 * workers.number, 1, 1):
            suspects: list[Task] = []
            yield from _stream(workers, work, tasks, ahead, suspects)
            tasks = suspects
    for row, sites, *_ in tasks:
        sites = sites if isinstance(sites, list) else [-1]
        yield [table.failure(row["material_id"], "worker died", site) for site in sites]


def make_missing(files: Mapping[Path, tuple], workers: int, what: str) -> None:
    """Files that are not there yet, by so many processes (0: one for each core): path -> function, other arguments."""
    jobs = [delayed(do)(path, *arguments) for path, (do, *arguments) in files.items() if not path.exists()]
    done = Parallel(workers or -1, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, desc=what, total=len(jobs), disable=not jobs):
        pass


class Workers(NamedTuple):
    """Processes of this machine or of a Dask cluster."""

    executor: Callable[[], Executor]  # gives a new one, where a process has died
    number: int
    died: type[Exception]  # what says that a process has died
    where: str


def _stream(
    workers: Workers, work: Callable, tasks: Iterable[Task], ahead: int, suspects: list[Task]
) -> Iterator[list[dict]]:
    """Results as they come, few tasks under way at a time; those in whose time a worker died go to `suspects`."""
    tasks = iter(tasks)
    under_way: dict[Future, Task] = {}
    while True:
        for task in islice(tasks, ahead - len(under_way)):
            try:
                under_way[workers.executor().submit(work, *task)] = task
            except workers.died:  # since the last look
                suspects.append(task)
        if not under_way:
            return
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            task = under_way.pop(future)
            try:
                result = future.result()
            except workers.died:
                suspects.append(task)
            except CancelledError:
                raise BuildError(f"{workers.where} went away; start the stage again, it goes on where it was") from None
            except Exception as error:
                raise BuildError(
                    f"{workers.where} cannot do the work, which needs this checkout and what is installed here: "
                    f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                ) from error
            else:
                yield result


@contextlib.contextmanager
def _workers(config: Config) -> Iterator[Workers]:
    if not config.run.scheduler:
        number = config.run.workers or os.cpu_count() or 1
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        executor = partial(get_reusable_executor, number, timeout=600, env=threads)
        try:
            yield Workers(executor, number, BrokenProcessPool, "this machine")
        finally:  # joblib, in a later stage, would take these processes up for its own
            executor().shutdown(kill_workers=True)
        return
    from distributed import Client, KilledWorker

    try:
        client = Client(config.run.scheduler)
    except (OSError, ValueError) as error:
        raise BuildError(f"no Dask scheduler answers at {config.run.scheduler}: {error}") from None
    with client:
        cluster, number = client.get_executor(pure=False), max(1, sum(client.nthreads().values()))
        yield Workers(lambda: cluster, number, KilledWorker, f"the Dask cluster at {config.run.scheduler}")
