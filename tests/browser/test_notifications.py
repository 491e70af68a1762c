"""What a person is told without having asked: that a start takes long, and why a kernel died."""

from __future__ import annotations

import os
from collections.abc import Iterator

import entrypoints
import pytest
from homes import LEGACY, Home
from pages import LabPage
from playwright.sync_api import expect

# A start that takes until the test says how it shall go on.
GATED = 'read word < /notebooks/gate; [ "$word" = go ] || { echo no licence here >&2; exit 3; }; exec "$@"'
# Newer kernels send this to the page, where it is lost with them.
DEATH = """
import os, signal
os.write(2, b"the last words\\n")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def home(home: Home) -> Iterator[Home]:
    """A card whose kernel is there at once, and one whose start a test can hold up."""
    with entrypoints.image(GATED) as gated:
        home.add("quick", LEGACY)
        home.add("slow", gated)
        os.mkfifo(home.workspace / "gate")
        yield home


def test_death_is_told_with_its_reason_and_its_log(page: LabPage) -> None:
    page.launch("QUICK")
    page.enter(DEATH)
    # JupyterLab says that it died, we say why.
    page.accept("Kernel Restarting")
    toast = page.toasts.filter(has_text="QUICK: the kernel was ended by the signal SIGKILL.")
    toast.get_by_text("Show log").click()
    expect(page.dialog.locator(".jp-Dialog-header")).to_have_text("Last lines of QUICK")
    expect(page.dialog.get_by_role("log")).to_contain_text("the last words")
    page.accept("Last lines of QUICK")
    # It stays: nothing else has the log of a container that is gone.
    expect(toast).to_be_visible()
    expect(page.enter("print('again')")).to_have_text("again\n")
    page.shut_down()


def test_slow_start_is_told_until_it_has_succeeded(page: LabPage, home: Home) -> None:
    page.new_launcher()
    page.card("SLOW").click()
    toast = page.toasts.filter(has_text="SLOW")
    expect(toast).to_have_text("Starting SLOW: starting the container")
    (home.workspace / "gate").write_text("go\n")
    expect(toast).to_have_text("SLOW is running")
    expect(toast).to_have_count(0)
    page.ready("SLOW")
    page.shut_down()


def test_slow_start_is_told_until_it_has_failed(page: LabPage, home: Home) -> None:
    page.new_launcher()
    toast = page.toasts.filter(has_text="SLOW")

    def fail() -> None:
        expect(toast).to_have_text("Starting SLOW: starting the container")
        (home.workspace / "gate").write_text("stop\n")

    assert page.refused("SLOW", fail).endswith("no licence here")
    expect(toast).to_have_count(0)
    assert home.leftovers() == []
