"""Programs in containers, opened in JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import pictures
from homes import LEGACY, Home, temporary_home
from labs import lab
from pages import EXAMPLE, LabPage
from panels import Panel
from playwright.sync_api import Browser, FrameLocator, Locator, expect

SCALAR = """
import tensorflow as tf
writer = tf.summary.FileWriter("training/first")
for step in range(60):
    loss = tf.Summary(value=[tf.Summary.Value(tag="the_loss", simple_value=1 / (1 + 0.2 * step))])
    writer.add_summary(loss, step)
writer.close()
print("written")
"""
SERVE = """
import subprocess, sys
program = subprocess.Popen([sys.executable, "-u", "-m", "SimpleHTTPServer", "8123"], stdout=subprocess.PIPE)
print(program.stdout.readline().split()[:2])
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as home:
        home.add("tf", LEGACY, network="none", ports=[8123])
        yield home


@pytest.fixture(scope="module")
def panel(home: Home, browser: Browser) -> Iterator[Panel]:
    with lab(home) as server, LabPage(browser, server) as page:
        page.launch("TF")
        yield Panel(page)
        # TensorBoard's own page asks for the former; the latter is Chromium's word for a container that another test
        # has started on the machine's bridge.
        known = ("asked https://fonts.googleapis.com/", "Failed to load resource: net::ERR_NETWORK_CHANGED")
        page.errors[:] = [error for error in page.errors if not error.startswith(known)]


def tab(panel: Panel, title: str) -> Locator:
    """What a tab in sight shows."""
    panel.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=title).first.click()
    shown = panel.page.locator(".jp-tfcontainer-Port:visible", has=panel.page.locator(f'iframe[title="{title}"]'))
    expect(shown).to_be_visible()
    return shown


def frame(shown: Locator) -> FrameLocator:
    """The program's page in it."""
    return shown.frame_locator("iframe")


def shows(shown: Locator, text: str) -> None:
    """See that a program shows something; Chromium drops what it loads whenever the machine gets another interface."""
    for _ in range(4):
        try:
            expect(frame(shown).locator("body")).to_contain_text(text, timeout=EXAMPLE / 4)
        except AssertionError:
            shown.page.get_by_role("button", name="Load it again").locator("visible=true").click()
        else:
            return
    expect(frame(shown).locator("body")).to_contain_text(text)


def from_toolbar(panel: Panel, item: str) -> None:
    """Choose from what a notebook's toolbar offers."""
    panel.lab.notebook.locator('[data-jp-item-name="tfcontainer"]').click()
    panel.page.locator(".lm-Menu-itemLabel", has_text=item).click()


def test_tensorboard_shows_what_the_notebook_wrote(panel: Panel, request: pytest.FixtureRequest) -> None:
    expect(panel.lab.enter(SCALAR)).to_contain_text("written", timeout=EXAMPLE)
    from_toolbar(panel, "TensorBoard…")
    dialog = panel.lab.dialog
    expect(dialog.locator(".jp-Dialog-header")).to_have_text("TensorBoard of TF")
    expect(dialog.locator("input")).to_have_value("logs")
    dialog.locator("input").fill("training")
    panel.page.keyboard.press("Enter")
    shown = tab(panel, "TensorBoard · TF")
    shows(shown, "the_loss")
    # It cannot lead the page elsewhere.
    assert "allow-top-navigation" not in (shown.locator("iframe").get_attribute("sandbox") or "")
    panel.lab.picture(pictures(request.config) / "tensorboard.png")
    assert panel.complaints(".jp-tfcontainer-Port") == []
    # The same again comes to the front; the folder was remembered.
    panel.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="Untitled").first.click()
    from_toolbar(panel, "TensorBoard…")
    expect(dialog.locator("input")).to_have_value("training")
    panel.page.keyboard.press("Enter")
    expect(panel.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="TensorBoard")).to_have_count(1)


def test_a_port_that_does_not_answer_yet(panel: Panel, request: pytest.FixtureRequest) -> None:
    panel.open()
    panel.more("TF", "Ports…", section="running")
    choice = panel.lab.dialog.locator("select")
    expect(choice.locator("option")).to_have_text(
        ["6006", "8123 (declared; nobody listens yet)", "Another port…"], use_inner_text=True
    )
    choice.select_option(index=1)
    panel.page.keyboard.press("Enter")
    shown = tab(panel, "Port 8123 · TF")
    expect(shown.get_by_role("status")).to_contain_text("Nobody listens at port 8123 in the container yet.")
    panel.lab.picture(pictures(request.config) / "port-closed.png")
    assert panel.complaints(".jp-tfcontainer-Port") == []
    panel.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="Untitled").first.click()
    expect(panel.lab.enter(SERVE)).to_contain_text("Serving")
    shown = tab(panel, "Port 8123 · TF")
    shown.get_by_role("button", name="Try Again").click()
    expect(frame(shown).locator("body")).to_contain_text("Directory listing for /")
    # Links in it lead on in it.
    frame(shown).get_by_text("training/").click()
    expect(frame(shown).locator("body")).to_contain_text("first/")
    with panel.page.context.expect_page() as opened:
        panel.page.get_by_role("button", name="Open it in a tab of the browser").locator("visible=true").click()
    expect(opened.value.locator("body")).to_contain_text("Directory listing for /")
    opened.value.close()


def test_a_port_of_which_nobody_has_said_anything(panel: Panel) -> None:
    panel.open()
    panel.more("TF", "Ports…", section="running")
    panel.lab.dialog.locator("select").select_option(label="Another port…")
    panel.page.keyboard.press("Enter")
    number = panel.lab.dialog.locator("input[type=number]")
    number.fill("8124")
    panel.page.keyboard.press("Enter")
    expect(tab(panel, "Port 8124 · TF").get_by_role("status")).to_contain_text("Nobody listens at port 8124")


def test_tabs_are_there_again_after_a_reload(panel: Panel) -> None:
    # JupyterLab writes its layout down a moment after a change.
    panel.lab.answered("PUT", "lab/api/workspaces", lambda: None)
    panel.page.goto(panel.lab.lab.page.removesuffix("&reset"))
    shows(tab(panel, "TensorBoard · TF"), "the_loss")
    expect(frame(tab(panel, "Port 8123 · TF")).locator("body")).to_contain_text("Directory listing for /")
