"""Static faces: everything has one, it tells the truth, and it never hangs."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from markup import Found, parse, rows
from test_elements import HOSTILE

import kutti_sdk as kutti
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.image import ImageDetails
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.sizes import MiB
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.views import questions, reading
from kutti_sdk.views.facts import ClusterFacts, HostFacts, ImageFacts
from kutti_sdk.views.host_tables import cluster_table
from kutti_sdk.views.image_table import images_table
from kutti_sdk.views.topology import topology_picture

pytestmark = pytest.mark.anyio


def shown(thing: Any) -> Found:
    """What a notebook shows of a thing, as HTML."""
    return parse(thing._repr_mimebundle_(include=None, exclude=None)["text/html"])


async def test_everything_has_a_face_of_html_beside_its_text(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    plan = await lab.plan()
    cluster = await lab.ensure()
    node = cluster["node1"]
    things: list[Any] = [
        *(driver, await driver.list_images(), await driver.get_image("none")),
        *(await driver.list_networks(), await driver.get_network("lab")),
        *(await driver.list_hosts(), await node.host(), node),
        *(lab, plan, cluster, await cluster.status(), await kutti.list_clusters()),
        *(await node.run("hostname"), await cluster.run_all("hostname")),
        kutti.KuttiError("something went wrong"),
    ]
    for thing in things:
        bundle = thing._repr_mimebundle_(include=None, exclude=None)
        assert bundle["text/plain"], thing
        assert parse(bundle["text/html"]).text, thing


async def test_tables_tell_what_their_headers_head(lab: ClusterSpec) -> None:
    page = shown(await lab.ensure())

    (table,) = page.all("table")
    assert table.all("caption")[0].text == (
        "Cluster lab on simulated, no Kubernetes: 2 of 2 running"
    )
    scopes = [heading.attributes["scope"] for heading in table.all("th")]
    assert set(scopes) == {"col", "row"}
    assert scopes.count("row") == 2


async def test_a_cluster_shows_how_it_is_now_and_not_how_it_was(lab: ClusterSpec) -> None:
    cluster = await lab.ensure()
    await cluster["node2"].force_stop()

    first, second = rows(shown(cluster))
    assert first["status"] == "● Running"
    assert first["address"] == "192.168.125.11"
    assert "127.0.0.1:8080 to 80" in first["forwarded ports"]
    assert first["memory"] == "409.6 MiB"
    assert second["status"] == "■ Stopped"
    assert second["up for"] == ""


async def test_a_suspended_cluster_and_its_checkpoints_are_shown(lab: ClusterSpec) -> None:
    cluster = await lab.ensure()
    note = "before <b>exercise 3</b>"
    saved = await cluster.checkpoint("start", note=note)
    await cluster.suspend()

    page = shown(cluster)
    hosts, checkpoints = page.all("table")
    assert "0 of 2 running, 2 suspended" in hosts.all("caption")[0].text
    assert "⏸ Suspended" in hosts.text
    assert "start" in checkpoints.text
    assert note in checkpoints.text
    assert page.all("b") == []
    for thing in (saved, await cluster.checkpoints()):
        (table,) = shown(thing).all("table")
        assert note in table.text


async def test_checkpoints_that_cannot_be_had_hide_no_host(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    cluster = await lab.ensure()
    driver.faults.fail("list_checkpoints")
    page = shown(cluster)
    assert [row["status"] for row in rows(page)] == ["● Running"] * 2
    assert "Problem" in page.text


async def test_a_status_is_told_by_icon_word_and_colour(lab: ClusterSpec) -> None:
    cluster = await lab.ensure()
    (mark, _) = (span for span in shown(cluster).all("span") if "status" in str(span.attributes))
    assert mark.attributes["class"] == "status good"
    assert mark.children[0].attributes == {"aria-hidden": "true"}
    assert mark.text == "● Running"


async def test_a_node_that_was_never_made_is_missing(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    cluster = await lab.ensure()
    await cluster["node2"].force_stop()
    await driver.delete_host("node2", "lab", "lab")

    assert rows(shown(cluster))[1]["status"] == "○ missing"
    assert "missing" in shown(cluster["node2"]).text


async def test_a_host_that_hangs_is_unknown_and_hides_no_other(
    driver: SimulatedDriver, lab: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PATIENCE", 0.05)
    cluster = await lab.ensure()
    driver.faults.hang("status", host="node1")

    page = shown(cluster)
    first, second = rows(page)
    assert first["status"] == "? Unknown"
    assert "no answer in time" in page.text
    assert second["status"] == "● Running"


async def test_a_driver_that_hangs_in_a_way_that_nobody_can_cancel_does_not_hang_the_kernel(
    driver: SimulatedDriver, lab: ClusterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST_WAIT", 0.05)
    cluster = await lab.ensure()
    driver.faults.hang("list_hosts")

    assert [row["status"] for row in rows(shown(cluster))] == ["? Unknown", "? Unknown"]


async def test_what_went_wrong_with_asking_is_shown(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    cluster = await lab.ensure()
    driver.faults.fail("list_hosts", error=RuntimeError("the driver has a bug"), times=1)
    assert "the driver has a bug" in shown(cluster).text
    driver.faults.fail("forwards", host="node2", times=1)
    page = shown(cluster)
    assert "node2: simulated fault in forwards" in page.text
    assert rows(page)[1]["status"] == "● Running"


async def test_a_driver_tells_whether_it_can_work_here(driver: SimulatedDriver) -> None:
    assert rows(shown(driver))[0]["status"] == "● Ready"
    missing = kutti.DriverUnavailableError("QEMU is not installed", hint="Install it.")
    driver.faults.fail("check", error=missing)
    page = shown(driver)
    assert rows(page)[0]["status"] == "✖ Unavailable"
    assert "Install it." in page.text


async def test_images_tell_which_are_deprecated(driver: SimulatedDriver) -> None:
    found = rows(shown(await driver.list_images()))
    deprecated = {row["version"]: row["deprecated"] for row in found}
    assert deprecated == {
        "1.35.0": "",
        "1.34.2": "",
        "1.33.1": "",
        "1.30.0": "▲ deprecated",
        "none": "",
    }


async def test_images_tell_their_size_and_who_uses_them(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    await lab.ensure()
    found = {row["version"]: row for row in rows(shown(await driver.list_images()))}
    assert found["none"]["size"] == "300 MiB"
    assert found["none"]["used by"] == "node1, node2"
    assert found["1.35.0"]["size"] == found["1.35.0"]["used by"] == ""


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ""),
        (1, "node1"),
        (4, "node1, node2, node3, node4"),
        (5, "node1, node2, node3 and 2 more"),
    ],
)
def test_of_many_users_of_an_image_the_first_are_named(number: int, words: str) -> None:
    users = tuple(f"node{each}" for each in range(1, number + 1))
    details = ImageDetails(size=1, used_by=users)
    image = ImageFacts(k8s_version="none", checksum="", deprecated=False, details=details)
    (row,) = rows(parse(str(images_table([image], ""))))
    assert row.get("used by", "") == words


def test_an_image_tells_since_when_it_is_kept_and_how_far_it_came() -> None:
    kept = datetime(2026, 3, 1, 12, 30).astimezone()
    images = [
        ImageFacts(k8s_version=version, checksum="", deprecated=False, details=details)
        for version, details in (
            ("1.34.2", ImageDetails(size=5 * MiB, kept=kept.astimezone(UTC))),
            ("1.35.0", ImageDetails(partial=2 * MiB)),
        )
    ]
    here, half = rows(parse(str(images_table(images, ""))))
    assert (here["size"], here["kept since"]) == ("5 MiB", "2026-03-01 12:30")
    assert (half["size"], half["kept since"]) == ("2 MiB so far", "")


async def test_an_image_whose_details_hang_is_shown_all_the_same(
    driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PATIENCE", 0.05)
    driver.faults.hang("details", image="none")
    page = shown(await driver.list_images())
    assert [row["status"] for row in rows(page) if row["version"] == "none"] == ["● Downloaded"]
    assert "none: no answer in time" in page.text


async def test_whatever_hosts_and_errors_say_is_shown_and_not_obeyed(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    cluster = await lab.ensure()
    driver.commands.answer("*", stdout=HOSTILE, stderr=HOSTILE, exit_status=1)
    result = await cluster["node1"].run(f"echo {HOSTILE!r}")
    error = kutti.ReadyTimeoutError(HOSTILE, phase="boot", console=HOSTILE, hint=HOSTILE)
    error.add_note(HOSTILE)
    driver.faults.fail("list_hosts", error=RuntimeError(HOSTILE), times=1)

    for thing in (result, await cluster.run_all(HOSTILE), error, cluster):
        page = shown(thing)
        assert "<script>alert(1)</script>" in page.text
        assert page.all("script") == page.all("img") == []


def test_names_consoles_and_problems_of_hosts_are_shown_and_not_obeyed() -> None:
    host = HostFacts(
        name=HOSTILE,
        ip_address=HOSTILE,
        ssh_address=HOSTILE,
        forwards=(PortForward(8080, 80, HOSTILE),),
        k8s_version=HOSTILE,
        console=HOSTILE,
        problem=HOSTILE,
    )
    facts = ClusterFacts(
        name=HOSTILE, driver=HOSTILE, kubernetes=HOSTILE, cidr=HOSTILE, hosts=(host,)
    )
    page = parse(f"<div>{cluster_table(facts)}{topology_picture(facts)}</div>")
    assert page.text.count("<script>alert(1)</script>") > 8
    assert page.all("script") == page.all("img") == []


async def test_results_say_how_each_command_ended(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    driver.commands.answer("check", stdout="fine\n")
    driver.commands.answer("check", exit_status=3, stderr="broken\n", host="node2")
    page = shown(await (await lab.ensure()).run_all("check"))

    assert "2 results: ✖ 1 failed" in page.text
    first, second = page.all("section")
    assert "✔ exit status 0" in first.text
    assert first.all("pre")[0].text == "fine\n"
    assert "✖ exit status 3" in second.text
    assert second.all("pre")[0].text == "broken\n"


async def test_only_the_end_of_a_very_long_output_is_shown(
    driver: SimulatedDriver, lab: ClusterSpec
) -> None:
    driver.commands.answer("dmesg", stdout="x" * 1_000_000 + "the end")
    page = shown(await (await lab.ensure())["node1"].run("dmesg"))

    assert page.all("pre")[0].text.endswith("the end")
    assert len(page.text) < 30_000
    assert "without the first 980007 characters" in page.text


def test_an_error_shows_what_it_is_about_and_what_to_do() -> None:
    page = shown(kutti.PortInUseError("port 80 is taken", hint="Choose another.", host="node1"))
    assert "PortInUseError: port 80 is taken" in page.text
    assert "About: host node1" in page.text
    assert "Hint: Choose another." in page.text


def test_an_error_of_a_lab_reads_well_as_text_too() -> None:
    bundle = kutti.PortInUseError("port 80 is taken", hint="Choose another.")._repr_mimebundle_()
    assert bundle["text/plain"] == "PortInUseError: port 80 is taken\nHint: Choose another."


async def test_a_listing_is_a_list_like_any_other(driver: SimulatedDriver) -> None:
    images = await driver.list_images()
    assert isinstance(images, list)
    assert images == list(images)
    assert type(images[:2]) is list
    assert copy.copy(images) == images


def test_a_result_can_be_pickled_although_it_has_a_face() -> None:
    result = kutti.CommandResult("true", "", "", 0, 0.1, "node1")
    assert pickle.loads(pickle.dumps(result)) == result


async def test_an_empty_list_shows_itself_as_text(driver: SimulatedDriver) -> None:
    bundle = (await driver.list_hosts())._repr_mimebundle_()  # type: ignore[attr-defined]
    assert bundle == {"text/plain": "[]"}


def test_faces_are_loaded_by_the_first_display_and_need_no_ipython() -> None:
    program = """
import sys
sys.modules["IPython"] = sys.modules["ipywidgets"] = None
import kutti_sdk
spec = kutti_sdk.cluster("lab")
assert not any(name.startswith("kutti_sdk.views") for name in sys.modules)
print("<table>" in spec._repr_mimebundle_()["text/html"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"True\n"
