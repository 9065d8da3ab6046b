"""kill -9 of hosts and of workers, at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workbench.runner import execute

from .conftest import Comparison, children_of, kill, wait_until

N_HOST_KILLS = 20
N_WORKER_KILLS = 50


def test_a_host_killed_at_20_random_moments_loses_no_row(
    comparison: Comparison, tmp_path: Path, slowly: Callable[[float], None]
) -> None:
    slowly(0.01)  # the cells take 0.6 s
    random.seed(20)
    start = time.monotonic()
    comparison.plain_host(tmp_path / "timing").communicate()
    whole_s = time.monotonic() - start
    n_killed = n_runs = 0
    while n_killed < N_HOST_KILLS:
        # Every fourth one has the command line and a worker, which take their time to begin.
        whole = n_killed % 4 == 3
        start_host = comparison.host if whole else comparison.plain_host
        host = start_host(tmp_path / str(n_runs))
        try:
            host.communicate(timeout=random.uniform(0, whole_s * (1.5 if whole else 0.9)))
        except subprocess.TimeoutExpired:
            kill(host)
            n_killed += 1
        else:
            assert host.returncode == 0
            comparison.assert_as_undisturbed(tmp_path / str(n_runs))
            n_runs += 1
    execute(comparison.into(tmp_path / str(n_runs)))
    comparison.assert_as_undisturbed(tmp_path / str(n_runs))


def test_workers_killed_at_50_random_moments_lose_no_row(
    comparison: Comparison, tmp_path: Path, slowly: Callable[[float], None]
) -> None:
    slowly(0.05)
    random.seed(50)
    # Other tests of this process may have left programs running, such as a browser's driver.
    others = set(children_of(os.getpid()))
    n_killed = n_runs = 0
    while n_killed < N_WORKER_KILLS:
        out = tmp_path / str(n_runs)
        run = threading.Thread(target=execute, args=[comparison.into(out, workers=2)])
        run.start()
        while run.is_alive() and n_killed < N_WORKER_KILLS:
            time.sleep(random.uniform(0, 0.8))
            workers = sorted(set(children_of(os.getpid())) - others)
            if workers:
                os.kill(random.choice(workers), signal.SIGKILL)
                n_killed += 1
        run.join()
        comparison.assert_as_undisturbed(out)
        n_runs += 1


def test_programs_that_a_killed_worker_started_end_with_it(
    comparison: Comparison, tmp_path: Path
) -> None:
    plugin = tmp_path / "starts.py"
    plugin.write_text(
        Path(comparison.options.plugins[0]).read_text()
        + "\nimport subprocess, sys\n"
        + "def encode(self, image, point):\n"
        + "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        + f"    with open({str(tmp_path / 'pids')!r}, 'a') as file: print(child.pid, file=file)\n"
        + "    time.sleep(300)\n"
        + "Tiny.encode = encode\n"
    )
    options = comparison.into(
        tmp_path / "run", codecs="tiny@step64", plugins=(str(plugin),), workers=1, timeout_s=1,
        limit=1,
    )  # fmt: skip
    assert execute(options).n_failed == 1
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2  # the first try and the second

    def gone(pid: int) -> bool:
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    wait_until(lambda: all(gone(pid) for pid in pids), 10)
