"""What we add to the time in which JupyterLab starts, and to what a page loads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from statistics import median

import pytest
from homes import Home, temporary_home
from labs import ROOT, Lab, lab
from playwright.sync_api import Browser, expect

RUNS = 10
# Milliseconds that are the goal, and those that would be a mistake whatever else the machine does.
GOAL, MOST = 50, 200
# Bytes of all that a page may load, compressed.
BUNDLE = 150_000


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Lab]:
    with lab(home) as server:
        yield server


def start(browser: Browser, server: Lab, home: Home, *, with_us: bool) -> tuple[float, float]:
    """Milliseconds until the launcher of a new page is there: by the clock, and of the page's processor."""
    config = {"disabledExtensions": {"jupyter-tfcontainer": not with_us}}
    (home.root / "config" / "labconfig" / "page_config.json").write_text(json.dumps(config))
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(server.page, wait_until="commit")
    page.locator(".jp-LauncherCard").first.wait_for()
    clock = float(page.evaluate("performance.now()"))
    metrics = session.send("Performance.getMetrics")["metrics"]
    spent = next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")
    expect(page.locator('.jp-SideBar [data-id="jp-tfcontainer-panel"]')).to_have_count(1 if with_us else 0)
    context.close()
    return clock, spent * 1000


def test_start_time(browser: Browser, server: Lab, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    start(browser, server, home, with_us=True)  # the server's own first time
    with_us, without = [], []
    for _ in range(RUNS):
        without.append(start(browser, server, home, with_us=False))
        with_us.append(start(browser, server, home, with_us=True))
    clock, spent = (median(one[kind] for one in with_us) - median(one[kind] for one in without) for kind in range(2))
    whole = median(one[0] for one in without)
    with capsys.disabled():
        print(
            f"\nJupyterLab starts in {whole:.0f} ms without us, and with us in {clock:+.0f} ms more; "
            f"of the page's processor {spent:+.0f} ms (goal {GOAL} ms, median of {RUNS} runs each)"
        )
    assert spent < MOST


def test_bundle_size(capsys: pytest.CaptureFixture[str]) -> None:
    files = (ROOT / "jupyter_tfcontainer" / "labextension" / "static").glob("*.js")
    size = sum(len(gzip.compress(file.read_bytes())) for file in files)
    with capsys.disabled():
        print(f"\nThe bundle has {size} bytes, compressed.")
    assert 0 < size < BUNDLE
