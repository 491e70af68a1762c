"""Cards in the page: what they do, and what containers have on them. The driver is a stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import openapi
import pytest
from conftest import pictures
from homes import MODERN, Home, processes, temporary_home
from labs import lab
from nvml_standin import GTX_1080, K80, StandIn, build
from panels import Panel, opened
from playwright.sync_api import Browser, Locator, expect

GIB = 2**30
DRIVER = "535.104.05"
CARDS = (GTX_1080, K80)
# K80 does not tell how busy it is: NVML's error for what is not supported.
FAILURES = [("nvmlDeviceGetUtilizationRates", 3, 1)]
THEMES = ["JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"]


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The driver of a machine with two cards."""
    folder = tmp_path_factory.mktemp("nvml")
    standin = StandIn(build(folder), folder / "nvml.txt")
    standin.describe(DRIVER, CARDS, FAILURES, uses=[(0, 2 * GIB, 35)])
    return standin


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as home:
        home.add("first", MODERN)
        home.add("second", MODERN)
        yield home


@pytest.fixture(scope="module")
def panel(home: Home, nvml: StandIn, browser: Browser) -> Iterator[Panel]:
    with lab(home, variables=nvml.variables) as server, opened(browser, server) as panel:
        yield panel


def card(panel: Panel, uuid: str) -> Locator:
    """A card of the machine."""
    return panel.section("machine").locator(f'[data-card="{uuid}"]')


def share(bar: Locator) -> float:
    """How long a bar is."""
    return round(float(bar.evaluate("node => node.value")), 3)


def test_bars_of_the_cards(panel: Panel, nvml: StandIn, pytestconfig: pytest.Config) -> None:
    first, second = card(panel, GTX_1080.uuid), card(panel, K80.uuid)
    expect(first).to_contain_text("NVIDIA GeForce GTX 1080")
    expect(first).to_contain_text("driver 535.104.05")
    memory = first.get_by_role("meter", name="Memory of NVIDIA GeForce GTX 1080")
    busy = first.get_by_role("meter", name="How busy NVIDIA GeForce GTX 1080 is")
    expect(first).to_contain_text(re.compile(r"Memory2 GiB of 7\.9 GiBBusy35%"))
    assert (share(memory), share(busy)) == (round(2 * GIB / GTX_1080.memory, 3), 0.35)
    # What a card does not tell has no bar.
    expect(second.get_by_role("meter")).to_have_count(1)
    expect(second).to_contain_text("0 MiB of 11.2 GiB")
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-cards.png")
    assert panel.complaints() == []
    nvml.describe(DRIVER, CARDS, FAILURES, uses=[(0, 6 * GIB, 97)])
    expect(first).to_contain_text(re.compile(r"6 GiB of 7\.9 GiBBusy97%"))
    assert (share(memory), share(busy)) == (round(6 * GIB / GTX_1080.memory, 3), 0.97)
    cards = panel.lab.lab.get("api/tfcontainer/machine/cards")
    openapi.check("GET", "api/tfcontainer/machine/cards", 200, cards)


def test_memory_of_a_container(panel: Panel, nvml: StandIn, home: Home, pytestconfig: pytest.Config) -> None:
    panel.lab.launch("FIRST")
    panel.press("Start SECOND ahead")
    one, other = panel.running("FIRST"), panel.running("SECOND")
    expect(other).to_contain_text("Waits for a kernel")
    container = one.get_attribute("data-id") or ""
    pid = processes(container)[-1]
    nvml.describe(DRIVER, CARDS, FAILURES, uses=[(0, 3 * GIB, 12)], processes=[(0, pid, GIB), (1, pid, 2 * GIB)])
    graph = one.get_by_role("img", name="GPU memory in the last two minutes, now 3 GiB")
    expect(graph).to_be_visible()
    status = panel.page.get_by_title("Container of this notebook: show it")
    expect(status).to_have_text(re.compile(r"FIRST · \d+ MiB · GPU 3 GiB"))
    expect(other.get_by_role("img", name=re.compile("CPU"))).to_be_visible()
    expect(other.get_by_role("img", name=re.compile("GPU memory"))).to_have_count(0)
    nvml.describe(DRIVER, CARDS, FAILURES, uses=[(0, 5 * GIB, 80)], processes=[(0, pid, GIB)])
    expect(status).to_have_text(re.compile(r"GPU 1 GiB"))
    expect(one.get_by_role("img", name="GPU memory in the last two minutes, now 1 GiB")).to_be_visible()
    one.scroll_into_view_if_needed()
    panel.page.screenshot(path=pictures(pytestconfig) / "panel-gpu-memory.png")
    assert panel.complaints() == []
    assert panel.complaints(".jp-tfcontainer-Status") == []
    # It ended, or does not use the card any more.
    nvml.describe(DRIVER, CARDS, FAILURES)
    expect(one.get_by_role("img", name=re.compile("GPU memory"))).to_have_count(0)
    expect(status).not_to_have_text(re.compile("GPU"))


def test_it_is_asked_for_only_while_somebody_looks(panel: Panel, nvml: StandIn) -> None:
    panel.lab.shut_down()
    panel.press("Stop SECOND")
    panel.lab.accept("Stop SECOND?")
    for name in ("FIRST", "SECOND"):
        expect(panel.running(name)).to_have_count(0)
    panel.lab.new_launcher()
    asked = "nvmlDeviceGetUtilizationRates"
    page = panel.page
    page.locator('.jp-SideBar [data-id="filebrowser"]').click()
    expect(panel.node).not_to_be_visible()
    # An answer may be on its way.
    page.wait_for_load_state("networkidle")
    before = nvml.calls.count(asked)
    # Longer than two looks would take.
    page.evaluate("() => new Promise(done => setTimeout(done, 5000))")
    assert nvml.calls.count(asked) == before
    panel.open()
    with page.expect_response(lambda response: "/machine/cards" in response.url):
        pass
    assert nvml.calls.count(asked) > before


@pytest.mark.parametrize("theme", THEMES)
def test_everybody_can_read_it(panel: Panel, theme: str, nvml: StandIn, pytestconfig: pytest.Config) -> None:
    nvml.describe(DRIVER, CARDS, FAILURES, uses=[(0, 6 * GIB, 97)])
    panel.lab.menu("Settings", "Theme", f"{theme}$")
    expect(panel.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    expect(card(panel, GTX_1080.uuid)).to_contain_text("97%")
    assert panel.complaints() == []
    panel.page.screenshot(path=pictures(pytestconfig) / f"panel-cards-{theme.rsplit(maxsplit=1)[-1]}.png")


def test_a_driver_that_goes(panel: Panel, nvml: StandIn) -> None:
    nvml.describe(DRIVER, CARDS, [("nvmlDeviceGetCount_v2", 15)])
    expect(card(panel, GTX_1080.uuid).get_by_role("meter")).to_have_count(0)
    nvml.describe(DRIVER, CARDS)
    expect(card(panel, GTX_1080.uuid).get_by_role("meter")).to_have_count(2)
