"""What this machine has to tell a container that installs packages: proxies, indexes, certificates, and a pip.

They are given to the programs that run there, for as long as they run; no image ever has them.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..engine.cancellable import Cuttable

# pip's settings that mean the same in a container: those that name files of this machine do not.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "retries", "timeout", "default-timeout")
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
# Where programs are told of further certificates.
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
LOCAL = re.compile(r"localhost|127\..*|::1")


@dataclass(frozen=True)
class Surroundings:
    """What a container that installs packages is told.

    Parameters
    ----------
    env
        variables
    certificates
        of the authorities to trust, where the machine has others than everyone
    local
        whether some of it is at an address that means this machine itself
    """

    env: Mapping[str, str]
    certificates: bytes | None = None

    @property
    def local(self) -> bool:
        """Whether some of it is at an address that means this machine itself, and so only on its own network."""
        urls = [word for name, value in self.env.items() if "no_proxy" not in name.lower() for word in value.split()]
        return any(LOCAL.fullmatch(urlsplit(one).hostname or "") for one in urls)


def find(proxies: Mapping[str, str]) -> Surroundings:
    """Look around.

    Parameters
    ----------
    proxies
        variables that the person's Docker configuration has for containers
    """
    env = {
        name: value for name, value in os.environ.items() if name.lower() in PROXIES and value and name not in proxies
    }
    env.update(proxies)
    certificates = next((os.environ[name] for name in CERTIFICATES if os.environ.get(name)), None)
    for name, value in _pip_settings().items():
        if name == "cert":
            certificates = value
        elif name in PIP_SETTINGS:
            # An index may be a folder of this machine.
            words = [word for word in value.split() if not word.startswith(("file:", "/"))]
            if words:
                env["PIP_" + name.upper().replace("-", "_")] = " ".join(words)
    return Surroundings(env, _content(certificates))


def fetch_pip(version: str, cuttable: Cuttable) -> bytes | None:
    """The newest pip that a Python can run, as a wheel; None where this machine cannot get one.

    Parameters
    ----------
    version
        of that Python
    cuttable
        as operations have it
    """
    with tempfile.TemporaryDirectory(prefix="tfcontainer-pip-") as folder:
        python = ".".join(version.split(".")[:2])
        command = [*_pip(), "download", "--quiet", "--no-deps", "--no-input", "--only-binary", ":all:"]
        command += ["--python-version", python, "--implementation", "py", "--abi", "none", "--platform", "any"]
        with (
            subprocess.Popen(
                [*command, "--dest", folder, "pip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process,
            cuttable(process.kill),
        ):
            process.wait()
        return next((one.read_bytes() for one in Path(folder).glob("pip-*.whl")), None)


def _pip_settings() -> dict[str, str]:
    done = subprocess.run([*_pip(), "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    settings = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        if found := re.fullmatch(r"(?:global|install|:env:)\.([\w-]+)=('.*'|\".*\")", line):
            settings[found[1]] = str(ast.literal_eval(found[2]))
    return settings


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def _content(path: str | None) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError:
        return None
