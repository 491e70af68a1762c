"""The side panel in states that no person makes on purpose: much of everything, and less than everything allowed."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import guards
import pytest
import registries
from conftest import pictures
from engines import PrivateEngine, private_engine
from homes import MODERN, Home, temporary_home
from labs import lab
from pages import LabPage
from panels import Panel, opened
from playwright.sync_api import Browser, expect

THEMES = ["JupyterLab Dark", "JupyterLab Light"]
IMAGES, CONTAINERS = 200, 30
# How much the page may take to draw all of it anew, and in each second in which it shows figures, measured by what it
# takes to draw rows of nothing but text and buttons: how fast a machine is, and what else it does, is not our merit.
DRAWN, SHARE = 3.0, 0.5
PLAIN = """() => {
    for (let times = 0; times < 10; times++) {
        const box = document.createElement("div");
        for (let row = 0; row < 300; row++) {
            const line = box.appendChild(document.createElement("div"));
            line.style.display = "flex";
            line.append(`row ${row} of ${times}`);
            line.appendChild(document.createElement("button")).textContent = "Press";
        }
        document.body.append(box);
        box.getBoundingClientRect();
        box.remove();
    }
}"""
# Containers that start at the same time.
AT_ONCE = 3
MEGABYTE = 10**6
REPOSITORY = "many/images"
FORBIDDEN = "does not let you change containers, images and environments. Its administrator decides that."


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """An engine whose images and containers are nobody else's."""
    with private_engine() as engine:
        subprocess.run(["ip", "-n", engine.namespace, "link", "set", "lo", "up"], check=True)
        # Of its own accord it would try for minutes.
        engine.start(settings={"max-download-attempts": 1})
        engine.load(MODERN)
        yield engine


@pytest.fixture(scope="module")
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    with closing(docker.APIClient(engine.url)) as client:
        yield client


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as home:
        home.add("tf", MODERN, memory="256m")
        yield home


@pytest.fixture(scope="module")
def panel(engine: PrivateEngine, home: Home, browser: Browser) -> Iterator[Panel]:
    authorizer = f"--ServerApp.authorizer_class={guards.__name__}.{guards.Reader.__name__}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        with lab(home, authorizer, engine_url=engine.url) as server, opened(browser, server) as panel:
            yield panel


@pytest.fixture(autouse=True)
def calm(panel: Panel) -> Iterator[None]:
    """Whatever state it is: no dialog is left open, and the page complains of nothing."""
    yield
    expect(panel.lab.dialog).to_have_count(0)
    assert panel.lab.errors == []


@contextmanager
def theme(panel: Panel, name: str) -> Iterator[None]:
    """Wear a theme for a while."""
    panel.lab.menu("Settings", "Theme", f"{name}$")
    expect(panel.page.locator("body")).to_have_attribute("data-jp-theme-name", name)
    yield
    if name != THEMES[-1]:
        panel.lab.menu("Settings", "Theme", f"{THEMES[-1]}$")


def everybody_can_read_it(panel: Panel, folder: Path, name: str) -> None:
    """Look at the panel in light and dark, and keep what is to be seen."""
    for one in THEMES:
        with theme(panel, one):
            assert panel.complaints() == []
            panel.lab.picture(folder / f"state-{name}-{one.split()[-1].lower()}.png")


def taken(panel: Panel, act: Callable[[], None]) -> float:
    """Seconds of its processor that the page takes for something, whatever else the machine does."""
    session = panel.page.context.new_cdp_session(panel.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    before = spent()
    act()
    after = spent()
    session.detach()
    return after - before


def effort(panel: Panel, act: Callable[[], None]) -> float:
    """What something takes of the page's processor, as a multiple of what plain rows take."""
    plain = min(taken(panel, lambda: panel.page.evaluate(PLAIN)) for _ in range(3))
    spent = taken(panel, act)
    print(f"{spent:.2f} s of the page's processor, and {plain:.2f} s for plain rows")
    return spent / plain


def look_again(panel: Panel) -> None:
    """Have all of it asked anew."""
    panel.lab.answered("GET", "api/tfcontainer/images", lambda: panel.press("Look again"))
    # What came is drawn by then.
    panel.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_pull_that_fails_midway(
    panel: Panel, engine: PrivateEngine, client: docker.APIClient, home: Home, pytestconfig: pytest.Config
) -> None:
    with registries.registry() as registry, registries.slow(registry, MEGABYTE, engine.namespace) as line:
        reference = f"{line.name}/test/far:1"
        registries.image(client, reference, os.urandom(40 * MEGABYTE))
        registries.push(client, reference)
        panel.press("Pull Image…")
        panel.lab.dialog.get_by_role("textbox").fill(reference)
        panel.lab.accept("Pull Image")
        operation = panel.section("images").locator("[data-operation]")
        expect(operation).to_contain_text(re.compile(r"[1-9]\d* MB of 40 MB"))
        everybody_can_read_it(panel, pictures(pytestconfig), "pull")
        registry.kill()
        failure = operation.get_by_role("alert")
        expect(failure).to_contain_text(reference)
        assert re.search(r"could not pull the image .*\. .* registry", failure.inner_text()), failure.inner_text()
    toast = panel.lab.toasts.filter(has_text=reference)
    expect(toast).to_contain_text("could not pull the image")
    everybody_can_read_it(panel, pictures(pytestconfig), "pull-failed")
    panel.lab.page.locator('.jp-SideBar [data-id="filebrowser"]').click()
    expect(panel.node).not_to_be_visible()
    # A notification has room for its beginning only.
    toast.get_by_text("Show all").click()
    expect(failure).to_be_visible()
    panel.press(f"Take note of the failure of {reference}")
    expect(operation).to_have_count(0)


def test_two_hundred_images(panel: Panel, client: docker.APIClient, pytestconfig: pytest.Config) -> None:
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    for number in range(IMAGES):
        # The time makes each another.
        client.import_image_from_data(archive.getvalue(), repository=REPOSITORY, tag=str(number))
    rows = panel.section("images").locator("[data-image]")

    def look_at_all() -> None:
        look_again(panel)
        expect(rows).to_have_count(IMAGES + 1)

    assert effort(panel, look_at_all) < DRAWN
    assert effort(panel, lambda: look_again(panel)) < DRAWN
    expect(panel.section("images")).to_contain_text(f"{IMAGES + 1} images")
    rows.last.scroll_into_view_if_needed()
    everybody_can_read_it(panel, pictures(pytestconfig), "images")


@pytest.fixture
def denied(panel: Panel, home: Home) -> Iterator[None]:
    """A container runs, and nothing may be changed any more."""
    panel.press("Start TF ahead")
    row = panel.running("TF")
    expect(row).to_contain_text("Waits for a kernel")
    (home.workspace / guards.NAME).touch()
    yield
    (home.workspace / guards.NAME).unlink()
    panel.press("Stop TF")
    panel.lab.accept("Stop TF?")
    expect(row).to_have_count(0)


# What is pressed, or chosen from a menu in a section; the button of the dialog that then asks, and what could not be.
WRITES = [
    ("Start TF ahead", "", "", "The container could not be started"),
    ("Hide from the Launcher", "environments", "", "The environment could not be hidden"),
    ("Copy…", "environments", "Copy", "The environment could not be copied"),
    ("Delete…", "environments", "Delete", "The environment could not be deleted"),
    ("Terminal in TF", "", "", "The terminal could not be opened"),
    ("Save as Image…", "running", "Save", "The container could not be saved"),
    ("Stop TF", "", "Stop", "The container could not be stopped"),
    (f"Remove {REPOSITORY}:7", "", "Remove", "The image could not be removed"),
]


@pytest.mark.usefixtures("denied")
def test_nothing_may_be_changed(panel: Panel, pytestconfig: pytest.Config) -> None:
    dialog = panel.lab.dialog
    for action, section, button, title in WRITES:
        if section:
            panel.more("TF", action, section)
        else:
            panel.press(action)
        if button:
            dialog.get_by_role("button", name=button, exact=True).click()
        expect(dialog.locator(".jp-Dialog-header")).to_have_text(title)
        expect(dialog).to_contain_text(FORBIDDEN)
        if action == WRITES[0][0]:
            panel.lab.picture(pictures(pytestconfig) / "state-denied.png")
        dialog.get_by_role("button", name="Close").click()
        expect(dialog).to_have_count(0)
    for action, button in (("Edit…", "Save"), ("Add Environment…", "Add")):
        if button == "Save":
            panel.more("TF", action)
        else:
            panel.press(action)
        expect(dialog.get_by_role("status")).to_contain_text(FORBIDDEN)
        expect(dialog.get_by_role("button", name=button, exact=True)).to_be_disabled()
        panel.lab.picture(pictures(pytestconfig) / f"state-denied-{button.lower()}.png")
        assert panel.complaints(".jp-tfcontainer-Form") == []
        # It has the keyboard, though its button cannot be pressed.
        panel.lab.leave()
    everybody_can_read_it(panel, pictures(pytestconfig), "denied")
    # What was refused stands in the console as well, and nothing else does.
    assert [one for one in panel.lab.errors if "403" not in one] == []
    panel.lab.errors.clear()


def test_thirty_containers(panel: Panel, browser: Browser, pytestconfig: pytest.Config) -> None:
    server = panel.lab.lab
    with ThreadPoolExecutor(AT_ONCE) as threads:
        started = [
            threads.submit(server.post, "api/tfcontainer/containers", {"environment": "tf"}) for _ in range(CONTAINERS)
        ]
        ids = {one.result()["id"] for one in started}
    assert len(ids) == CONTAINERS
    rows = panel.running("TF")
    expect(rows).to_have_count(CONTAINERS)
    expect(rows.last.get_by_role("img").first).to_be_attached()
    expect(rows.last).to_contain_text(re.compile(r"\d+ MiB of 256 MiB"))
    assert effort(panel, lambda: look_again(panel)) < DRAWN
    seconds = 10
    assert effort(panel, lambda: panel.page.wait_for_timeout(seconds * 1000)) / seconds < SHARE
    everybody_can_read_it(panel, pictures(pytestconfig), "containers")
    with LabPage(browser, server) as other:
        second = Panel(other)
        second.open()
        expect(second.running("TF")).to_have_count(CONTAINERS)
        gone = panel.running("TF").first.get_attribute("data-id")
        second.node.locator(f'[data-id="{gone}"]').get_by_role("button", name="Stop TF").click()
        other.accept("Stop TF?")
        expect(rows).to_have_count(CONTAINERS - 1)
        assert second.complaints() == []
    panel.page.set_viewport_size({"width": 800, "height": 600})
    for name in ("machine", "environments", "running", "images"):
        body = panel.section(name).locator(".jp-tfcontainer-SectionBody")
        assert body.evaluate("node => node.scrollWidth <= node.clientWidth"), name
    everybody_can_read_it(panel, pictures(pytestconfig), "narrow")
    panel.page.set_viewport_size({"width": 1400, "height": 900})
