"""From nothing to a notebook that runs, with the keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from conftest import CATALOGUED, pictures
from homes import Home, engine_client, temporary_home
from labs import lab
from pages import LabPage
from panels import Panel
from playwright.sync_api import Browser, Locator, expect
from registries import Registry

CPU = "TF 1.2.1 CPU"
# Presses of Tab after which something is out of reach.
FAR = 150


@pytest.fixture(scope="module")
def home(copies: Registry) -> Iterator[Home]:
    with temporary_home() as home:
        home.configure(registry_prefix=copies.name)
        yield home
    with closing(engine_client()) as engine:
        engine.remove_image(f"{copies.name}/{CATALOGUED}")


@pytest.fixture(scope="module")
def page(home: Home, browser: Browser) -> Iterator[LabPage]:
    with lab(home) as server, LabPage(browser, server) as page:
        yield page


def go(page: LabPage, to: Locator) -> None:
    """Press Tab until something has the focus; that is to be seen then."""
    for _ in range(FAR):
        if to.evaluate("node => node === document.activeElement"):
            break
        page.page.keyboard.press("Tab")
    expect(to).to_be_focused()
    assert to.evaluate("node => node.matches(':focus-visible')")


def choose(page: LabPage, command: str) -> None:
    """Run a command from the palette."""
    keyboard = page.page.keyboard
    keyboard.press("Control+Shift+C")
    expect(page.page.locator(".lm-CommandPalette-input")).to_be_focused()
    keyboard.type(command)
    expect(page.page.locator(".lm-CommandPalette-item.lm-mod-active")).to_contain_text(command)
    keyboard.press("Enter")


def test_from_nothing_to_a_notebook(page: LabPage, pytestconfig: pytest.Config) -> None:
    keyboard, dialog, panel = page.page.keyboard, page.dialog, Panel(page)
    choose(page, "Add Environment…")
    release = dialog.get_by_label("TensorFlow")
    expect(release).to_be_focused()
    keyboard.type("1.2.1")
    expect(release).to_have_value("1.2.1")
    go(page, dialog.get_by_role("radio", name="CPU"))
    expect(dialog.locator(".jp-tfcontainer-Needs")).to_contain_text(CATALOGUED)
    expect(dialog.get_by_role("button", name="Add")).to_be_enabled()
    go(page, dialog.get_by_role("button", name="Add"))
    page.picture(pictures(pytestconfig) / "keyboard-add.png")
    keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.card(CPU)).to_be_visible()

    choose(page, "Show TensorFlow Containers")
    pull = panel.node.get_by_role("button", name=f"Pull the image of {CPU} now", exact=True)
    expect(pull).to_be_visible()
    go(page, pull)
    page.picture(pictures(pytestconfig) / "keyboard-pull.png")
    keyboard.press("Enter")
    expect(panel.environment("tf-1.2.1-cpu")).not_to_contain_text("not pulled yet")

    go(page, page.card(CPU))
    page.picture(pictures(pytestconfig) / "keyboard-card.png")
    page.start(lambda: keyboard.press("Enter"), CPU)
    # The first cell is selected, or is written in already.
    keyboard.press("Escape")
    keyboard.press("Enter")
    keyboard.insert_text("import tensorflow; print(tensorflow.__version__)")
    keyboard.press("Shift+Enter")
    expect(page.cells.first.locator(".jp-OutputArea-output")).to_have_text("1.2.1\n")
    page.picture(pictures(pytestconfig) / "keyboard-notebook.png")

    stop = panel.node.get_by_role("button", name=f"Stop {CPU}", exact=True)
    choose(page, "Show TensorFlow Containers")
    go(page, stop)
    keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Stop")).to_be_focused()
    keyboard.press("Enter")
    expect(panel.running(CPU)).to_have_count(0)
