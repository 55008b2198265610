"""A process that passes for a running host's QEMU: ``pretended_qemu.py UUID SOCKET``.

It says ``ready`` and answers what QMP asks for its state.
"""

from __future__ import annotations

import json
import socketserver
import sys


class _Client(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say({"QMP": {"version": {}, "capabilities": []}})
        for line in self.rfile:
            request = json.loads(line)
            asked = request["execute"] == "query-status"
            self._say({"return": {"status": "running"} if asked else {}, "id": request["id"]})

    def _say(self, message: dict[str, object]) -> None:
        self.wfile.write(json.dumps(message).encode() + b"\r\n")


if __name__ == "__main__":
    with socketserver.ThreadingUnixStreamServer(sys.argv[2], _Client) as server:
        print("ready", flush=True)  # noqa: T201
        server.serve_forever()
