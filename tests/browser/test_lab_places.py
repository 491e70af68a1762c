"""Where containers are found elsewhere in JupyterLab, below an address of its own: launcher, running, notifications."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest
import registries
from conftest import pictures
from homes import MODERN, Home, engine_client, temporary_home
from kernels import until
from labs import lab
from pages import KERNEL, LabPage
from panels import Panel
from playwright.sync_api import Browser, Locator, expect
from registries import Slow

# It cannot even be imported where there is no driver, so that nobody pulls it.
GPU_IMAGE = "tensorflow/tensorflow:1.5.0-gpu-py3"
MEGABYTE = 10**6
# How a workspace that is kept names our part of it.
KEPT = "jupyter-tfcontainer:folded"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.APIClient]:
    with closing(engine_client()) as client, registries.nothing_left(client):
        yield client


@pytest.fixture(scope="module")
def line(client: docker.APIClient) -> Iterator[Slow]:
    """A slow connection to a registry that has an image, in which nothing ever runs."""
    with registries.registry() as registry:
        reference = f"{registry.name}/test/places:1"
        registries.image(client, reference, os.urandom(6 * MEGABYTE))
        registries.push(client, reference)
        with registries.slow(registry, MEGABYTE) as line:
            yield line


@pytest.fixture(scope="module")
def home(line: Slow) -> Iterator[Home]:
    with temporary_home() as home:
        home.add("here", MODERN)
        home.add("far", f"{line.name}/test/places:1")
        home.add("old", GPU_IMAGE)
        yield home


@pytest.fixture(scope="module")
def panel(home: Home, browser: Browser) -> Iterator[Panel]:
    with lab(home, "--ServerApp.base_url=/some/where/") as server, LabPage(browser, server) as page:
        yield Panel(page)


def listed(panel: Panel, name: str) -> Locator:
    """The items of JupyterLab's own list of what runs that have a name."""
    return panel.page.locator("#jp-running-sessions .jp-RunningSessions-item.jp-mod-tfcontainer", has_text=name)


def show_running(panel: Panel) -> None:
    """Show JupyterLab's own list of what runs."""
    if not panel.page.locator("#jp-running-sessions").is_visible():
        panel.page.locator('[data-id="jp-running-sessions"]').click()


def test_a_card_in_the_launcher(panel: Panel) -> None:
    expect(panel.node).not_to_be_visible()
    panel.lab.launcher.locator('.jp-LauncherCard[data-category="Other"]', has_text="TensorFlow Containers").click()
    expect(panel.environment("here")).to_be_visible()


def test_containers_are_in_the_list_of_what_runs(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    page = panel.page
    panel.lab.launch("HERE")
    show_running(panel)
    item = listed(panel, "HERE")
    expect(item).to_contain_text("Untitled.ipynb")
    page.screenshot(path=pictures(pytestconfig) / "places-running.png")
    panel.lab.new_launcher()
    item.locator(".jp-RunningSessions-itemLabel").click()
    expect(panel.lab.notebook).to_be_visible()
    item.hover()
    item.get_by_title("Stop the container").click()
    expect(item).to_have_count(0)
    assert until(lambda: home.containers() == [], KERNEL / 1000)


def test_what_stands_by_is_listed_and_all_are_stopped(panel: Panel, home: Home) -> None:
    page = panel.page
    panel.open()
    panel.press("Start HERE ahead")
    expect(panel.running("HERE")).to_contain_text("Waits for a kernel")
    show_running(panel)
    item = listed(panel, "HERE")
    expect(item).to_contain_text("Waits for a kernel")
    item.locator(".jp-RunningSessions-itemLabel").click()
    expect(panel.running("HERE")).to_be_visible()
    show_running(panel)
    title = page.locator('.jp-AccordionPanel-title[aria-label="TensorFlow Containers Section"]')
    title.get_by_text("Stop All").click()
    expect(panel.lab.dialog).to_contain_text("All kernels in containers end")
    panel.lab.accept("Stop All?")
    expect(item).to_have_count(0)
    assert home.containers() == []


def test_a_start_is_cancelled_while_its_image_is_pulled(panel: Panel, pytestconfig: pytest.Config) -> None:
    panel.lab.new_launcher()
    toast = panel.lab.toasts.filter(has_text="FAR")

    def cancel() -> None:
        expect(toast).to_contain_text(re.compile(r"pulling its image.*MB"))
        panel.page.screenshot(path=pictures(pytestconfig) / "places-cancel.png")
        toast.get_by_text("Cancel").click()

    reason = panel.lab.refused("FAR", cancel)
    assert "was cancelled by" in reason
    # It is told once.
    expect(toast).to_have_count(0)
    # That the server refused is in the console too.
    panel.lab.errors.clear()


def test_what_runs_instead_is_one_click_away(panel: Panel, pytestconfig: pytest.Config) -> None:
    panel.open()
    reason = panel.lab.refused("OLD")
    assert "NVIDIA" in reason
    toast = panel.lab.toasts.filter(has_text="OLD cannot run on this machine. TF 1.5.0 CPU can.")
    panel.page.screenshot(path=pictures(pytestconfig) / "places-instead.png")
    toast.get_by_text("Add TF 1.5.0 CPU").click()
    expect(panel.lab.card("TF 1.5.0 CPU")).to_be_visible()
    row = panel.environment("old")
    expect(row.get_by_role("button", name="New notebook with TF 1.5.0 CPU instead")).to_be_visible()
    # So it is in the list, before anybody has tried.
    shipped = panel.environment("tf-1.2.1-gpu")
    shipped.get_by_role("button", name="Add TF 1.2.1 CPU instead").click()
    expect(panel.lab.card("TF 1.2.1 CPU")).to_be_visible()
    expect(shipped.get_by_role("button", name="New notebook with TF 1.2.1 CPU instead")).to_be_visible()
    panel.page.screenshot(path=pictures(pytestconfig) / "places-instead-list.png")
    assert panel.complaints() == []
    panel.lab.errors.clear()


def test_folded_sections_are_remembered(panel: Panel, browser: Browser, pytestconfig: pytest.Config) -> None:
    with LabPage(browser, panel.lab.lab) as other:
        page, second = other.page, Panel(other)
        second.open()
        body = second.section("images").locator(".jp-tfcontainer-SectionBody")
        title = second.node.locator(".jp-AccordionPanel-title", has_text="Images")
        expect(body).to_be_visible()
        with page.expect_request(lambda request: request.method == "PUT" and KEPT in (request.post_data or "")):
            title.click()
        expect(body).not_to_be_visible()
        page.goto(other.lab.page.removesuffix("&reset"))
        # The panel is in sight again by itself.
        expect(second.section("machine")).to_contain_text("Docker")
        expect(body).not_to_be_visible()
        expect(title).to_have_attribute("aria-expanded", "false")
        other.picture(pictures(pytestconfig) / "places-folded.png")
        assert second.complaints() == []
        title.click()
        expect(body).to_be_visible()
