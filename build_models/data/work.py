"""Work over many structures: restartable, on one machine or on a Dask cluster, and no site lost."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from build_models.config import Config, FeffSettings
from build_models.data import feff, table
from build_models.data.feff import FeffError
from build_models.data.labels import label_structure
from build_models.data.structures import iterate, to_structure

ATTEMPTS = 3  # a structure in whose work a worker process died is tried so often


def label(config: Config) -> None:
    """Coordination numbers of every distinct 3d site, for the structures that have none yet."""
    done = {material_id for material_id, _ in table.keys(config.out / "label")}
    path = config.out / "structures.parquet"
    tasks = (
        (row, (row, config.source.elements)) for row in iterate(path, config.limit) if row["material_id"] not in done
    )
    total = min(config.limit or 10**9, pq.ParquetFile(path).metadata.num_rows) - len(done)
    _run(config, "label", _label_task, tasks, table.LABEL_SCHEMA, total)


def simulate(config: Config) -> None:
    """chi(k) of every labelled site that has none yet."""
    feff.sweep_scratch()
    labels = table.read_shards(config.out / "label", [*table.KEY, "reason"])
    done = table.keys(config.out / "simulate") | _skipped(config.order.skip)
    todo: dict[str, list[int]] = {}
    for row in labels.to_pylist():
        if not row["reason"] and (row["material_id"], row["site_index"]) not in done:
            todo.setdefault(row["material_id"], []).append(row["site_index"])
    path = config.out / "structures.parquet"
    tasks = (
        (row, (row, todo[row["material_id"]], config.feff))
        for row in iterate(path, config.limit)
        if row["material_id"] in todo
    )
    _run(config, "simulate", _feff_task, tasks, table.CHI_SCHEMA, sum(map(len, todo.values())))


def _label_task(row: dict, absorbers: tuple[str, ...]) -> list[dict]:
    try:
        return [r for r in label_structure(row["material_id"], to_structure(row)) if r["absorber"] in absorbers]
    except Exception as error:  # noqa: BLE001 -- a structure that cannot be read is a row
        return [table.failure(row["material_id"], f"{type(error).__name__}: {error}")]


def _feff_task(row: dict, sites: list[int], settings: FeffSettings) -> list[dict]:
    structure = to_structure(row)
    rows = []
    for site_index in sites:
        start = time.perf_counter()
        try:
            chis = feff.run_feff(structure, site_index, settings).astype(np.float16)
        except FeffError as error:
            rows.append(table.failure(row["material_id"], str(error), site_index))
        except Exception as error:  # noqa: BLE001 -- whatever goes wrong, the site is recorded
            rows.append(table.failure(row["material_id"], f"{type(error).__name__}: {error}", site_index))
        else:
            done = table.failure(row["material_id"], "", site_index)
            rows.append(done | {"chi_static": chis[0], "chi_debye": chis[1:].ravel()})
        rows[-1]["seconds"] = time.perf_counter() - start
    return rows


def _run(config: Config, stage: str, work: Callable, tasks: Iterable, schema: Any, total: int) -> None:
    """Do the tasks, write their rows in shards; a task whose worker died three times is a row with the reason."""
    folder, run = config.out / stage, config.run
    metadata = config.provenance("feff") if stage == "simulate" else config.provenance("source")
    table.check_settings(folder, metadata)
    rows: list[dict] = []
    written = time.monotonic()
    with tqdm(total=total, desc=stage, unit="", smoothing=0.05, mininterval=2.0) as bar:
        for result in _results(config, work, tasks):
            rows += result
            bar.update(len(result) if stage == "simulate" else 1)
            if len(rows) >= run.shard_rows or (rows and time.monotonic() - written > run.shard_seconds):
                table.write_shard(folder, rows, schema, metadata)
                rows, written = [], time.monotonic()
        if rows:
            table.write_shard(folder, rows, schema, metadata)


def _results(config: Config, work: Callable, tasks: Iterable) -> Iterator[list[dict]]:
    """Results as they come. Few tasks are under way at a time, so that memory does not grow with their number.

    When a worker dies, nobody says in whose task: each task that was under way is tried again, alone.
    """
    tasks = iter(tasks)
    first = next(tasks, None)
    if first is None:
        return
    tasks = chain([first], tasks)
    attempts: Counter = Counter()
    suspects: list[tuple[dict, tuple]] = []
    pool = _Pool(config)
    under_way: dict[Future, tuple[dict, tuple]] = {}
    try:
        while True:
            while len(under_way) < (1 if suspects else 2 * pool.workers):
                task = suspects[-1] if suspects else next(tasks, None)
                if task is None:
                    break
                under_way[pool.submit(work, *task[1])] = task
                if suspects:
                    suspects.pop()
                    break
            if not under_way:
                return
            finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in finished):
                finished, _ = wait(under_way)
                pool.restart()
            for future in finished:
                row, arguments = under_way.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                    continue
                attempts[row["material_id"]] += 1
                if attempts[row["material_id"]] < ATTEMPTS:
                    suspects.append((row, arguments))
                else:
                    sites = arguments[1] if work is _feff_task else [-1]
                    yield [table.failure(row["material_id"], f"worker died: {type(error).__name__}", i) for i in sites]
    finally:
        pool.close()


class _Pool:
    """Worker processes of this machine (joblib's loky) or of a Dask scheduler, as one kind of executor."""

    def __init__(self, config: Config):
        self.workers = config.run.workers or os.cpu_count() or 1
        self._client: Any = None
        if config.run.scheduler:
            from distributed import Client

            self._client = Client(config.run.scheduler)
            self.workers = max(1, sum(self._client.nthreads().values()))
        self.executor: Executor = self._start()

    def _start(self) -> Executor:
        if self._client is not None:
            return self._client.get_executor(pure=False)
        from joblib.externals.loky import ProcessPoolExecutor

        return ProcessPoolExecutor(self.workers, timeout=600, env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

    def submit(self, work: Callable, *arguments: Any) -> Future:
        try:
            return self.executor.submit(work, *arguments)
        except BrokenProcessPool:  # a worker died since the last look
            future: Future = Future()
            future.set_exception(BrokenProcessPool())
            return future

    def restart(self) -> None:
        if self._client is None:
            self.executor.shutdown(wait=False, kill_workers=True)  # type: ignore[call-arg]
            self.executor = self._start()

    def close(self) -> None:
        self.executor.shutdown(wait=True)
        if self._client is not None:
            self._client.close()


def _skipped(paths: Iterable[str]) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for path in paths:
        rows = pq.read_table(path, columns=table.KEY)
        found.update(zip(rows["material_id"].to_pylist(), rows["site_index"].to_pylist(), strict=True))
    return found
