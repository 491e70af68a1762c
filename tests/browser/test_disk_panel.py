"""What takes room on the disk, in the side panel: seen, and given back after a question; a kernel in an empty home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import pictures
from homes import MODERN, Home
from panels import Panel
from playwright.sync_api import expect

MEGABYTE = 10**6
PACKAGES = "import os; print(os.path.exists(os.path.expanduser('~/package')))"


@pytest.fixture(scope="module")
def home(home: Home) -> Home:
    home.add("disked", MODERN)
    for name, size in (("disked", 6), ("gone", 3)):
        folder = kept(home, name)
        folder.mkdir(parents=True)
        (folder / "package").write_bytes(os.urandom(size * MEGABYTE))
    return home


def kept(home: Home, name: str) -> Path:
    """The home of an environment."""
    return home.data / "tfcontainer" / "homes" / name


def test_each_section_has_its_share(panel: Panel) -> None:
    """Though one is folded at first."""
    names = ("machine", "environments", "running", "images")
    heights = [panel.lab.box(f'[data-section="{name}"]')["height"] for name in names]
    assert [round(height / sum(heights), 1) for height in heights] == [0.2, 0.3, 0.3, 0.2]
    expect(panel.section("disk")).to_be_hidden()


def test_a_kernel_without_the_persons_packages(panel: Panel) -> None:
    """It starts in an empty home, which goes with it."""
    lab = panel.lab
    lab.start(lambda: panel.more("DISKED", "Start without My Packages"), "DISKED")
    expect(panel.running("DISKED")).to_contain_text("Without your packages")
    expect(lab.enter(PACKAGES)).to_have_text("False\n")
    lab.shut_down()
    expect(panel.running("DISKED")).to_have_count(0)
    lab.new_launcher()
    lab.launch("DISKED")
    expect(lab.enter(PACKAGES)).to_have_text("True\n")
    expect(panel.running("DISKED")).not_to_contain_text("Without your packages")


def test_the_disk(panel: Panel, home: Home, pytestconfig: pytest.Config) -> None:
    """A kernel of the test before runs on one of the homes."""
    disk, page = panel.section("disk"), panel.page
    # What crashed while the server ran.
    left = home.data / "tfcontainer" / "c" / "0a0b0c0d"
    left.mkdir()
    (left / "lock").touch()
    (left / "big").write_bytes(os.urandom(MEGABYTE))
    for other in ("Machine", "Images"):  # to have room
        panel.node.locator(".jp-AccordionPanel-title", has_text=other).click()
    title = panel.node.locator(".jp-AccordionPanel-title", has_text="Disk")
    expect(title).to_have_attribute("aria-expanded", "false")
    title.press("Enter")
    measure = disk.get_by_role("button", name="Measure what takes room")
    measure.focus()
    page.keyboard.press("Enter")
    mine, gone = (disk.locator(f'[data-disk="home-{name}"]') for name in ("disked", "gone"))
    expect(mine).to_contain_text("6 MB")
    expect(mine).to_contain_text("1 container has it")
    expect(gone).to_contain_text("There is no such environment any more")
    share = disk.get_by_role("meter", name="Size of Home of gone").evaluate("node => node.value")
    whole = disk.get_by_role("meter", name="Size of Home of DISKED").evaluate("node => node.value")
    assert 0.45 < share / whole < 0.55
    expect(disk.get_by_role("meter", name="How full the disk is")).to_be_visible()
    page.screenshot(path=pictures(pytestconfig) / "disk.png")
    assert panel.complaints() == []

    # Whoever says no loses nothing.
    panel.press("Reset the home of gone")
    expect(panel.lab.dialog).to_contain_text("All that is in it is lost")
    panel.lab.dialog.locator(".jp-mod-reject").click()
    assert kept(home, "gone").exists()
    panel.press("Reset the home of gone")
    panel.lab.accept("Reset the home of gone?")
    expect(gone).to_have_count(0)
    assert not kept(home, "gone").exists()
    panel.press("Remove what was left behind")
    expect(panel.lab.dialog).to_contain_text("have left 1 MB in folders of ours")
    panel.lab.accept("Remove what was left behind?")
    expect(disk.locator('[data-disk="left-behind"]')).to_have_count(0)
    assert not left.exists()

    # While its kernel runs it is kept.
    panel.more("DISKED", "Reset Home…")
    panel.lab.accept("Reset the home of DISKED?")
    expect(panel.lab.dialog).to_contain_text("ws/Untitled1.ipynb. Shut down the kernels of disked first.")
    panel.lab.dialog.get_by_role("button", name="Close").click()
    assert (kept(home, "disked") / "package").exists()
    panel.lab.shut_down()
    panel.more("DISKED", "Reset Home…")
    panel.lab.accept("Reset the home of DISKED?")
    expect(mine).to_have_count(0)
    assert not kept(home, "disked").exists()
    panel.lab.errors.clear()  # that the server refused is in the console too
