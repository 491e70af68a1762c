"""The server dies and another comes in its place: the page goes on by itself, and no line is lost."""

from __future__ import annotations

import re

import requests
from homes import LEGACY, temporary_home
from kernels import until
from labs import Lab, lab
from pages import LabPage
from playwright.sync_api import Browser, Locator, expect

# Lab tries again after 1, 3, 7 ... seconds.
BACK_SECONDS = 60
COUNTS = """import os, time
kept, n = "kept", 0
while not os.path.exists("stop"):
    print(n)
    n += 1
    time.sleep(0.01)
os.remove("stop")
print("end %d" % n)"""


def come_back(server: Lab) -> None:
    """Wait until the page is connected again."""
    assert [one["notebook"]["path"] for one in server.get("api/sessions")] == ["Untitled.ipynb"]
    assert until(lambda: server.get("api/kernels")[0]["connections"], BACK_SECONDS)


def is_recorded(server: Lab, container: str) -> bool:
    """Whether what the kernel in a container says from now on is kept: it is not in its first moments."""
    try:
        server.get(f"api/tfcontainer/containers/{container}/output")
    except requests.HTTPError:
        return False
    return True


def check_lines(output: Locator, fewest: int) -> None:
    """See that all is there that was counted, once and in order."""
    expect(output).to_contain_text(re.compile(r"end \d+\n$"))
    check(output.text_content() or "", fewest)


def check(text: str, fewest: int) -> None:
    """See that all is there that was counted, once and in order."""
    *lines, end = text.splitlines()
    assert end == f"end {len(lines)}"
    assert lines == [str(number) for number in range(len(lines))]
    assert len(lines) >= fewest


def test_a_page_goes_on(browser: Browser) -> None:
    """One whose cell computes on, one whose cell has ended meanwhile, and one that is loaded again."""
    with temporary_home() as home:
        home.add("tf", LEGACY)
        stop = home.workspace / "stop"
        with lab(home) as first, LabPage(browser, first) as page:
            page.launch("TF")
            (before,) = home.containers()
            assert until(lambda: is_recorded(first, before["Id"]), BACK_SECONDS)
            output = page.enter(COUNTS)
            expect(output).to_contain_text("\n99\n")
            # Lab says more than once that there is no server, and goes on trying.
            error = page.dialog.filter(has_text="Server Connection Error")

            def close() -> None:
                error.get_by_role("button", name="Close").first.click()

            page.page.add_locator_handler(error, close)
            first.kill()
            with lab(home, after=first) as second:
                come_back(second)
                expect(output).to_contain_text("\n299\n")
                stop.touch()
                check_lines(output, 300)
                page.ready("TF")
                output = page.enter(COUNTS)
                expect(output).to_contain_text("\n99\n")
                second.kill()
                stop.touch()
                assert until(lambda: not stop.exists(), BACK_SECONDS)
                with lab(home, after=second) as third:
                    come_back(third)
                    check_lines(output, 100)
                    # The answer that it has ended was for a server that was not there.
                    expect(page.cells.nth(1).locator(".jp-InputPrompt")).to_have_text("[2]:")
                    page.ready("TF")
                    expect(page.enter("print(kept)")).to_have_text("kept\n")
                    # A page that is loaded again is at its kernel.
                    page.page.reload()
                    page.ready("TF")
                    expect(page.enter("print(kept + kept)")).to_have_text("keptkept\n")
                    assert [one["Id"] for one in home.containers()] == [before["Id"]]
                    # JupyterLab would not show it what was printed before, but it is there.
                    page.notebook.get_by_role("button", name="Container of this notebook").click()
                    page.page.locator(".lm-Menu-itemLabel", has_text="Show Output").click()
                    said = page.page.get_by_role("log", name="Output of TF")
                    expect(said).to_contain_text("keptkept")
                    _, one, two, *_ = re.split(r"\nIn \[\d+\]:\n", said.text_content() or "")
                    check(one, 300)
                    check(two, 100)
                    # What Lab asked of nobody is no fault of ours.
                    page.page.goto("about:blank")
                    page.errors.clear()
        assert home.containers() == []
