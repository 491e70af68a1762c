"""Our side panel, and whether everybody can use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labs import ROOT, Lab
from pages import LabPage
from playwright.sync_api import Browser, Locator, expect

AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
# What axe-core complains of in our own nodes: of each rule, its name, and the nodes.
LOOK = """async selector => {
    const nodes = [...document.querySelectorAll(selector)];
    const { violations } = await axe.run({ include: nodes }, { resultTypes: ["violations"] });
    return violations.map(rule => [rule.id, ...rule.nodes.map(node => node.html.slice(0, 200) + node.failureSummary)]);
}"""

# What the page has shown of how far a pull is, each figure once, in order.
WATCH = """() => {
    window.shown = [];
    const look = () => {
        const bytes = document.querySelector("[data-operation] [data-bytes]")?.dataset.bytes;
        if (bytes && window.shown.at(-1) !== bytes) window.shown.push(bytes);
        requestAnimationFrame(look);
    };
    look();
}"""


class Panel:
    """The side panel in a page."""

    def __init__(self, page: LabPage) -> None:
        self.lab = page
        self.page = page.page
        self.node = page.page.locator("#jp-tfcontainer-panel")

    def open(self) -> None:
        """Show it."""
        if not self.node.is_visible():
            self.page.locator('.jp-SideBar [data-id="jp-tfcontainer-panel"]').click()
        expect(self.section("environments")).not_to_contain_text("Loading")

    def section(self, name: str) -> Locator:
        """One of its sections."""
        return self.node.locator(f'[data-section="{name}"]')

    def environment(self, name: str) -> Locator:
        """The row of an environment."""
        return self.section("environments").locator(f'.jp-tfcontainer-Row[data-name="{name}"]')

    def running(self, display_name: str) -> Locator:
        """The rows of the containers of an environment."""
        return self.section("running").locator(".jp-tfcontainer-Row", has_text=display_name)

    def go_to(self, display_name: str, notebook: str) -> None:
        """Go to the notebook of a container, and wait until it is in front."""
        self.running(display_name).get_by_role("button", name=notebook, exact=True).click()
        expect(self.page.locator(".lm-DockPanel-tabBar .lm-mod-current", has_text=notebook)).to_be_visible()

    def press(self, label: str) -> None:
        """Press a button by what a screen reader says of it."""
        self.node.get_by_role("button", name=label, exact=True).click()

    def more(self, display_name: str, item: str, section: str = "environments") -> None:
        """Choose from what else can be done with something."""
        self.section(section).get_by_role("button", name=f"More actions on {display_name}", exact=True).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=item).click()

    def complaints(self, selector: str = ".jp-tfcontainer-Section") -> object:
        """What axe-core finds wrong in our nodes."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
        return self.page.evaluate(LOOK, selector)


@contextmanager
def opened(browser: Browser, server: Lab) -> Iterator[Panel]:
    """The side panel in a page of its own."""
    with LabPage(browser, server) as page:
        panel = Panel(page)
        panel.open()
        yield panel


def watch_bytes(panel: Panel) -> Callable[[], list[int]]:
    """Read from the page from now on how far the first operation on images is; what comes back tells all that was."""
    panel.page.evaluate(WATCH)
    return lambda: [int(one) for one in panel.page.evaluate("window.shown")]
