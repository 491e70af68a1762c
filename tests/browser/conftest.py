"""What tests in a browser share. They run in a process of their own: pytest-jupyter wants an event loop as well."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
import registries
from homes import LEGACY, Home, temporary_home
from labs import lab
from pages import LabPage
from panels import Panel
from playwright.sync_api import Browser
from registries import Registry

pytest_plugins = ["timekeeping"]

# What registries of tests have, kept for later runs.
COPIES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyter_tfcontainer" / "copies"
# As the catalog names it.
CATALOGUED = "tensorflow/tensorflow:1.2.1-py3"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium, which asks nobody but our servers."""
    return {
        **browser_type_launch_args,
        "executable_path": Path(__file__).with_name("chromium.py"),
        "args": [
            # Its sandbox refuses root.
            "--no-sandbox",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ],
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what is to be seen when a test fails."""
    report = yield
    if report.failed:
        for number, page in enumerate(LabPage.opened):
            name = re.sub(r"\W+", "-", f"{item.name}-{report.when}-{number}")
            page.picture(pictures(item.config) / f"{name}.png")
            report.sections.append((f"the log of the server of page {number}", page.lab.log[-3000:]))
    return report


@pytest.fixture(scope="session")
def shared(browser: Browser) -> Iterator[LabPage]:
    """A page of a server with nothing special, for all files that need no other. It asks nothing between them."""
    with temporary_home() as home, lab(home) as server, LabPage(browser, server, empty=True) as page:
        yield page


@pytest.fixture(scope="module")
def home(shared: LabPage) -> Iterator[Home]:
    """The folders of the server that is shared. What a file puts there, and what runs there, is gone after it."""
    yield shared.lab.home
    shared.lab.clear()


@pytest.fixture(scope="module")
def page(home: Home, shared: LabPage) -> Iterator[LabPage]:
    """The page of the server that is shared, as if for the first time, with what the file has put into its home."""
    assert home is shared.lab.home, "This file has a home of its own, and so it needs a server of its own."
    shared.reset()
    yield shared
    shared.empty()


@pytest.fixture(scope="module")
def panel(page: LabPage) -> Panel:
    """The side panel in that page."""
    panel = Panel(page)
    panel.open()
    return panel


@pytest.fixture(scope="session")
def copies() -> Iterator[Registry]:
    """A registry with a copy of one of the catalog's images: ours, with TensorFlow 1.2.1, stands in for it.

    To compress it takes long: what the registry has is made once, and kept until there is another image.
    """
    COPIES.mkdir(parents=True, exist_ok=True)
    with registries.registry() as registry, closing(docker.APIClient()) as client:
        data = registry.folder / "data"
        # The first of the tests' processes makes it.
        with (COPIES / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = COPIES / client.inspect_image(LEGACY)["Id"].removeprefix("sha256:")
            if not made.exists():
                # These are of images that have been built anew since, or half made.
                subprocess.run(["find", COPIES, "-mindepth", "1", "!", "-name", "lock", "-delete"], check=True)
                repository, _, tag = f"{registry.name}/{CATALOGUED}".rpartition(":")
                client.tag(LEGACY, repository, tag)
                registries.push(client, f"{repository}:{tag}")
                partial = COPIES / "partial"
                shutil.copytree(data, partial)
                partial.rename(made)
            else:
                # Nobody writes to it: these registries are only pulled from.
                data.symlink_to(made)
        yield registry


def pictures(config: pytest.Config) -> Path:
    """Where pictures of pages go."""
    return Path(config.getoption("--output"))
