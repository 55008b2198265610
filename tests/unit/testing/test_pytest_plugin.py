"""The pytest plugin, in runs of pytest of its own: with anyio, with asyncio, and with neither."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]

ANYIO = ("-p", "anyio.pytest_plugin")
ASYNCIO = (
    *("-p", "pytest_asyncio.plugin", "--asyncio-mode=strict"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run tests with no other plugins than those that are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("KUTTI_WORKSPACE", raising=False)
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n'
        'addopts = ["--strict-markers", "--strict-config"]\n'
    )

    def run_pytest(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-p", "kutti_sdk.testing.plugin", *options)

    return run_pytest


_STORY = """
import pytest
import kutti_sdk as kutti

pytestmark = pytest.mark.MARK

async def heal(cluster):
    for node in cluster:
        if await node.status() is kutti.HostStatus.STOPPED:
            await node.start()

async def test_a_cluster_is_ready(kutti_cluster, kutti_driver):
    assert (await kutti_cluster.status()).running
    assert [node.name for node in kutti_cluster] == ["node1", "node2"]
    assert isinstance(kutti_driver.name, str)

@pytest.mark.kutti_fault("crash", "node2")
async def test_a_crash_strikes_the_test_and_not_the_fixture(kutti_cluster):
    assert await kutti_cluster["node2"].status() is kutti.HostStatus.STOPPED
    await heal(kutti_cluster)
    assert (await kutti_cluster.status()).running

@pytest.mark.kutti_fault("crash", "node1")
@pytest.mark.kutti_fault("fail", "start", host="node1", times=1)
async def test_faults_can_be_stacked(kutti_cluster):
    with pytest.raises(kutti.HypervisorError):
        await heal(kutti_cluster)
    await heal(kutti_cluster)

@pytest.mark.kutti_fault("fail", "create_host", host="node2")
async def test_faults_strike_what_the_test_makes(kutti_driver):
    with pytest.raises(kutti.HypervisorError):
        await kutti.cluster("lab").nodes(2).ensure()

@pytest.mark.kutti_fault("hang", "delete_host")
async def test_a_cluster_is_deleted_whatever_was_ordered(kutti_cluster):
    pass

async def test_a_cluster_may_be_deleted_by_the_test(kutti_cluster):
    await kutti_cluster.delete()

async def test_nothing_is_left_of_other_tests(kutti_driver):
    assert await kutti_driver.list_hosts() == []
    assert await kutti.list_clusters() == []
"""


@pytest.mark.parametrize(
    ("mark", "options", "passed"),
    [("anyio", ANYIO, 14), ("asyncio", ASYNCIO, 7)],
)
def test_fixtures_work_with_either_plugin_for_async_tests(
    run, mark: str, options: tuple[str, ...], passed: int
) -> None:
    result = run(_STORY.replace("MARK", mark), *options)
    result.assert_outcomes(passed=passed)  # of anyio each twice: asyncio and trio


def test_fixtures_work_without_any_plugin_for_async_tests(run) -> None:
    result = run(
        """
        import anyio
        import kutti_sdk as kutti

        def test_sync(kutti_cluster):
            assert anyio.run(kutti_cluster.status).running

        def test_a_workspace_of_its_own(kutti_driver):
            assert "kutti-test-" in str(kutti.data_dir())

        def test_everything_is_as_before(request):
            assert "kutti-test-" not in str(kutti.data_dir())
            assert kutti.get_driver("simulated") is kutti.get_driver("simulated")
            assert kutti.get_driver("qemu").name == "qemu"
        """
    )
    result.assert_outcomes(passed=3)


def test_the_cluster_is_described_by_a_fixture(run) -> None:
    result = run(
        """
        import pytest
        import kutti_sdk as kutti

        @pytest.fixture
        def kutti_spec(kutti_driver):
            return kutti.cluster("mine").using(kutti_driver).nodes(3)

        def test_it(kutti_cluster):
            assert (kutti_cluster.name, len(list(kutti_cluster))) == ("mine", 3)
        """
    )
    result.assert_outcomes(passed=1)


_REAL = """
    import pytest

    def test_plain(kutti_driver):
        assert kutti_driver.name == "qemu"

    @pytest.mark.kutti_fault("crash", "node1")
    def test_with_faults(kutti_driver):
        raise AssertionError("faults cannot be ordered there")
"""


def test_a_real_driver_is_chosen_by_option_and_faults_are_skipped(run) -> None:
    run(_REAL, "--kutti-driver=qemu").assert_outcomes(passed=1, skipped=1)


def test_a_real_driver_is_chosen_by_setting(run) -> None:
    run(_REAL, "-o", "kutti_driver=qemu").assert_outcomes(passed=1, skipped=1)


@pytest.mark.vm
@pytest.mark.slow
def test_a_real_cluster_is_booted_and_deleted(
    run, vm_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUTTI_WORKSPACE", str(vm_workspace))
    result = run(
        """
        import anyio
        import pytest
        import kutti_sdk as kutti

        @pytest.fixture
        def kutti_spec(kutti_driver):
            return kutti.cluster("plugin").using(kutti_driver).nodes(1, cpus=1, memory="256MiB")

        def test_a_booted_node(kutti_cluster):
            result = anyio.run(kutti_cluster["node1"].run, "hostname")
            assert result.stdout.strip() == "node1"

        def test_nothing_is_left(kutti_driver):
            assert "plugin" not in [it.name for it in anyio.run(kutti.list_clusters)]
            assert "plugin" not in [it.name for it in anyio.run(kutti_driver.list_networks)]
        """,
        "--kutti-driver=qemu",
    )
    result.assert_outcomes(passed=2)


def test_a_fault_that_nobody_knows_is_an_error(run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.kutti_fault("explode", "node1")
        def test_it(kutti_driver):
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*kutti_fault wants one of fail, delay, *not 'explode'*"])


def test_a_fault_that_would_strike_nothing_is_refused(run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.kutti_fault("crash", "node1")
        def test_it():
            pass
        """
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it is marked with kutti_fault, and uses neither*"])


def test_who_does_not_use_it_loads_next_to_nothing(run) -> None:
    result = run(
        """
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.startswith("kutti_sdk")}
            assert ours == {"kutti_sdk", "kutti_sdk.testing", "kutti_sdk.testing.plugin"}
            assert "anyio" not in sys.modules
        """
    )
    result.assert_outcomes(passed=1)


def test_pytest_finds_it_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (point,) = project["entry-points"]["pytest11"].items()
    plugin = EntryPoint(*point, group="pytest11").load()
    assert plugin.kutti_cluster
