"""Images in the side panel: pulled from a slow registry, cancelled, used, removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest
import registries
from conftest import pictures
from homes import Home, engine_client
from panels import Panel
from playwright.sync_api import expect
from registries import Slow

MEGABYTE = 10**6
# Notes what the page shows of an image, in order: how far its pull is, in bytes, or that it is there, or nothing. Of
# every change of the page, be it painted or not.
WATCH = """reference => {
    window.shown = [];
    const section = document.querySelector("#jp-tfcontainer-panel [data-section=images]");
    const look = () => {
        const pull = section.querySelector("[data-operation]");
        const bytes = pull?.querySelector("[data-bytes]")?.dataset.bytes;
        const there = section.querySelector(`[data-image="${reference}"]`);
        const now = pull ? (bytes ? Number(bytes) : "begun") : there ? "there" : "nothing";
        if (window.shown.at(-1) !== now) window.shown.push(now);
    };
    look();
    new MutationObserver(look).observe(section, { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def client() -> Iterator[docker.APIClient]:
    with closing(engine_client()) as client, registries.nothing_left(client):
        yield client


@pytest.fixture(scope="module")
def line(client: docker.APIClient) -> Iterator[Slow]:
    """A slow connection to a registry that has an image in which a kernel runs."""
    with registries.far(client, "test/far:1", 4, 2) as line:
        yield line


@pytest.fixture(scope="module")
def home(line: Slow, home: Home) -> Home:
    home.add("far", f"{line.name}/test/far:1")
    return home


def test_a_pull_is_cancelled(panel: Panel, line: Slow, pytestconfig: pytest.Config) -> None:
    expect(panel.environment("far")).to_contain_text("Image not pulled yet")
    panel.press("Pull the image of FAR now")
    toast = panel.lab.toasts.filter(has_text=f"Pulling {line.name}/test/far:1")
    expect(toast).to_contain_text(re.compile(r"\d+ MB of 6 MB · \d+%"))
    expect(panel.section("images").locator("[data-operation] progress")).to_be_visible()
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-pull.png")
    assert panel.complaints() == []
    toast.get_by_text("Cancel").click()
    expect(panel.section("images").locator("[data-operation]")).to_have_count(0)
    expect(toast).to_have_count(0)
    expect(panel.environment("far")).to_contain_text("Image not pulled yet")


def test_a_pull_is_seen_to_its_last_byte(panel: Panel, line: Slow) -> None:
    reference = f"{line.name}/test/far:1"
    panel.page.evaluate(WATCH, reference)
    panel.press("Pull the image of FAR now")
    expect(panel.lab.toasts.filter(has_text=f"{reference} is here")).to_be_visible()
    row = panel.section("images").locator(f'[data-image="{reference}"]')
    expect(row).to_contain_text("Used by FAR")
    shown = panel.page.evaluate("window.shown")
    # The row of the pull gives way to that of the image: there is no moment without either.
    assert [one for one in shown if one in ("nothing", "there")] == ["nothing", "there"], shown
    assert shown[-1] == "there", shown
    counts = [one for one in shown if isinstance(one, int)]
    assert len(set(counts)) >= 3
    assert counts == sorted(counts)
    operation = panel.lab.lab.get("api/tfcontainer/operations")[0]
    assert counts[-1] == operation["progress"]["total"] > 6 * MEGABYTE
    expect(panel.environment("far")).not_to_contain_text("not pulled yet")


def test_an_image_is_removed(panel: Panel, line: Slow, pytestconfig: pytest.Config) -> None:
    name = f"{line.name}/test/far:1"
    panel.lab.launch("FAR")
    expect(panel.running("FAR")).to_contain_text("Running")
    remove = panel.section("images").get_by_role("button", name=f"Remove {name}")
    # A container is in it.
    expect(remove).to_be_disabled()
    panel.lab.enter("open('/opt/kept', 'w').close()")
    panel.lab.ready("FAR")
    panel.more("FAR", "Save as Image…", "running")
    panel.lab.dialog.get_by_role("textbox").fill("Saved")
    panel.lab.accept("Save What Is in FAR")
    # The image, and its environment.
    expect(panel.environment("saved")).to_contain_text("CPU")
    expect(panel.section("images")).to_contain_text("saved from a container")
    panel.lab.shut_down()
    expect(remove).to_be_enabled()
    panel.lab.new_launcher()
    panel.lab.launch("Saved")
    expect(panel.lab.enter("import os; print(os.path.exists('/opt/kept'))")).to_have_text("True\n")
    panel.lab.shut_down()
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-images.png")
    remove.click()
    expect(panel.lab.dialog).to_contain_text("It is pulled again at the next start of far.")
    panel.lab.accept(f"Remove {name}?")
    expect(panel.section("images").locator(f'[data-image="{name}"]')).to_have_count(0)
    expect(panel.environment("far")).to_contain_text("Image not pulled yet")


def test_an_image_that_is_not_there(panel: Panel, line: Slow) -> None:
    panel.press("Pull Image…")
    panel.lab.dialog.get_by_role("textbox").fill(f"{line.name}/test/none:1")
    panel.lab.accept("Pull Image")
    failed = panel.section("images").locator("[data-operation]")
    expect(failed.get_by_role("alert")).to_contain_text("none:1")
    panel.press(f"Take note of the failure of {line.name}/test/none:1")
    expect(failed).to_have_count(0)
