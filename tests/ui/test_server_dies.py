"""The server dies and another comes in its place: the page goes on by itself."""

from __future__ import annotations

from homes import LEGACY, temporary_home
from kernels import until
from labs import lab
from pages import LabPage
from playwright.sync_api import Browser, expect

# Lab tries again after 1, 3, 7 ... seconds.
BACK_SECONDS = 60
GOES_ON = """import os, time
kept = "kept"
print("begun")
while not os.path.exists("go"):
    time.sleep(0.2)
    if os.path.exists("tell"): print("goes on")
print("done")"""


def test_a_page_goes_on(browser: Browser) -> None:
    with temporary_home() as home:
        home.add("tf", LEGACY)
        with lab(home) as first, LabPage(browser, first) as page:
            page.launch("TF")
            output = page.enter(GOES_ON)
            expect(output).to_have_text("begun\n")
            (before,) = home.containers()
            # Lab says more than once that there is no server, and goes on trying.
            error = page.dialog.filter(has_text="Server Connection Error")

            def close() -> None:
                error.get_by_role("button", name="Close").first.click()

            page.page.add_locator_handler(error, close)
            first.kill()
            with lab(home, after=first) as second:
                assert [one["notebook"]["path"] for one in second.get("api/sessions")] == ["Untitled.ipynb"]
                # What is printed while no page listens is in the container's kernel, and nowhere else.
                assert until(lambda: second.get("api/kernels")[0]["connections"], BACK_SECONDS)
                (home.workspace / "tell").touch()
                expect(output).to_contain_text("begun\ngoes on\n")
                (home.workspace / "go").touch()
                expect(output).to_contain_text("goes on\ndone\n")
                page.ready("TF")
                expect(page.enter("print(kept)")).to_have_text("kept\n")
                # A page that is loaded again is at its kernel.
                page.page.reload()
                page.ready("TF")
                expect(page.enter("print(kept + kept)")).to_have_text("keptkept\n")
                assert [one["Id"] for one in home.containers()] == [before["Id"]]
                # What Lab asked of nobody is no fault of ours.
                page.page.goto("about:blank")
                page.errors.clear()
        assert home.containers() == []
