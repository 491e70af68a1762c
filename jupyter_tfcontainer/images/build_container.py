"""A container in which something is installed into an image, and of which another image is made.

What comes in beside packages lies in its memory (/run), so that no image ever has it.
"""

from __future__ import annotations

import codecs
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from ..engine import Engine
from ..engine.exec import converse
from ..engine.images import quoted
from ..errors import ImageBuildFailed
from .build_env import Surroundings
from .operations import LAST_LINES, Operation

# The engine's own, where an image says nothing.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RESULT = "tfcontainer-result: "
FOLDER = "/run/tfcontainer"
# Reads an archive, and runs the program that is in it.
UNPACK = f"""
import os, sys, tarfile
os.path.isdir({FOLDER!r}) or os.mkdir({FOLDER!r})
with tarfile.open(fileobj=getattr(sys.stdin, "buffer", sys.stdin), mode="r|") as archive:
    for one in archive:
        with open(os.path.join({FOLDER!r}, one.name), "wb") as file:
            file.write(archive.extractfile(one).read())
os.execv(sys.executable, [sys.executable, os.path.join({FOLDER!r}, sys.argv[1])])
"""


@contextmanager
def workshop(
    engine: Engine, operation: Operation, image: Mapping[str, Any], surroundings: Surroundings
) -> Iterator[Workshop]:
    """A workshop; its container is gone afterwards, whatever happens.

    Parameters
    ----------
    engine
        where it is
    operation
        what it is for: it gets what programs print, and a cancel ends them
    image
        the engine's description of the image
    surroundings
        what programs in it are told
    """
    host = {"Tmpfs": {"/run": "exec"}, "NetworkMode": "host" if surroundings.local else "default"}
    with engine.held(dict(image), host) as container:
        yield Workshop(engine, operation, image, surroundings, container)


class Workshop:
    """What can be done in such a container; :func:`workshop` makes it."""

    def __init__(
        self,
        engine: Engine,
        operation: Operation,
        image: Mapping[str, Any],
        surroundings: Surroundings,
        container: str,
    ) -> None:
        self._engine = engine
        self._operation = operation
        self._image = image
        self._surroundings = surroundings
        #: Its id.
        self.container = container

    def run(self, command: Sequence[str], data: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run a program as root; what it says with the word for results comes back.

        Parameters
        ----------
        command
            program and arguments
        data
            its input
        env
            variables beyond those of the surroundings

        Raises
        ------
        ImageBuildFailed
            when it fails, with its last lines
        """
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        lines: list[str] = []
        rest = ""

        variables = {"HOME": "/root", **self._surroundings.env, **(env or {})}
        with self._operation.cuttable(self._end):
            process = self._engine.exec(self.container, command, user="0:0", workdir="/", env=variables)
            for _, piece in converse(process, data):
                *whole, rest = (rest + decode(piece)).split("\n")
                for line in whole:
                    lines.append(line)
                    if not line.startswith(RESULT):
                        self._operation.say(line)
            code = process.exit_code()
        self._operation.check()
        if code:
            printed = "\n".join([*lines, rest][-LAST_LINES:]).strip()
            raise ImageBuildFailed(
                f"{self._operation.noun} failed on {self._engine.facts.host}: the installation ended with exit code "
                f"{code}. Its last lines:\n{printed or '(nothing)'}"
            )
        return next((line.removeprefix(RESULT) for line in lines if line.startswith(RESULT)), "")

    def install(self, python: str, packages: Sequence[str], pip: bytes | None) -> dict[str, str]:
        """Install Python packages.

        Parameters
        ----------
        python
            the interpreter that is to have them
        packages
            as pip takes them
        pip
            a wheel of one that this interpreter can run, or None for its own

        Returns
        -------
        dict of str to str
            the versions of what was installed, by name

        Raises
        ------
        ImageBuildFailed
            with pip's last lines
        """
        program = files(__package__).joinpath("inside/install.py").read_bytes()
        content = {
            "install.py": program,
            "spec.json": json.dumps({"pip": list(packages)}).encode(),
            "pip.whl": pip,
            "ca.pem": self._surroundings.certificates,
        }
        data = _archive({name: one for name, one in content.items() if one is not None})
        result = self.run([python, "-s", "-c", UNPACK, "install.py"], data)
        return dict(json.loads(result)["changed"])

    def commit(self, reference: str, marks: Mapping[str, str], path: str | None = None) -> str:
        """Make an image of what there is now, with the settings of the one that it began as; its id comes back.

        Parameters
        ----------
        reference
            its name; an image of ours that had it before goes, if nothing uses it
        marks
            its labels
        path
            a folder of programs, to be looked into before all others
        """
        config = self._image["Config"]
        settings = {"CMD": json.dumps(config.get("Cmd") or ["sh"])}
        if config.get("Entrypoint"):
            settings["ENTRYPOINT"] = json.dumps(config["Entrypoint"])
        if path:
            variables = dict(one.split("=", 1) for one in config.get("Env") or [] if "=" in one)
            settings["ENV"] = "PATH=" + quoted(f"{path}:{variables.get('PATH', PATH)}")
        return self._engine.images.commit(self.container, reference, settings, marks, self._operation.check)

    def _end(self) -> None:
        self._engine.remove(self.container)


def _archive(content: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
