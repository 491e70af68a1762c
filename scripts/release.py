"""Check that what is committed can be released: build it, install it, and compare versions.

`make release-check` runs this in the virtual environment. It changes nothing but ``dist/``, so it also serves as a
rehearsal: every check runs, and all problems are listed at the end.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from steps import ROOT, StepError, main, run, step

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "jupyter_tfcontainer"
LABEXTENSION = "jupyter-tfcontainer"
# Programs colour what they print, also without a terminal.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def declared_version(root: Path) -> str:
    """Return the version in ``labextension/package.json``, the only place that has it."""
    version: str = json.loads((root / "labextension" / "package.json").read_text(encoding="utf-8"))["version"]
    return version


def check_changelog(root: Path, version: str) -> None:
    """Check that the first section of the changelog is the one of a version, with a date.

    Parameters
    ----------
    root
        the repository
    version
        the version to be released

    Raises
    ------
    StepError
        if it is another version's, or not dated
    """
    sections = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    first = sections[0] if sections else "nothing"
    if not re.fullmatch(re.escape(version) + r" \(\d{4}-\d{2}-\d{2}\)", first):
        raise StepError(f'CHANGELOG.md begins with "{first}": write "## {version} (YYYY-MM-DD)".')


def check_git(root: Path, version: str) -> None:
    """Check that everything is committed, and that no other commit has the version's tag.

    Parameters
    ----------
    root
        the repository
    version
        the version to be released

    Raises
    ------
    StepError
        if files differ from the commit, the tag is taken, or the commit has the tag of another version
    """
    if changed := run(["git", "status", "--porcelain"], cwd=root):
        raise StepError(f"Commit or remove these files first:\n{changed.rstrip()}")
    tag = f"v{version}"
    # The release workflow runs this on the tagged commit.
    here = run(["git", "tag", "--points-at", "HEAD"], cwd=root).split()
    if tag not in here and run(["git", "tag", "--list", tag], cwd=root):
        raise StepError(f"The tag {tag} is taken: set a new version in labextension/package.json.")
    if others := [name for name in here if name.startswith("v") and name != tag]:
        raise StepError(f"This commit is tagged {', '.join(others)}, and its version is {version}.")


def build(root: Path) -> Path:
    """Build the sdist and the wheel into an empty ``dist/``, check their metadata, and return the wheel's path."""
    dist = root / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with step("building the sdist and the wheel"):
        run([sys.executable, "-m", "build", "--outdir", dist], cwd=root)
    [wheel], [sdist] = list(dist.glob("*.whl")), list(dist.glob("*.tar.gz"))
    with step("twine check --strict"):
        run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist])
    return wheel


def expect(pattern: str, command: list[str | Path], **options: object) -> None:
    """Check that a command prints a line that matches a pattern.

    Raises
    ------
    StepError
        if it fails, or prints no such line
    """
    output = COLOUR.sub("", run(command, **options))  # type: ignore[arg-type]
    if not re.search(rf"^\s*{pattern}", output, re.MULTILINE):
        words = " ".join(["jupyter", *map(str, command[1:])])
        raise StepError(f"`{words}` does not say /{pattern}/:\n{output.rstrip()}")


def check_installed(wheel: Path, version: str) -> None:
    """Install a wheel into an empty environment, first alone, then with JupyterLab, and check that both find it.

    Parameters
    ----------
    wheel
        what to install
    version
        the version that the programs must print

    Raises
    ------
    StepError
        if something is missing
    """
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder) / "venv"
        jupyter = venv / "bin" / "jupyter"
        # Neither programs nor settings of whoever runs this.
        options: dict[str, object] = {"cwd": folder, "env": {"HOME": folder, "PATH": str(venv / "bin")}}
        pip: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
        with step("installing the wheel into an empty environment"):
            run([sys.executable, "-m", "venv", venv])
            run([*pip, "install", wheel])
        escaped = re.escape(version)
        expect(f"{escaped}$", [jupyter, "tfcontainer", "--version"], **options)
        expect(rf"{PACKAGE} {escaped} OK$", [jupyter, "server", "extension", "list"], **options)
        with step("installing JupyterLab beside it"):
            run([*pip, "install", f"{wheel}[lab]"])
        expect(rf"{LABEXTENSION} v{escaped} enabled OK\b", [jupyter, "labextension", "list"], **options)
        expect(rf"{PACKAGE} {escaped} OK$", [jupyter, "server", "extension", "list"], **options)


def release_check(arguments: list[str]) -> int:
    """Run every check and list the problems."""
    if arguments:
        raise StepError("release.py takes no arguments.")
    version = declared_version(ROOT)
    problems: list[str] = []

    def attempt(check: Callable[[], None]) -> None:
        try:
            check()
        except StepError as error:
            problems.append(str(error))

    attempt(lambda: check_changelog(ROOT, version))
    attempt(lambda: check_git(ROOT, version))
    attempt(lambda: check_installed(build(ROOT), version))
    if problems:
        raise StepError("\n\n".join([f"{version} cannot be released:", *problems]))
    print(f"{version} can be released: docs/releasing.md says how.", flush=True)
    return 0


if __name__ == "__main__":
    main(release_check)
