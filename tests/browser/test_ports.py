"""Programs in containers, opened in JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import pictures
from homes import LEGACY, Home
from pages import EXAMPLE, LabPage
from panels import Panel
from playwright.sync_api import expect
from programs import SCALAR, forgive, frame, shows, tab

SERVE = """
import subprocess, sys
program = subprocess.Popen([sys.executable, "-u", "-m", "SimpleHTTPServer", "8123"], stdout=subprocess.PIPE)
print(program.stdout.readline().split()[:2])
"""


@pytest.fixture(scope="module")
def home(home: Home) -> Home:
    home.add("tf", LEGACY, network="none", ports=[8123])
    return home


@pytest.fixture(scope="module")
def panel(page: LabPage) -> Iterator[Panel]:
    page.launch("TF")
    yield Panel(page)
    forgive(page)


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
