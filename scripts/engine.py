"""Have a container engine answer, for the tests and for `make lab`.

python scripts/engine.py start    start a Docker Engine unless one answers already
python scripts/engine.py stop     stop it again, if `start` started it
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

from steps import StepError, cache_dir, main, need, run, step

START_SECONDS = 60


def pid_file() -> Path:
    """Return where the engine that this script starts writes its process id."""
    return cache_dir() / "dockerd.pid"


def answers() -> bool:
    """Tell whether the engine that Docker's command line would use answers."""
    if not shutil.which("docker"):
        return False
    try:
        run(["docker", "version"])
    except StepError as error:
        if "permission denied" in str(error):
            raise StepError(
                "A container engine runs, but you may not use its socket: "
                "`sudo usermod -aG docker $USER`, log in again, and run this once more."
            ) from error
        return False
    return True


def own_pid() -> int | None:
    """Return the process id of the engine that this script started, if it still runs."""
    try:
        pid = int(pid_file().read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    # The number may be another program's by now.
    return pid if str(pid_file()).encode() in command else None


def start() -> bool:
    """Start an engine unless one answers; return whether this started it."""
    if answers():
        return False
    if host := os.environ.get("DOCKER_HOST"):
        raise StepError(f"No engine answers at DOCKER_HOST={host}: start it, or unset DOCKER_HOST.")
    if not Path("/etc/debian_version").exists() or os.geteuid():
        raise StepError(
            "No container engine answers: start Docker, or run this as root on Debian, "
            "where it installs and starts one."
        )
    need({"dockerd": "docker.io"})
    # Since Debian 13 the command line is a package of its own.
    need({"docker": "docker-cli"})
    if answers():
        return False
    log = cache_dir() / "dockerd.log"
    with step("starting dockerd"), log.open("w") as output:
        # A session of its own: Ctrl-C in the terminal is not for the engine.
        process = subprocess.Popen(
            ["dockerd", "--pidfile", str(pid_file())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                tail = "\n".join(log.read_text().splitlines()[-5:])
                raise StepError(f"{tail}\n\ndockerd does not start here. Its whole log: {log}")
            time.sleep(0.1)
    return True


def stop() -> None:
    """Stop the engine that `start` started, and with it its containers; leave any other alone."""
    pid = own_pid()
    if pid is None:
        return
    with step("stopping dockerd"):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            if not select.select([descriptor], [], [], START_SECONDS)[0]:
                raise StepError(f"dockerd (process {pid}) does not end.")
        finally:
            os.close(descriptor)


def engine(arguments: list[str]) -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("verb", choices=["start", "stop"])
    if parser.parse_args(arguments).verb == "stop":
        stop()
    elif not start():
        print("An engine answers already.")
    return 0


if __name__ == "__main__":
    main(engine)
