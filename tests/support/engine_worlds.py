"""Worlds of their own for the engines that are not the default one: Podman, and engines without root.

A world is a machine within the machine: its processes, its ``/etc``, ``/run`` and ``/dev/shm`` are its own, and all of
it ends with its first process. So a person can be made for an engine without root, and engines can be at their usual
places.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from people import OPEN, ROOT, to_be_opened

Kind = Literal["rootless docker", "podman", "rootless podman"]
KINDS: tuple[Kind, ...] = ("rootless docker", "podman", "rootless podman")
# The person that a rootless engine belongs to.
UID = 4400
START_SECONDS = 60

WORLD = (
    OPEN
    + """
mkdir "$FOLDER/etc" "$FOLDER/work" "$FOLDER/dev"
mount -t overlay -o "lowerdir=/etc,upperdir=$FOLDER/etc,workdir=$FOLDER/work" overlay /etc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs "$FOLDER/dev"
# Everybody may use these, as on most machines.
mknod -m 666 "$FOLDER/dev/fuse" c 10 229
mknod -m 666 "$FOLDER/dev/tun" c 10 200
mount --bind "$FOLDER/dev/fuse" /dev/fuse
mount --bind "$FOLDER/dev/tun" /dev/net/tun
mkdir -p /etc/containers/registries.conf.d /run/cdi /run/lock
# Left to itself, Podman may take a storage driver that copies the whole image for each container.
printf '[storage]\\ndriver = "overlay"\\ngraphroot = "%s/data"\\nrunroot = "/run/containers"\\n' \\
    "$FOLDER" > /etc/containers/storage.conf
# With a file that says less, this Podman cannot commit.
printf '[storage]\\ndriver = "overlay"\\ngraphroot = "%s/home/data"\\nrunroot = "/run/user/%s/containers"\\n' \\
    "$FOLDER" "$PERSON" > "$FOLDER/home/.config/containers/storage.conf"
# Docker speaks to registries on loopback without TLS, too.
printf '[[registry]]\\nlocation = "127.0.0.1"\\ninsecure = true\\n' > /etc/containers/registries.conf.d/loopback.conf
echo "tester:x:$PERSON:$PERSON::$FOLDER/home:/bin/sh" >> /etc/passwd
echo "tester:x:$PERSON:" >> /etc/group
echo "tester:200000:65536" > /etc/subuid
echo "tester:200000:65536" > /etc/subgid
mkdir -p "/run/user/$PERSON"
chown -R "$PERSON:$PERSON" "$FOLDER/home" "/run/user/$PERSON"
ip link set lo up
echo ready
exec docker-init -s -- sleep infinity
"""
)
# Debian's rootless Docker lies apart, and wants dockerd on the PATH.
ROOTLESS_DOCKER = "/usr/share/docker.io/contrib/dockerd-rootless.sh"


class World:
    """A world with one engine.

    Parameters
    ----------
    kind
        which engine
    folder
        for its data; below it is the home of the person
    """

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.rootless = kind.startswith("rootless")
        runtime = Path(f"/run/user/{UID}") if self.rootless else Path("/run")
        #: Where its engine listens.
        self.socket = runtime / ("docker.sock" if "docker" in kind else "podman/podman.sock")
        self._engine: subprocess.Popen[bytes] | None = None
        (folder / "home" / ".config" / "containers").mkdir(parents=True)
        # A rootless engine has a network of its own in any case; it needs the machine's to get out.
        self._spaces = ["--mount", "--pid", *([] if self.rootless else ["--net"])]
        self._root = subprocess.Popen(
            [
                *("unshare", *self._spaces, "--propagation", "slave", "--kill-child", "--mount-proc"),
                *("sh", "-c", WORLD),
            ],
            env={**os.environ, **to_be_opened(), "FOLDER": str(folder), "PERSON": str(UID)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._root.stdout
        assert self._root.stdout.readline() == "ready\n"

    @property
    def url(self) -> str:
        """Its engine's address, as in ``DOCKER_HOST``."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """What the engine printed."""
        return self.folder / "log"

    def command(self, *command: str | Path, root: bool = False, **variables: str) -> list[str]:
        """The command that runs another in this world, as the person that its engine belongs to.

        Parameters
        ----------
        command
            what to run
        root
            whether it is root who runs it
        variables
            environment variables
        """
        namespaces = f"/proc/{self._root.pid}/ns"
        enter = ["nsenter", f"--mount={namespaces}/mnt", f"--pid={namespaces}/pid_for_children"]
        if "--net" in self._spaces:
            enter.append(f"--net={namespaces}/net")
        settings = {"HOME": f"{self.folder}/home", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **variables}
        who = []
        if self.rootless and not root:
            settings |= {"XDG_RUNTIME_DIR": f"/run/user/{UID}", "USER": "tester"}
            who = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--inh-caps=-all"]
        words = [f"{name}={value}" for name, value in settings.items()]
        return [*enter, *who, "env", "--chdir=/", *words, *map(str, command)]

    def start(self, socket: Path | None = None) -> None:
        """Start its engine and wait until it answers.

        Parameters
        ----------
        socket
            where it is to listen; unsaid, at the usual place
        """
        self.socket = socket or self.socket
        self.run("mkdir", "-p", self.socket.parent)
        words: tuple[str, ...] = ("podman", "system", "service", "--time=0", self.url)
        if "docker" in self.kind:
            words = (ROOTLESS_DOCKER, "--host", self.url, "--data-root", f"{self.folder}/home/data")
        with self.log.open("ab") as log:
            noting = 'echo $$ > "$HOME/pid"; exec "$@"'
            self._engine = subprocess.Popen(self.command("sh", "-c", noting, "sh", *words), stdout=log, stderr=log)
        # Neither tells anybody but systemd when it is ready.
        waiting = f"until [ -S {self.socket} ] && docker version; do sleep 0.1; done"
        try:
            self.run("sh", "-c", waiting, DOCKER_HOST=self.url)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.log.read_text()[-2000:]) from None

    def stop(self) -> None:
        """Stop its engine; its images stay."""
        self.run("sh", "-c", f'kill $(cat "$HOME/pid"); rm -f {self.socket}')
        assert self._engine
        self._engine.wait(START_SECONDS)
        self._engine = None

    def run(self, *command: str | Path, root: bool = False, **variables: str) -> str:
        """Run a command in this world and return what it printed."""
        return subprocess.run(
            self.command(*command, root=root, **variables),
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            timeout=START_SECONDS,
        ).stdout

    def docker(self, *arguments: str) -> str:
        """Run Docker's command line on its engine."""
        return self.run("docker", *arguments, DOCKER_HOST=self.url)

    def load(self, *images: str) -> None:
        """Give it images of the default engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
            command = self.command("docker", "load", "--quiet", DOCKER_HOST=self.url)
            subprocess.run(command, stdin=save.stdout, stdout=subprocess.DEVNULL, check=True)
        assert save.returncode == 0

    def python(self, *arguments: str | Path, root: bool = False, **variables: str) -> list[str]:
        """The command that runs the tests' own Python in this world."""
        settings = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **variables}
        return self.command("env", f"--chdir={ROOT}", sys.executable, *arguments, root=root, **settings)

    def end(self) -> None:
        """End the world."""
        assert self._root.stdout
        self._root.kill()
        # Its first process holds the other end: at the end of this there is none.
        self._root.stdout.read()
        self._root.stdout.close()
        self._root.wait()
        if self._engine:
            self._engine.wait()


@contextmanager
def world(kind: Kind) -> Iterator[World]:
    """A world whose engine is yet to be started; both are gone afterwards."""
    # Short, since sockets lie in it, and open to the person.
    folder = Path(tempfile.mkdtemp(prefix="tfc-world-"))
    folder.chmod(0o755)
    made = World(kind, folder)
    try:
        yield made
    finally:
        made.end()
        subprocess.run(["rm", "-rf", folder], check=True)
