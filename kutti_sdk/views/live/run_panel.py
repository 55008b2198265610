"""A command on chosen nodes, its output side by side as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.node import Node
from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.runtime.tasks import task_group
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.error_face import error_face
from kutti_sdk.views.live.controls import Controls
from kutti_sdk.views.live.painter import Painter
from kutti_sdk.views.live.task_panel import TaskPanel
from kutti_sdk.views.results import exit_mark, output_block
from kutti_sdk.views.tables import face_of, mark

_ROWS = 8  # of the list of nodes; more are scrolled to
_LONGEST = 100_000  # characters that are kept of an output: its end


@dataclass(slots=True)
class _Session:
    """A command on one node, so far."""

    texts: dict[str, str] = field(default_factory=lambda: {"stdout": "", "stderr": ""})
    exit_status: int | None = None
    error: Exception | None = None

    def add(self, stream: str, text: str) -> None:
        self.texts[stream] = (self.texts[stream] + text)[-_LONGEST:]


class RunPanel:
    """Asks for a command, runs it, shows what it writes.

    Args:
        controls: Makes the controls.
        cluster: Gives the cluster.
    """

    def __init__(self, controls: Controls, cluster: Callable[[], Cluster]) -> None:
        self._cluster = cluster
        self._closed = False
        self._sessions: dict[str, _Session] = {}
        self._painter = Painter(self._draw)
        self._tasks = TaskPanel(controls, self._painter.request)
        self._command = controls.text("Command", "uptime")
        self._nodes = controls.choices("Nodes", [])
        self._output = controls.html()
        run = controls.button("Run", "Run the command on the chosen nodes")
        self._tasks.bind(run, lambda: f"running {self._command.value}", self._run)
        self.widget = controls.column(
            controls.row(self._command, run), self._nodes, self._tasks.widget, self._output
        )

    def set_names(self, names: Sequence[str]) -> None:
        """Offer other nodes; new ones are chosen.

        Args:
            names: Their names.
        """
        before = self._nodes.options
        if tuple(names) != tuple(before):
            left_out = set(before) - set(self._nodes.value)
            self._nodes.options = list(names)
            self._nodes.rows = min(len(names), _ROWS)
            self._nodes.value = [name for name in names if name not in left_out]

    def close(self) -> None:
        """End what runs."""
        self._closed = True
        self._tasks.close()

    async def _run(self) -> None:
        command, names = self._command.value.strip(), self._nodes.value
        if not command or not names:
            raise InvalidInputError(
                "there is no command" if not command else "no node is chosen",
                hint="Type a command, and choose one node or more.",
            )
        self._sessions = {name: _Session() for name in names}
        async with task_group() as group:
            for name, session in self._sessions.items():
                group.start_soon(self._run_one, name, command, session)

    async def _run_one(self, name: str, command: str, session: _Session) -> None:
        try:
            async with Node(self._cluster(), name).stream(command) as running:
                async for output in running:
                    session.add(output.stream, output.text)
                    self._painter.request()
                session.exit_status = await running.wait()
        except Exception as error:  # noqa: BLE001 - shown in its column; the others go on
            session.error = error
        self._painter.request()

    def _draw(self) -> None:
        if not self._closed:
            columns = (_column(name, it) for name, it in self._sessions.items())
            self._output.value = str(face_of(element("div", *columns, class_="columns")))


def _column(name: str, session: _Session) -> Element:
    if session.error is not None:
        end = error_face(session.error)
    elif session.exit_status is not None:
        end = exit_mark(session.exit_status)
    else:
        end = mark("◐", "quiet", "not ended")
    return element(
        "section",
        element("p", element("strong", name), " ", end),
        output_block("standard output", session.texts["stdout"]),
        output_block("standard error", session.texts["stderr"]),
        aria_label=name,
    )
