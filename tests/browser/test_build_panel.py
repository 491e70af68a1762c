"""Images that are made in the page: built, prepared, written to files and read from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest
import registries
from conftest import pictures
from homes import MODERN, Home, engine_client
from kernels import until
from pages import KERNEL
from panels import Panel
from playwright.sync_api import Locator, expect

NAME = f"tfcontainer/test-build-panel-{registries.TOKEN}"
BASE, BARE = f"{NAME}:base", f"{NAME}:bare"
MARK = f"LABEL {registries.LABEL}={registries.TOKEN}"
# Python without ipykernel.
DEBIAN = "tfcontainer/python:debian"
# Milliseconds that an installation from the index of packages may take.
PATIENCE = 180_000
THEMES = ["JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.APIClient]:
    with closing(engine_client()) as client, registries.nothing_left(client):
        registries.image(client, BASE, b"1", parent=MODERN)
        registries.image(client, BARE, b"2", parent=DEBIAN)
        yield client


@pytest.fixture(scope="module")
def home(client: docker.APIClient, home: Home) -> Home:
    """What was made of the images is gone before they are."""
    return home


def write(home: Home, *lines: str) -> None:
    """A Dockerfile in a folder of the workspace."""
    folder = home.workspace / "image"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("\n".join((f"FROM {MODERN}", MARK, *lines)))


def row(panel: Panel, name: str) -> Locator:
    """The row of an image."""
    return panel.section("images").locator(f'[data-image="{name}"]')


def operations(panel: Panel) -> Locator:
    """The rows of what goes on, and of what failed."""
    return panel.section("images").locator("[data-operation]")


def fill(panel: Panel, **fields: str) -> None:
    """Fill in how an image is to be built."""
    for label, text in fields.items():
        panel.lab.dialog.get_by_label(label.replace("_", " "), exact=True).fill(text)


def refused(panel: Panel, status: int) -> None:
    """The page has a sentence for what the server refused; the browser complains of that by itself."""
    assert [f"status of {status}" in one for one in panel.lab.errors] == [True]
    panel.lab.errors.clear()


def build(panel: Panel, dockerfile: str, reference: str) -> None:
    """Build an image of a Dockerfile, without an environment."""
    panel.press("Build Image…")
    panel.lab.dialog.get_by_label("a Dockerfile in the workspace").check()
    fill(panel, Dockerfile=dockerfile, Name_of_the_image=reference)
    panel.lab.dialog.get_by_label("Put it into the launcher").uncheck()
    panel.lab.accept("Build Image")


def test_from_packages_to_a_notebook(panel: Panel, pytestconfig: pytest.Config) -> None:
    page, dialog = panel.page, panel.lab.dialog
    panel.press("Build Image…")
    go = dialog.get_by_role("button", name="Build", exact=True)
    expect(go).to_be_disabled()
    fill(panel, Image=BASE, Python_packages="--index-url=x", Name_of_the_image=f"{NAME}:packages")
    fill(panel, Name_in_the_launcher="Colours")
    # The server's own rules; what was filled in stays.
    go.click()
    expect(dialog.get_by_role("status")).to_contain_text("'--index-url=x', which is no Python package")
    refused(panel, 422)
    page.screenshot(path=pictures(pytestconfig) / "panel-build-problem.png")
    assert panel.complaints(".jp-tfcontainer-Form") == []
    expect(dialog.get_by_label("Image", exact=True)).to_have_value(BASE)
    fill(panel, Python_packages="colorama < 0.4.6")
    expect(dialog.get_by_role("status")).to_be_empty()
    page.screenshot(path=pictures(pytestconfig) / "panel-build.png")
    go.click()
    expect(dialog).to_have_count(0)
    expect(operations(panel)).to_contain_text("colorama<0.4.6")
    panel.press(f"Log of {NAME}:packages")
    log = page.locator(".jp-tfcontainer-FollowedLog").get_by_role("log")
    # While it goes on, or when it has just ended.
    expect(log).to_contain_text("colorama", timeout=PATIENCE)
    page.screenshot(path=pictures(pytestconfig) / "panel-build-log.png")
    assert panel.complaints() == []
    assert panel.complaints(".jp-tfcontainer-FollowedLog") == []
    expect(log).to_contain_text("and the environment colours made for it.", timeout=PATIENCE)
    expect(page.locator(".jp-tfcontainer-LogStatus")).to_contain_text("The log has ended.")
    # Without a reload.
    expect(panel.environment("colours")).to_be_visible()
    panel.lab.new_launcher()
    panel.lab.launch("Colours")
    expect(panel.lab.enter("import colorama; print(colorama.__version__)")).to_have_text("0.4.5\n")
    panel.lab.shut_down()


def test_what_is_in_an_image(panel: Panel, pytestconfig: pytest.Config) -> None:
    image = row(panel, f"{NAME}:packages")
    expect(image).to_contain_text("built here")
    image.locator("summary").click()
    expect(image.locator("dl")).to_contain_text(re.compile(rf"Python3\.\d+.*ipykernel7\..*TensorFlownone.*{BASE}"))
    image.scroll_into_view_if_needed()
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-image-inside.png")
    assert panel.complaints() == []


def test_a_build_that_fails(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    write(home, "RUN echo first > /first", "RUN echo this is why >&2; false", "RUN echo never")
    build(panel, "image", f"{NAME}:fails")
    failed = operations(panel).get_by_role("alert")
    expect(failed).to_contain_text("at step 4 of 6", timeout=PATIENCE)
    # The line that failed can be copied, and what it printed is below.
    expect(failed.locator("code")).to_have_text(["RUN echo this is why >&2; false"])
    expect(failed.locator("pre")).to_have_text("this is why")
    toast = panel.lab.toasts.filter(has_text=f"{NAME}:fails could not be built: RUN echo this is why >&2; false")
    expect(toast).to_be_visible()
    failed.scroll_into_view_if_needed()
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-build-fails.png")
    assert panel.complaints() == []
    toast.get_by_text("Show log").click()
    log = panel.page.get_by_role("log", name=f"Log of {NAME}:fails")
    expect(log).to_contain_text("Step 3/6 : RUN echo first > /first")
    expect(log).to_contain_text("this is why")
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-build-fails-log.png")
    panel.press(f"Take note of the failure of {NAME}:fails")
    expect(operations(panel)).to_have_count(0)


def test_a_build_is_cancelled(panel: Panel, home: Home, client: docker.APIClient) -> None:
    write(home, "RUN echo first > /first", "RUN echo sleeping; sleep 600")
    build(panel, "image/Dockerfile", f"{NAME}:cancelled")
    toast = panel.lab.toasts.filter(has_text=f"{NAME}:cancelled")
    expect(toast).to_contain_text("Step 4 of 5")
    bar = operations(panel).get_by_role("progressbar", name="Step 4 of 5")
    assert bar.evaluate("node => [node.value, node.max]") == [3, 5]
    toast.get_by_role("button", name="Cancel").click()
    expect(operations(panel)).to_have_count(0)
    expect(toast).to_have_count(0)
    assert until(lambda: not [one for one in client.containers() if "sleep 600" in one["Command"]], KERNEL / 1000)


def test_what_cannot_begin(panel: Panel) -> None:
    """The dialog says so, and can be left."""
    dialog = panel.lab.dialog
    panel.press("Build Image…")
    dialog.get_by_label("a Dockerfile in the workspace").check()
    fill(panel, Dockerfile="../outside", Name_in_the_launcher="No")
    dialog.get_by_role("button", name="Build", exact=True).click()
    expect(dialog.get_by_role("status")).to_contain_text("is not in the workspace")
    refused(panel, 422)
    panel.lab.leave()


def test_to_a_file_and_back(panel: Panel, home: Home, client: docker.APIClient, pytestconfig: pytest.Config) -> None:
    page, dialog, image = panel.page, panel.lab.dialog, row(panel, BARE)
    panel.more(BARE, "Save as Archive…", "images")
    expect(dialog.get_by_role("textbox")).to_have_value(f"{BARE.rpartition('/')[2].replace(':', '-')}.tar")
    dialog.get_by_role("textbox").fill("bare.tar")
    panel.lab.accept(f"Save {BARE} as Archive")
    expect(panel.lab.toasts.filter(has_text="is written")).to_be_visible(timeout=PATIENCE)
    assert (home.workspace / "bare.tar").stat().st_size > 10**6
    expect(operations(panel)).to_have_count(0)
    # There is one already.
    panel.more(BARE, "Save as Archive…", "images")
    dialog.get_by_role("textbox").fill("bare.tar")
    dialog.locator(".jp-mod-accept").click()
    expect(dialog).to_contain_text("The archive could not be written")
    expect(dialog).to_contain_text("bare.tar already")
    refused(panel, 409)
    panel.lab.leave()

    client.remove_image(BARE)
    panel.press("Look again")
    expect(image).to_have_count(0)
    (home.workspace / "notes.txt").write_text("no archive")
    panel.press("Load Images from an Archive…")
    file = dialog.locator(".jp-DirListing-item", has_text="bare.tar")
    expect(file).to_be_visible()
    expect(dialog.locator(".jp-DirListing-item", has_text="notes.txt")).to_have_count(0)
    file.click()
    page.screenshot(path=pictures(pytestconfig) / "panel-load.png")
    dialog.locator(".jp-mod-accept").click()
    expect(panel.lab.toasts.filter(has_text="bare.tar is here")).to_be_visible(timeout=PATIENCE)
    expect(image).to_be_visible()


def test_an_image_is_prepared(panel: Panel, pytestconfig: pytest.Config) -> None:
    """It is seen to lack ipykernel: one that is loaded is looked into."""
    image = row(panel, BARE)
    link = image.get_by_role("button", name=f"Prepare {BARE} for Jupyter")
    link.scroll_into_view_if_needed()
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-prepare.png")
    assert panel.complaints() == []
    link.click()
    toast = panel.lab.toasts.filter(has_text=f"Adding ipykernel to {BARE}")
    expect(toast).to_be_visible()
    made = panel.section("images").locator("[data-image]", has_text="with ipykernel, made here")
    made = made.filter(has_text=BARE)
    expect(made).to_have_count(1, timeout=PATIENCE)
    expect(toast).to_have_count(0)
    expect(link).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_everybody_can_use_it(panel: Panel, theme: str, pytestconfig: pytest.Config) -> None:
    page, dialog = panel.page, panel.lab.dialog
    panel.lab.menu("Settings", "Theme", f"{theme}$")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    panel.more(BASE, "Build on It…", "images")
    # Where the keyboard begins, and Escape is heard.
    expect(dialog.get_by_label("an image and packages")).to_be_focused()
    expect(dialog.get_by_label("Image", exact=True)).to_have_value(BASE)
    assert panel.complaints(".jp-tfcontainer-Form") == []
    page.screenshot(path=pictures(pytestconfig) / f"panel-build-{theme.rsplit(maxsplit=1)[-1]}.png")
    panel.lab.leave()
    assert panel.complaints() == []
