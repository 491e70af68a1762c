"""Podman's API service, for where there is only its program: Podman needs no daemon, we need something to talk to."""

from __future__ import annotations

import platform
import socket
import subprocess
import tempfile
from pathlib import Path

from ..errors import EngineFailed

# Seconds that it may take to end.
STOP_SECONDS = 30
# It is handed the socket as systemd hands one over (sd_listen_fds(3)): what is asked before it is ready waits there.
# It ends with us, however we end: our end of the pipe is then closed.
WRAPPER = """
exec 4<&0 3<&1 1>&2
folder=$1; shift
LISTEN_FDS=1 sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$@" 4<&- </dev/null & service=$!
exec 3<&-
{ read -r _; kill "$service"; } <&4 4<&- & reader=$!
wait "$service"; status=$?
kill "$reader"
rm -rf "$folder"
exit "$status"
"""


class PodmanService:
    """``podman system service`` on a socket of ours, for as long as this process lives."""

    def __init__(self) -> None:
        # Only we may enter it.
        folder = Path(tempfile.mkdtemp(prefix="tfcontainer-podman-"))
        self.socket = folder / "podman.sock"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            listener.listen()
            self._process = subprocess.Popen(
                ["sh", "-c", WRAPPER, "sh", str(folder), "podman", "system", "service", "--time=0"],
                stdin=subprocess.PIPE,
                stdout=listener.fileno(),
                stderr=self._log,
                # Ctrl-C in the terminal is not for it.
                start_new_session=True,
            )

    def stop(self) -> list[str]:
        """End it; containers that run go on.

        Returns
        -------
        list of str
            the last lines that it printed
        """
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(STOP_SECONDS)
        with self._log as log:
            log.seek(0)
            return log.read().decode(errors="replace").strip().splitlines()[-5:]

    def failure(self) -> EngineFailed:
        """Why it does not answer. It is stopped."""
        return EngineFailed(
            f"The program podman on {platform.node()} does not start its API service: {' '.join(self.stop())}. See "
            f"that `podman info` works there."
        )
