"""The side panel: from an empty machine to a notebook that runs, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import docker
import pytest
from conftest import pictures
from engines import PrivateEngine, private_engine
from homes import LEGACY, MODERN, Home, temporary_home
from kernels import until
from labs import lab
from pages import KERNEL, LabPage
from panels import Panel
from playwright.sync_api import Browser, expect

# It is on no machine that tests run on: ours stands in for it.
IMAGE, TAG = "tensorflow/tensorflow", "1.3.0-py3"
CPU = "TF 1.3.0 CPU"
THEMES = ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"]
# Notes each time the page says what is wrong of an engine that has an image for "tf".
UNKNOWN = """() => {
    window.wrong = [];
    const panel = document.querySelector("#jp-tfcontainer-panel");
    const look = () => {
        const text = selector => panel.querySelector(selector).textContent;
        const [tf, images] = [text("[data-name=tf]"), text("[data-section=images]")];
        if (tf.includes("pulled") || /\\b0 images/.test(images)) window.wrong.push([tf, images]);
    };
    new MutationObserver(look).observe(panel, { subtree: true, childList: true, characterData: true });
}"""
BURN = """
import time
kept = bytearray(b'x') * 200000000
end = time.time() + 5
while time.time() < end: pass
"""


@pytest.fixture(scope="module")
def home(home: Home) -> Iterator[Home]:
    """Environments of every kind."""
    engine = docker.APIClient()
    engine.tag(LEGACY, IMAGE, TAG)
    try:
        home.add("limited", MODERN, memory="1g", cpus=1.5)
        home.add("broken", MODERN, gpu="all")
        yield home
    finally:
        engine.remove_image(f"{IMAGE}:{TAG}")
        engine.close()


def test_machine_and_environments(panel: Panel) -> None:
    engine = panel.lab.lab.get("api/tfcontainer/engine")
    expect(panel.section("machine")).to_contain_text(f"Docker {engine['version']}")
    expect(panel.section("machine")).to_contain_text("No NVIDIA card")
    shipped = panel.environment("tf-1.2.1-gpu")
    expect(shipped).to_contain_text("TensorFlow 1.2.1 · Python 3.5 · CUDA 8.0 · all GPUs")
    reason = shipped.get_by_text(re.compile("no NVIDIA card|driver tells of no card"))
    expect(reason).not_to_be_visible()
    shipped.locator("summary", has_text="Cannot run here").click()
    expect(reason).to_be_visible()
    # Nobody is invited to fetch what cannot run.
    expect(shipped.get_by_role("button", name="Pull the image of TF 1.2.1 GPU now")).to_have_count(0)
    expect(shipped).to_contain_text("Image not pulled yet")
    panel.environment("broken").locator("summary", has_text="Cannot be read").click()
    expect(panel.environment("broken").get_by_text("not known: gpu")).to_be_visible()
    expect(panel.environment("broken").get_by_role("button", name="New notebook")).to_have_count(0)
    assert panel.complaints() == []


def test_from_the_catalog_to_a_notebook(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    page = panel.page
    panel.press("Add Environment…")
    dialog = panel.lab.dialog
    add = dialog.get_by_role("button", name="Add")
    # Something that runs here is preselected.
    expect(dialog).to_contain_text("Works here")
    expect(add).to_be_enabled()
    dialog.get_by_label("TensorFlow").select_option("1.3.0")
    dialog.get_by_label("GPU", exact=True).check()
    expect(dialog.locator(".jp-tfcontainer-Needs")).to_contain_text(re.compile(r"CUDA8\.0cuDNN6Driver.* or later"))
    dialog.get_by_label("CPU", exact=True).check()
    expect(dialog.locator(".jp-tfcontainer-Needs")).to_have_text(f"Image{IMAGE}:{TAG}")
    expect(dialog).to_contain_text("Works here")
    dialog.locator("summary").click()
    dialog.get_by_label("Memory", exact=True).fill("much")
    expect(dialog.get_by_role("status")).to_contain_text("memory: 'much'. It must be a number of bytes, or a size")
    expect(add).to_be_disabled()
    page.screenshot(path=pictures(pytestconfig) / "panel-add-problem.png")
    assert panel.complaints(".jp-tfcontainer-Form") == []
    dialog.get_by_label("Memory", exact=True).fill("1g")
    dialog.get_by_label("Variables").fill("GREETING=hello")
    expect(add).to_be_enabled()
    page.screenshot(path=pictures(pytestconfig) / "panel-add.png")
    add.click()
    expect(dialog).to_have_count(0)
    expect(panel.environment("tf-1.3.0-cpu")).to_contain_text("TensorFlow 1.3.0 · Python 3.5 · CPU")
    # Without a reload.
    expect(panel.lab.card(CPU)).to_be_visible()

    panel.lab.start(lambda: panel.press(f"New notebook with {CPU}"), CPU)
    asked = panel.lab.enter("import os, tensorflow; print(os.environ['GREETING'] + tensorflow.__version__)")
    expect(asked).to_have_text("hello1.2.1\n")
    row = panel.running(CPU)
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text(re.compile(r"\d+ MiB of 1 GiB"))
    assert len(home.containers()) == 1


def test_what_runs_is_seen_and_stopped(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    page, row = panel.page, panel.running(CPU)
    before = [one["Id"] for one in home.containers()]
    panel.lab.enter(BURN)
    # One processor is busy, as far as others leave it, and the memory is in use.
    expect(row).to_contain_text(re.compile(r"([1-9]\.\d|0\.[1-9]) CPUs"))
    expect(row).to_contain_text(re.compile(r"[23]\d\d MiB of 1 GiB"))
    graph = row.get_by_role("img", name=re.compile("Memory in the last two minutes, now .* of 1 GiB"))
    expect(graph.locator(".jp-tfcontainer-Limit")).to_have_count(1)
    page.screenshot(path=pictures(pytestconfig) / "panel-running.png")
    assert panel.complaints() == []

    panel.lab.new_launcher()
    row.get_by_role("button", name="Untitled.ipynb").click()
    expect(panel.lab.notebook).to_be_visible()

    panel.press(f"Restart the kernel of {CPU}")
    panel.lab.answered("POST", "restart", lambda: panel.lab.accept("Restart the kernel of Untitled.ipynb?"))
    expect(panel.lab.enter("print('kept' in globals())")).to_have_text("False\n")
    assert [one["Id"] for one in home.containers()] == before
    status = page.get_by_title("Container of this notebook: show it")
    expect(status).to_have_text(re.compile(rf"{CPU} · \d+ MiB of 1 GiB"))
    panel.lab.notebook.get_by_role("button", name="Container of this notebook", exact=True).click()
    expect(page.locator(".lm-Menu-itemLabel", has_text="Restart in a Fresh Container…")).to_be_visible()
    page.keyboard.press("Escape")
    panel.more(CPU, "Restart in a Fresh Container…", "running")
    panel.lab.answered(
        "POST", "restart-fresh", lambda: panel.lab.accept("Restart Untitled.ipynb in a fresh container?")
    )
    expect(panel.lab.enter("print(6 * 7)")).to_have_text("42\n")
    after = [one["Id"] for one in home.containers()]
    assert len(after) == 1
    assert after != before

    panel.press(f"Stop {CPU}")
    panel.lab.accept(f"Stop {CPU}?")
    expect(row).to_have_count(0)
    assert home.containers() == []


def test_the_log_is_followed_searched_and_saved(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    page = panel.page
    panel.lab.new_launcher()
    panel.lab.launch("LIMITED")
    panel.press("Log of LIMITED")
    log = page.locator(".jp-tfcontainer-FollowedLog")
    expect(log.get_by_role("log")).to_contain_text("ready: Python")
    panel.lab.enter("import os; _ = [os.write(2, b'line %d\\n' % number) for number in range(300)]")
    expect(log.get_by_role("log")).to_contain_text("line 299")
    # Its end is in sight.
    in_sight = "node => node.scrollTop + node.clientHeight >= node.scrollHeight - 4"
    assert until(lambda: log.get_by_role("log").evaluate(in_sight), KERNEL / 1000)
    page.get_by_role("searchbox", name="Find lines").fill("LINE 29")
    expect(log.get_by_role("log")).to_have_text(re.compile(r"^line 29\nline 290\n.*line 299$", re.DOTALL))
    expect(log.get_by_role("status")).to_have_text("11 lines · Follows")
    page.screenshot(path=pictures(pytestconfig) / "panel-log.png")
    assert panel.complaints(".jp-tfcontainer-FollowedLog, .jp-tfcontainer-Search") == []
    with page.expect_download() as download:
        page.locator(".jp-Toolbar:visible").get_by_role("button", name="Save", exact=True).click()
    assert "line 0\n" in download.value.path().read_text()


def test_a_terminal_beside_the_kernel(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    page = panel.page
    with page.expect_websocket(lambda socket: "terminals" in socket.url) as socket:
        panel.press("Terminal in LIMITED")
    terminal = page.locator(".jp-Terminal:visible")
    container = panel.running("LIMITED").get_attribute("data-id") or ""
    # It is drawn: its text is not in the page.
    socket.value.wait_for_event("framereceived", lambda frame: f"{container[:12]}:/notebooks" in str(frame))
    terminal.click()
    page.keyboard.type("touch from-the-terminal\n")
    assert until((home.workspace / "from-the-terminal").exists, KERNEL / 1000)
    page.screenshot(path=pictures(pytestconfig) / "panel-terminal.png")
    panel.press("Stop LIMITED")
    panel.lab.accept("Stop LIMITED?")
    expect(
        panel.lab.toasts.filter(has_text="The terminal of LIMITED was closed: its container is gone.")
    ).to_be_visible()
    expect(terminal).to_have_count(0)
    expect(page.locator(".jp-tfcontainer-LogStatus")).to_contain_text("The log has ended")
    assert container not in [one["Id"] for one in home.containers()]


def test_a_start_ahead_is_taken(panel: Panel, home: Home) -> None:
    panel.press("Start LIMITED ahead")
    row = panel.running("LIMITED")
    expect(row).to_contain_text("Waits for a kernel")
    (ahead,) = home.containers()
    panel.lab.new_launcher()
    panel.lab.launch("LIMITED")
    expect(row).to_contain_text("Running")
    assert [one["Id"] for one in home.containers()] == [ahead["Id"]]
    panel.lab.shut_down()
    # No event tells of an end that was asked for.
    expect(row).to_have_count(0)


def test_environments_are_copied_changed_exported_and_deleted(panel: Panel, home: Home) -> None:
    page, dialog = panel.page, panel.lab.dialog
    panel.lab.new_launcher()
    panel.more(CPU, "Copy…")
    dialog.get_by_role("textbox").fill("Mine")
    panel.lab.accept(f"Copy {CPU}")
    expect(panel.lab.card("Mine")).to_be_visible()

    panel.more("Mine", "Edit…")
    # Values are not shown, and stay.
    expect(dialog.get_by_label("Variables")).to_have_value("GREETING")
    dialog.get_by_label("Memory", exact=True).fill("2g")
    expect(dialog.get_by_role("button", name="Save")).to_be_enabled()
    save = dialog.get_by_role("button", name="Save")
    panel.lab.answered("PATCH", "api/tfcontainer/environments/mine", save.click)
    expect(dialog).to_have_count(0)
    spec = json.loads((home.data / "kernels" / "mine" / "kernel.json").read_text())
    assert spec["env"] == {"GREETING": "hello"}
    assert spec["metadata"]["kernel_provisioner"]["config"] == {"image": f"{IMAGE}:{TAG}", "memory": "2g"}

    with page.expect_download() as download:
        panel.more("Mine", "Export")
    assert download.value.suggested_filename == "mine.json"
    exported = json.loads(download.value.path().read_text())
    assert exported["config"] == spec["metadata"]["kernel_provisioner"]["config"]

    panel.more("Mine", "Delete…")
    panel.lab.accept("Delete Mine?")
    expect(panel.environment("mine")).to_have_count(0)
    expect(panel.lab.card("Mine")).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        panel.press("Import Environment…")
    chooser.value.set_files(
        {"name": "mine.json", "mimeType": "application/json", "buffer": json.dumps(exported).encode()}
    )
    expect(panel.lab.card("Mine")).to_be_visible()

    panel.more("Mine", "Hide from the Launcher")
    expect(panel.lab.card("Mine")).to_have_count(0)
    panel.node.get_by_text("Hidden (1)").click()
    panel.more("Mine", "Show in the Launcher")
    expect(panel.lab.card("Mine")).to_be_visible()
    panel.more("Mine", "Delete…")
    panel.lab.accept("Delete Mine?")
    expect(panel.environment("mine")).to_have_count(0)


def test_a_second_page_sees_the_same(panel: Panel, browser: Browser) -> None:
    with LabPage(browser, panel.lab.lab) as other:
        second = Panel(other)
        second.open()
        panel.press("Start LIMITED ahead")
        expect(second.running("LIMITED")).to_contain_text("Waits for a kernel")
        second.press("Stop LIMITED")
        other.accept("Stop LIMITED?")
        expect(panel.running("LIMITED")).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_everybody_can_read_it(panel: Panel, theme: str, pytestconfig: pytest.Config) -> None:
    panel.lab.menu("Settings", "Theme", f"{theme}$")
    expect(panel.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    assert panel.complaints() == []
    panel.page.screenshot(path=pictures(pytestconfig) / f"panel-{theme.rsplit(maxsplit=1)[-1]}.png")
    panel.press("Add Environment…")
    expect(panel.lab.dialog).to_contain_text("Works here")
    assert panel.complaints(".jp-tfcontainer-Form") == []
    panel.lab.leave()
    panel.lab.menu("Settings", "Theme", f"{THEMES[0]}$")


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """An engine of our own, to be stopped."""
    with private_engine() as engine:
        engine.start()
        engine.load(MODERN, MODERN)
        yield engine


def test_an_engine_that_goes_and_comes_back(
    engine: PrivateEngine, browser: Browser, pytestconfig: pytest.Config
) -> None:
    with temporary_home() as home:
        home.add("tf", MODERN)
        with lab(home, engine_url=engine.url) as server, LabPage(browser, server) as page:
            panel = Panel(page)
            panel.open()
            notebook = panel.environment("tf").get_by_role("button", name="New notebook with TF")
            expect(notebook).to_be_enabled()
            expect(panel.section("images").locator(f'[data-image="{MODERN}"]')).to_contain_text("Used by TF")
            expect(panel.environment("tf-1.2.1-gpu")).to_contain_text("Image not pulled yet")
            page.page.evaluate(UNKNOWN)
            engine.stop()
            expect(panel.section("machine")).to_contain_text("No container engine")
            expect(notebook).to_be_disabled()
            command = panel.section("machine").get_by_role("button", name="Copy “sudo systemctl start docker”")
            expect(command).to_be_visible()
            # What it has and what runs there is not known meanwhile, and nothing is said of it.
            for name in ("running", "images"):
                body = panel.section(name).locator(".jp-tfcontainer-SectionBody")
                expect(body).to_have_text("Not known while no engine answers.")
            expect(panel.section("environments")).not_to_contain_text("pulled")
            expect(panel.section("machine")).not_to_contain_text("run all the same")
            # It is a state, and nothing that has to be answered.
            expect(page.dialog).to_have_count(0)
            page.picture(pictures(pytestconfig) / "panel-no-engine.png")
            assert panel.complaints() == []
            engine.start()
            expect(panel.section("machine")).to_contain_text("Docker")
            expect(notebook).to_be_enabled()
            expect(panel.section("running")).to_contain_text("Nothing runs.")
            expect(panel.section("images")).to_contain_text("Used by TF")
            expect(panel.environment("tf-1.2.1-gpu")).to_contain_text("Image not pulled yet")
            expect(panel.environment("tf")).not_to_contain_text("pulled")
            # Nor is anything else said in a moment between.
            assert page.page.evaluate("window.wrong") == []
            assert page.errors == []
            assert until(lambda: home.containers() == [], KERNEL / 1000)


def test_a_narrow_page(panel: Panel, pytestconfig: pytest.Config) -> None:
    panel.page.set_viewport_size({"width": 800, "height": 600})
    body = panel.section("environments").locator(".jp-tfcontainer-SectionBody")
    assert body.evaluate("node => node.scrollWidth <= node.clientWidth")
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-narrow.png")
    panel.page.set_viewport_size({"width": 1400, "height": 900})
