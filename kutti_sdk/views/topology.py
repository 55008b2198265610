"""A cluster's network as a picture: this machine, gateway, network, hosts, ports."""

from __future__ import annotations

from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.facts import ClusterFacts, HostFacts
from kutti_sdk.views.picture import ACCENT, LINE, clipped, label, picture
from kutti_sdk.views.words import forward_words, status_words

_WIDTH = 860
_ROW = 46
_TOP = 40
_MACHINE = 8, 132  # from, to
_GATEWAY = 180, 290
_BUS = 330  # where the network's line is
_HOST = 370  # where hosts begin
_PORTS = 590  # where forwarded ports begin
_BOX = 34  # height
_PORTS_SHOWN = 2  # for each host; more are counted


def topology_picture(facts: ClusterFacts) -> Element:
    """Draw a cluster's network.

    Args:
        facts: How the cluster is.

    Returns:
        An SVG.
    """
    rows = max(1, len(facts.hosts))
    height = _TOP + rows * _ROW + 8
    middle = _TOP + (rows * _ROW - (_ROW - _BOX)) / 2
    return picture(
        _WIDTH,
        height,
        _description(facts),
        label(8, 20, f"Network {facts.name}, {facts.cidr}", font_weight="600"),
        _line(_BUS, _TOP, _BUS, _TOP + rows * _ROW - (_ROW - _BOX)),
        _line(_MACHINE[1], middle, _GATEWAY[0], middle),
        _line(_GATEWAY[1], middle, _BUS, middle),
        _box(_MACHINE[0], middle - _BOX / 2, _MACHINE[1] - _MACHINE[0], "this machine"),
        _box(_GATEWAY[0], middle - _BOX / 2, _GATEWAY[1] - _GATEWAY[0], "gateway (NAT)"),
        *(_host(host, _TOP + number * _ROW) for number, host in enumerate(facts.hosts)),
    )


def _description(facts: ClusterFacts) -> str:
    hosts = "; ".join(
        " ".join(
            filter(
                None,
                (
                    host.name,
                    host.ip_address,
                    status_words(host.status)[2],
                    "with ports " + ", ".join(map(forward_words, host.forwards))
                    if host.forwards
                    else "",
                ),
            )
        )
        for host in facts.hosts
    )
    return f"Network {facts.name} with addresses {facts.cidr}: {hosts}"


def _host(host: HostFacts, top: float) -> Element:
    icon, tone, word = status_words(host.status)
    middle = top + _BOX / 2
    ports = [
        label(_PORTS + 20, top + 14 + 14 * number, clipped(f"← {forward_words(it)}", 38))
        for number, it in enumerate(host.forwards[:_PORTS_SHOWN])
    ]
    more = len(host.forwards) - _PORTS_SHOWN
    return element(
        "g",
        _line(_BUS, middle, _HOST, middle),
        _box(_HOST, top, _PORTS - _HOST, ""),
        label(_HOST + 8, top + 14, clipped(host.name, 18), font_weight="600"),
        label(_HOST + 8, top + 28, host.ip_address),
        label(_PORTS - 90, top + 20, f"{icon} {word}", style=f"fill:var(--kutti-{tone},#1f1f1f)"),
        *ports,
        label(_PORTS + 230, top + 28, f"+{more}") if more > 0 else None,
    )


def _box(x: float, y: float, width: float, text: str) -> Element:
    return element(
        "g",
        element(
            "rect",
            x=x,
            y=y,
            width=width,
            height=_BOX,
            rx=4,
            style=f"fill:none;stroke:{LINE}",
        ),
        label(x + 10, y + 21, text) if text else None,
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, style=f"stroke:{ACCENT};stroke-width:2")
