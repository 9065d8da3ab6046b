"""The Ray executor: the rows of any other run, on clusters that lose and gain nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workbench import rows
from workbench.errors import PluginError, WorkbenchError
from workbench.runner import execute

from .conftest import Comparison, results, wait_until

ray = pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Ray's own pipes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
NEEDS_GPU = """
Tiny.resources = workbench.Resources(gpus=1)
"""
NEEDS_TWO_CORES = """
class Wide(Tiny):
    name = "wide"
    resources = workbench.Resources(cores=2)

@workbench.hookimpl
def workbench_codecs():
    return [Tiny, Wide]
"""
DIES = """
def die(self, image, point, encode=Tiny.encode):
    if point.step == 8: os.abort()
    return encode(self, image, point)
Tiny.encode = die
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """A head without cores, and a node of one core; the driver is connected."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=head)
    found.add_node(num_cpus=1)
    ray.init(address=found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


def test_an_address_where_nobody_answers_is_refused_at_once(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a cluster of other tests, to which this process is connected, would be used.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    options = comparison.into(tmp_path / "run", executor="ray", workers=1, address="127.0.0.1:1")
    with pytest.raises(WorkbenchError, match="Ray at 127.0.0.1:1: nobody answers .*refused"):
        execute(options)


def test_rows_are_those_of_a_serial_run(
    comparison: Comparison, tmp_path: Path, cluster: object
) -> None:
    summary = execute(comparison.into(tmp_path / "run", executor="ray", workers=1))
    assert (summary.n_measured, summary.n_failed) == (comparison.n_cells, 0)
    comparison.assert_as_undisturbed(tmp_path / "run")
    blobs = [path.relative_to(tmp_path / "run") for path in (tmp_path / "run/blobs").rglob("*")]
    calm = Path(comparison.options.out or "")
    for blob in (blob for blob in blobs if (tmp_path / "run" / blob).is_file()):
        assert (tmp_path / "run" / blob).read_bytes() == (calm / blob).read_bytes()


def test_a_node_may_go_and_another_come_while_it_runs(
    comparison: Comparison, tmp_path: Path, cluster: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "tiny.py"
    source = Path(comparison.options.plugins[0]).read_text()
    # Nodes do not see this test's environment, so the delay is in the plugin.
    plugin.write_text(source.replace('os.environ.get("TINY_S", "0")', '"0.15"'))
    lost = cluster.add_node(num_cpus=1)  # type: ignore[attr-defined]
    wait_until(lambda: ray.cluster_resources().get("CPU") == 2)
    out = tmp_path / "run"
    options = comparison.into(out, executor="ray", workers=3, plugins=(str(plugin),))
    seen: list[int] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            execute(options, lambda done, total, what: seen.append(done))
        except BaseException as error:
            failed.append(error)

    run = threading.Thread(target=work)
    run.start()
    wait_until(lambda: failed or (seen and seen[-1] >= 8))
    cluster.remove_node(lost, allow_graceful=False)  # type: ignore[attr-defined]
    wait_until(lambda: failed or seen[-1] >= 20)
    cluster.add_node(num_cpus=1)  # type: ignore[attr-defined]
    run.join(120)
    assert not failed
    assert not run.is_alive()
    for found, expected in zip(results(out), comparison.expected, strict=True):
        columns = [c for c in expected.columns if c != "key"]
        by = [c for c in ("image", "point", "metric") if c in columns]
        left, right = (t.sort_values(by)[columns].reset_index(drop=True) for t in (found, expected))
        assert left.equals(right)


def test_a_codec_that_dies_fails_its_own_cells_with_its_last_words(
    comparison: Comparison, tmp_path: Path, cluster: object
) -> None:
    plugin = tmp_path / "tiny.py"
    plugin.write_text(Path(comparison.options.plugins[0]).read_text() + DIES)
    options = comparison.into(
        tmp_path / "run", executor="ray", workers=1, plugins=(str(plugin),), limit=2
    )
    assert execute(options).n_failed == 2
    frame = rows.load(tmp_path / "run").images
    failed = frame[frame["error"].notna()]
    assert set(failed["point"]) == {"step8"}
    assert all("signal 6 (Aborted): Fatal Python error" in error for error in failed["error"])


def test_a_need_that_no_node_can_meet_is_refused_by_name(
    comparison: Comparison, tmp_path: Path, cluster: object
) -> None:
    plugin = tmp_path / "tiny.py"
    plugin.write_text(Path(comparison.options.plugins[0]).read_text() + NEEDS_GPU)
    options = comparison.into(
        tmp_path / "run", executor="ray", plugins=(str(plugin),), device="cuda:0"
    )
    with pytest.raises(PluginError, match="tiny, .*: no node of the cluster has 1 cores, 1 GPUs"):
        execute(options)


def test_codecs_of_different_needs_share_a_cluster(
    comparison: Comparison, tmp_path: Path, cluster: object
) -> None:
    plugin = tmp_path / "tiny.py"
    plugin.write_text(Path(comparison.options.plugins[0]).read_text() + NEEDS_TWO_CORES)
    big = cluster.add_node(num_cpus=2)  # type: ignore[attr-defined]
    wait_until(lambda: ray.cluster_resources().get("CPU", 0) >= 4)
    options = comparison.into(
        tmp_path / "run", codecs="tiny,wide", executor="ray", workers=2, plugins=(str(plugin),)
    )
    assert execute(replace(options, limit=4)).n_failed == 0
    assert len(rows.load(tmp_path / "run").images) == 2 * 4 * 5
    cluster.remove_node(big)  # type: ignore[attr-defined]


def test_another_version_of_a_plugin_on_a_node_is_refused(
    comparison: Comparison, tmp_path: Path, cluster: object
) -> None:
    plugin = tmp_path / "tiny.py"
    # A version that differs from process to process stands for another installation.
    plugin.write_text(
        Path(comparison.options.plugins[0]).read_text()
        + "Tiny.versions = classmethod(lambda cls: {'process': str(os.getpid())})\n"
    )
    options = comparison.into(tmp_path / "run", executor="ray", plugins=(str(plugin),))
    with pytest.raises(PluginError, match="tiny: a node of the cluster has another version"):
        execute(options)
