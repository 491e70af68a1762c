"""The oldest JupyterLab that we take, and Notebook 7: each in an environment of its own, from our wheel."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import pictures
from homes import MODERN, Home, temporary_home
from kernels import until
from labs import ROOT, lab
from pages import KERNEL, VIEWPORT, LabPage
from panels import Panel
from playwright.sync_api import Browser, Page, expect
from uv import find_uv_bin

OLDEST = "4.2.0"
SECONDS = 300


def uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), "--quiet", *arguments], check=True, timeout=SECONDS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, with the front end as it was last built."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, *packages: str | Path) -> Path:
    """Make an environment and return where its programs are. What uv has fetched once it takes from its cache."""
    uv("venv", folder)
    uv("pip", "install", "--python", folder / "bin" / "python", *packages)
    return folder / "bin"


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        home.add("version", MODERN, memory="1g")
        yield home


def patient(page: Page) -> None:
    """Load a page anew where JupyterLab says that its theme did not come: on a busy machine it waits too short."""

    def again() -> None:
        page.reload()

    page.add_locator_handler(page.locator(".jp-Dialog", has_text="Error Loading Theme"), again)


@pytest.fixture
def oldest(wheel: Path, tmp_path: Path, home: Home, browser: Browser) -> Iterator[LabPage]:
    """A page of the oldest JupyterLab."""
    programs = environment(tmp_path / "lab", f"jupyterlab=={OLDEST}", wheel)
    with lab(home, program=programs / "jupyter-lab") as server, LabPage(browser, server) as page:
        patient(page.page)
        yield page


# It is long by nature: an environment with one more JupyterLab.
@pytest.mark.slow
def test_oldest_jupyterlab(oldest: LabPage, pytestconfig: pytest.Config) -> None:
    page = oldest
    assert page.lab.get("lab/api/settings/@jupyterlab/apputils-extension:themes")["version"] == OLDEST
    panel = Panel(page)
    panel.open()
    expect(panel.section("machine")).to_contain_text("Docker")
    panel.press("Add Environment…")
    expect(page.dialog).to_contain_text("Works here")
    assert panel.complaints(".jp-tfcontainer-Form") == []
    page.leave()
    page.start(lambda: panel.press("New notebook with VERSION"), "VERSION")
    expect(page.enter("print(6 * 7)")).to_have_text("42\n")
    expect(panel.running("VERSION")).to_contain_text("of 1 GiB")
    expect(page.page.get_by_title("Container of this notebook: show it")).to_contain_text("of 1 GiB")
    page.notebook.get_by_role("button", name="Container of this notebook", exact=True).click()
    expect(page.page.locator(".lm-Menu-itemLabel", has_text="Restart in a Fresh Container…")).to_be_visible()
    page.picture(pictures(pytestconfig) / "lab-4.2.png")
    page.page.keyboard.press("Escape")
    assert panel.complaints() == []
    panel.press("Log of VERSION")
    expect(page.page.locator(".jp-tfcontainer-FollowedLog").get_by_role("log")).to_contain_text("ready: Python")
    panel.press("Stop VERSION")
    page.accept("Stop VERSION?")
    expect(panel.running("VERSION")).to_have_count(0)


@pytest.fixture
def notebook(wheel: Path, tmp_path: Path, home: Home, browser: Browser, pytestconfig: pytest.Config) -> Iterator[Page]:
    """A page of Notebook 7 with a notebook."""
    programs = environment(tmp_path / "notebook", "notebook>=7,<8", wheel)
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "source": "print(6 * 7)",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    spec = {"kernelspec": {"name": "version", "display_name": "VERSION", "language": "python"}}
    document = {"cells": [cell], "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
    (home.workspace / "one.ipynb").write_text(json.dumps(document))
    errors: list[str] = []
    with (
        lab(home, program=programs / "jupyter-notebook") as server,
        closing(browser.new_context(viewport={"width": VIEWPORT["width"], "height": VIEWPORT["height"]})) as context,
    ):
        page = context.new_page()
        patient(page)
        # Notebook's own complaints are there without us as well.
        page.on("console", lambda one: errors.append(f"{one.text} {one.location}") if one.type == "error" else None)
        page.on("pageerror", lambda one: errors.append(f"{one} {one.stack}"))
        page.goto(f"{server.address}tree?token={server.token}")
        expect(page.locator(".jp-DirListing-item", has_text="one.ipynb")).to_be_visible()
        page.screenshot(path=pictures(pytestconfig) / "notebook-7-tree.png")
        with page.expect_response(lambda one: one.request.method == "POST" and "/api/sessions" in one.url):
            page.goto(f"{server.address}notebooks/one.ipynb")
        yield page
        page.screenshot(path=pictures(pytestconfig) / "notebook-7.png")
    assert [one for one in errors if "tfcontainer" in one] == []


def test_notebook_7(notebook: Page, home: Home) -> None:
    notebook.locator(".jp-CodeCell .cm-content").first.click()
    notebook.keyboard.press("Shift+Enter")
    expect(notebook.locator(".jp-OutputArea-output")).to_have_text("42\n", timeout=2 * KERNEL)
    notebook.get_by_role("button", name="Container of this notebook", exact=True).click()
    expect(notebook.locator(".lm-Menu-itemLabel", has_text="Restart in a Fresh Container…")).to_be_visible()
    notebook.keyboard.press("Escape")
    notebook.keyboard.press("Control+Shift+C")
    notebook.keyboard.type("Show TensorFlow Containers")
    notebook.keyboard.press("Enter")
    panel = notebook.locator("#jp-tfcontainer-panel")
    expect(panel.locator('[data-section="running"]')).to_contain_text("of 1 GiB")
    panel.get_by_role("button", name="Stop VERSION", exact=True).click()
    notebook.locator(".jp-Dialog .jp-mod-accept").click()
    assert until(lambda: home.containers() == [], KERNEL / 1000)
