"""The wheel and the sdist in empty environments, also at the lowest versions that we declare."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.metadata import Metadata
from packaging.version import Version
from uv import find_uv_bin

import jupyter_tfcontainer

ROOT = Path(__file__).parent.parent.parent
LABEXTENSION = "jupyter_tfcontainer/labextension"
SHARED_LABEXTENSION = "share/jupyter/labextensions/jupyter-tfcontainer"
# What the front end says in place of "Show log" in the tree that is built.
CHANGED = "Show the changed log"
BUILD_TIMEOUT = 300
COMMAND_TIMEOUT = 60

# A server with the extension, as far as it comes without requests.
SERVER = """
import json
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_server.serverapp import ServerApp

app = ServerApp.instance()
app.initialize([
    "--allow-root", "--no-browser", "--port=0",
    "--ServerApp.reraise_server_extension_failures=True",
])
provisioner = KernelProvisionerFactory.instance().provisioners["tfcontainer-provisioner"].load()
extensions = app.extension_manager.extension_apps["jupyter_tfcontainer"]
print(json.dumps({
    "apps": [type(extension).__name__ for extension in extensions],
    "cards": list(app.kernel_spec_manager.get_all_specs()),
    "provisioner": provisioner.__name__,
    "schemas": app.event_logger.schemas.schema_ids,
}))
"""


def uv(*arguments: str | Path, cwd: Path | None = None, **variables: str) -> None:
    """Run uv, which installs in seconds what takes pip a minute."""
    subprocess.run(
        [find_uv_bin(), *arguments],
        check=True,
        cwd=cwd,
        env={**os.environ, **variables},
        timeout=BUILD_TIMEOUT,
    )


@dataclass(frozen=True)
class Built:
    """What was built, and from where."""

    source: Path
    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Installed:
    """An environment that had nothing in it before we were installed."""

    prefix: Path
    home: Path

    @classmethod
    def make(cls, folder: Path, *requirements: str) -> Installed:
        """Install into a new environment, with no Node in reach."""
        installed = cls(folder / "environment", folder / "home")
        installed.home.mkdir()
        uv("venv", "--quiet", "--python", sys.executable, installed.prefix)
        uv(
            *("pip", "install", "--quiet", "--python", installed.prefix),
            *requirements,
            PATH=str(installed.prefix / "bin"),
        )
        return installed

    def run(self, *command: str, errors: bool = False) -> str:
        """Run a program of the environment and return its output, on request with the errors."""
        variables = {name: os.environ[name] for name in os.environ if name[:8] != "JUPYTER_"}
        done = subprocess.run(
            command,
            check=True,
            cwd=self.home,
            env={**variables, "HOME": str(self.home), "PATH": str(self.prefix / "bin")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else None,
            text=True,
            timeout=COMMAND_TIMEOUT,
        )
        # Colours come without a terminal, too.
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    def versions(self, *names: str) -> dict[str, str]:
        """Return the versions of the distributions."""
        script = (
            "import json, sys; from importlib.metadata import version;"
            "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
        )
        found: dict[str, str] = json.loads(self.run("python", "-c", script, *names))
        return found

    def check(self) -> None:
        """See that JupyterLab would find and start everything."""
        version = jupyter_tfcontainer.__version__
        assert self.versions("jupyter_tfcontainer") == {"jupyter_tfcontainer": version}

        extensions = self.run("jupyter", "server", "extension", "list", errors=True)
        assert re.search(r"^ +jupyter_tfcontainer enabled$", extensions, re.MULTILINE)
        assert f"jupyter_tfcontainer {version} OK" in extensions, extensions

        labextensions = self.run("jupyter", "labextension", "list", errors=True)
        expected = f"jupyter-tfcontainer v{version} enabled OK (python, jupyter_tfcontainer)"
        assert expected in labextensions, labextensions

        self.check_kernelspec()
        # Other extensions print while they load, so the answer is the last line.
        server = json.loads(self.run("python", "-c", SERVER).splitlines()[-1])
        assert server["apps"] == ["TFContainerApp"]
        assert "tf-1.2.1-gpu" in server["cards"]
        assert server["provisioner"] == "TFContainerProvisioner"
        assert "https://events.jupyter.org/jupyter_tfcontainer/kernel_state/v1" in server["schemas"]

        assert "usage" in self.run("jupyter-tfcontainer", "--help").lower()
        lab = self.versions("jupyterlab")["jupyterlab"]
        assert self.run("jupyter", "lab", "--version").split()[-1] == lab

    def check_kernelspec(self) -> None:
        """See that the card is listed, and has its logos."""
        listed = json.loads(self.run("jupyter", "kernelspec", "list", "--json"))
        card = listed["kernelspecs"]["tf-1.2.1-gpu"]
        assert card["spec"]["display_name"] == "TF 1.2.1 GPU"
        folder = Path(card["resource_dir"])
        assert folder == self.prefix / "share/jupyter/kernels/tf-1.2.1-gpu"
        for size in (32, 64):
            logo = (folder / f"logo-{size}x{size}.png").read_bytes()
            assert struct.unpack(">4s2I", logo[12:24]) == (b"IHDR", size, size)
        assert "<svg" in (folder / "logo-svg.svg").read_text()


def files(folder: Path) -> set[str]:
    """Return the paths of the files in a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def recorded(wheel: Path) -> set[str]:
    """Return the lines of a wheel's record: the path, hash and size of each file."""
    with zipfile.ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        return set(archive.read(path).decode().splitlines())


def wheel_files(wheel: Path) -> set[str]:
    """Return the paths of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def link(source: str, target: str) -> None:
    """Give a file another name; copy it to another disk, or where the package manager writes into it."""
    try:
        if Path(source).name != ".yarn-state.yml":
            os.link(source, target)
            return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    shutil.copy2(source, target)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build from a copy of a tree that has been built before, and was changed since.

    `make lab` and the set-up of the tests build from nothing.
    """
    source = tmp_path_factory.mktemp("build") / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "node_modules", "build", "dist"))
    for hidden in (".gitignore", "labextension/.yarnrc.yml"):
        shutil.copy(ROOT / hidden, source / hidden)
    # Without bundlers' caches, which they would write into.
    modules, caches = "labextension/node_modules", shutil.ignore_patterns(".cache")
    shutil.copytree(ROOT / modules, source / modules, symlinks=True, copy_function=link, ignore=caches)
    texts = source / "labextension/src/texts.ts"
    assert any(b"Show log" in script.read_bytes() for script in (source / LABEXTENSION).rglob("*.js"))
    texts.write_text(texts.read_text().replace("Show log", CHANGED))
    uv("build", "--out-dir", "dist", cwd=source)
    [wheel], [sdist] = (source / "dist").glob("*.whl"), (source / "dist").glob("*.tar.gz")
    return Built(source, wheel, sdist)


def test_wheel_holds_everything_once(built: Built) -> None:
    name = f"jupyter_tfcontainer-{jupyter_tfcontainer.__version__}"
    elsewhere = ("etc/", "kernelspecs/tf-", "labextension/")
    package = {
        f"jupyter_tfcontainer/{path}"
        for path in files(built.source / "jupyter_tfcontainer")
        if not path.startswith(elsewhere)
    }
    shared = {
        "etc/jupyter/jupyter_server_config.d/jupyter_tfcontainer.json",
        f"{SHARED_LABEXTENSION}/install.json",
        *(f"{SHARED_LABEXTENSION}/{path}" for path in files(built.source / LABEXTENSION)),
        *(
            f"share/jupyter/kernels/tf-1.2.1-gpu/{path}"
            for path in ("kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg")
        ),
    }
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert wheel_files(built.wheel) == {
        *package,
        *(f"{name}.data/data/{path}" for path in shared),
        *(f"{name}.dist-info/{path}" for path in about),
    }
    # What would be lost without a word if a pattern went wrong.
    assert "jupyter_tfcontainer/server/event_schemas/kernel_state.v1.yaml" in package
    assert "jupyter_tfcontainer/kernelspecs/logos/cpu/logo-svg.svg" in package
    assert "jupyter_tfcontainer/py.typed" in package
    assert not any("test" in path for path in package)


def test_labextension_is_whole(built: Built) -> None:
    folder = built.source / LABEXTENSION
    manifest: dict[str, Any] = json.loads((folder / "package.json").read_text())
    assert manifest["version"] == jupyter_tfcontainer.__version__
    build = manifest["jupyterlab"]["_build"]
    [entry] = folder.glob("static/remoteEntry.*")
    assert build["load"] == f"static/{entry.name}"
    assert build["style"] == "./style"
    assert (folder / "schemas/jupyter-tfcontainer/plugin.json").exists()


def test_sdist_holds_sources_and_bundle(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        paths = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "labextension/yarn.lock", "labextension/src/index.ts"} <= paths
    assert {f"{LABEXTENSION}/{path}" for path in files(built.source / LABEXTENSION)} <= paths
    assert not any(re.search(r"(^|/)(node_modules|lib|dist|__pycache__)/", path) for path in paths)


def test_wheel_installs(built: Built, tmp_path: Path) -> None:
    Installed.make(tmp_path, f"{built.wheel}[lab]").check()


def test_sdist_makes_the_same_wheel_without_node(built: Built, tmp_path: Path) -> None:
    # That is what installing the sdist does first, and then it installs the wheel.
    (tmp_path / "bin").mkdir()
    arguments = ("build", "--wheel", "--python", sys.executable, "--out-dir", tmp_path, built.sdist)
    uv(*arguments, PATH=str(tmp_path / "bin"))
    [wheel] = tmp_path.glob("*.whl")
    assert recorded(wheel) == recorded(built.wheel)


@pytest.mark.slow
def test_lowest_declared_versions(built: Built, tmp_path: Path) -> None:
    lowest = lowest_versions(built.wheel)
    assert "jupyterlab" in lowest
    pins = [f"{name}=={version}" for name, version in lowest.items()]
    installed = Installed.make(tmp_path, f"{built.wheel}[lab]", *pins)
    versions = installed.versions(*lowest)
    assert {name: Version(version) for name, version in versions.items()} == lowest
    installed.check()


def lowest_versions(wheel: Path) -> dict[str, Version]:
    """Return the lowest version that a wheel allows of each package that it needs with Lab."""
    with zipfile.ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        needs = Metadata.from_email(archive.read(path)).requires_dist or []
    lowest = {}
    for need in needs:
        if need.marker is None or need.marker.evaluate({"extra": "lab"}):
            [bound] = [part.version for part in need.specifier if part.operator == ">="]
            lowest[need.name] = Version(bound)
    return lowest


def test_used_tree_ships_no_stale_bundle(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        scripts = [archive.read(name) for name in archive.namelist() if name.endswith(".js")]
    assert any(CHANGED.encode() in script for script in scripts)
