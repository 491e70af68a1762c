"""What a person does in a page of JupyterLab."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import ClassVar, final

from labs import Lab
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Error, FloatRect, Locator, Request, Response, expect

# The size of the pictures as well.
VIEWPORT = {"width": 1400, "height": 900}
# Milliseconds that a kernel may take on a loaded machine, and that the example may.
KERNEL, EXAMPLE = 30_000, 90_000
expect.set_options(timeout=KERNEL)


@final
class LabPage:
    """One page of JupyterLab.

    Parameters
    ----------
    browser
        where to open it
    lab
        whose page
    empty
        whether to leave it empty at first
    """

    #: Those that are open.
    opened: ClassVar[list[LabPage]] = []

    def __init__(self, browser: Browser, lab: Lab, *, empty: bool = False) -> None:
        self.lab = lab
        self._empty = empty
        #: What the page complained of, and what it asked of others than its server.
        self.errors: list[str] = []
        self._context = browser.new_context(viewport={"width": VIEWPORT["width"], "height": VIEWPORT["height"]})
        self.page = self._context.new_page()
        self.page.set_default_timeout(KERNEL)
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._stumble)
        self.page.on("request", self._see)
        # What a thread of AnyIO's is to answer, and has not yet.
        self._asked: set[Request] = set()
        for end in ("requestfinished", "requestfailed"):
            self.page.on(end, self._answered)

    def __enter__(self) -> LabPage:
        self.opened.append(self)
        if not self._empty:
            self.reset()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.opened.remove(self)
        if not kind:
            self._settle()
        self._context.close()
        assert kind or not self.errors, self.errors

    def reset(self) -> None:
        """Load it, as if for the first time."""
        self.page.goto(self.lab.page)
        expect(self.launcher).to_be_visible()

    def empty(self) -> None:
        """Have it ask nothing of the server any more, and see that it had nothing to complain of."""
        self._settle()
        self.page.goto("about:blank")
        errors, self.errors[:] = [*self.errors], []
        assert not errors, errors

    def picture(self, path: Path) -> None:
        """Keep what is to be seen."""
        self.page.screenshot(path=path)

    def _settle(self) -> None:
        # Jupyter's server never ends that is stopped in the middle of that: the thread waits for ever.
        while self._asked:
            self.page.wait_for_event("requestfinished")

    def _hear(self, message: ConsoleMessage) -> None:
        # That a start was refused stands there too, as a failed request.
        if message.type == "error" and "tfcontainer" in message.text + message.location["url"]:
            self.errors.append(message.text)

    def _stumble(self, error: Error) -> None:
        self.errors.append(str(error))

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.lab.address, "data:", "blob:")):
            self.errors.append(f"asked {request.url}")
        if re.search("/api/(contents|nbconvert)", request.url):
            self._asked.add(request)

    def _answered(self, request: Request) -> None:
        self._asked.discard(request)

    # Getting around.

    @property
    def launcher(self) -> Locator:
        """The launcher in sight."""
        return self.page.locator(".jp-Launcher:visible")

    @property
    def notebook(self) -> Locator:
        """The notebook in sight."""
        return self.page.locator(".jp-NotebookPanel:visible")

    @property
    def cells(self) -> Locator:
        """The code cells of the notebook in sight."""
        return self.notebook.locator(".jp-CodeCell")

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.locator(".jp-Dialog")

    @property
    def toasts(self) -> Locator:
        """The notifications in sight."""
        return self.page.locator(".Toastify__toast")

    def new_launcher(self) -> None:
        """Open a launcher."""
        self.page.locator(".lm-TabBar-addButton:visible").first.click()
        expect(self.launcher).to_be_visible()

    def card(self, name: str) -> Locator:
        """The card of a kernel in the launcher."""
        return self.launcher.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{name}"]')

    def open(self, path: str, kernel: str) -> None:
        """Open a notebook from the list of files, and wait for its kernel."""
        file = self.page.locator(".jp-DirListing-item", has_text=path)
        self.start(file.dblclick, kernel)

    def launch(self, name: str) -> None:
        """Click a kernel's card and wait for the kernel."""
        self.start(self.card(name).click, name)

    def start(self, act: Callable[[], None], name: str) -> None:
        """Do what starts a kernel, and wait for it."""
        # Until then the status bar may tell of the notebook before.
        assert self.answered("POST", "api/sessions", act).status == HTTPStatus.CREATED
        self.ready(name)

    def ready(self, name: str) -> None:
        """Wait until the kernel of the notebook in sight has nothing to do."""
        # The notebook's own sign says idle while there is no kernel yet.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text(f"{name} | Idle")

    def menu(self, *names: str) -> None:
        """Click through the menu."""
        bar, *items = names
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{bar}$")).click()
        for item in items:
            self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}")).click()

    def accept(self, title: str) -> None:
        """Press the button that a dialog suggests."""
        dialog = self.page.locator(".jp-Dialog", has_text=title)
        dialog.locator(".jp-mod-accept").click()
        expect(dialog).to_have_count(0)

    def leave(self) -> None:
        """Leave the dialog that is open, by the keyboard, once it has that: it takes it a moment after it is drawn."""
        expect(self.dialog.locator(":focus")).to_have_count(1)
        self.page.keyboard.press("Escape")
        expect(self.dialog).to_have_count(0)

    def box(self, selector: str) -> FloatRect:
        """Where something is."""
        box = self.page.locator(selector).bounding_box()
        assert box, f"{selector} is not in sight"
        return box

    def drag(self, box: FloatRect, to: tuple[float, float]) -> None:
        """Take something at its middle, and drop it elsewhere."""
        mouse = self.page.mouse
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        mouse.down()
        # Nothing is dragged by a jump.
        mouse.move(*to, steps=10)
        mouse.up()

    def drag_tab(self, title: str, to: tuple[float, float]) -> None:
        """Drop a tab elsewhere."""
        self.drag(self.box(f'.lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current:has-text("{title}")'), to)

    def answered(self, method: str, path: str, act: Callable[[], None]) -> Response:
        """Do something, and wait for the server's answer to what the page then asks."""
        with self.page.expect_response(
            lambda response: response.request.method == method and f"/{path}" in response.url
        ) as answer:
            act()
        return answer.value

    # Kernels.

    def enter(self, code: str) -> Locator:
        """Run code in the last cell of the notebook in sight; returns what is below that cell."""
        cell = self.cells.last
        cell.locator(".cm-content").click()
        # Typed letter by letter, the editor would add brackets.
        self.page.keyboard.insert_text(code)
        index = self.cells.count() - 1
        self.page.keyboard.press("Shift+Enter")
        return self.cells.nth(index).locator(".jp-OutputArea-output")

    def shut_down(self) -> None:
        """Shut the kernel of the notebook in sight down."""
        answer = self.answered("DELETE", "api/sessions/", lambda: self.menu("Kernel", "Shut Down Kernel"))
        assert answer.status == HTTPStatus.NO_CONTENT

    def shut_down_all(self) -> None:
        """Shut every kernel down, from the list of what runs."""
        self.page.locator('[data-id="jp-running-sessions"]').click()
        kernels = self.page.locator('.jp-AccordionPanel-title[aria-label="Kernels Section"]')
        kernels.locator(".jp-RunningSessions-shutdownAll").click()
        self.accept("Shut Down All")
        self.page.locator('[data-id="filebrowser"]').click()

    def refused(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Click a kernel's card and read in the dialog why there is no kernel; then go back to the launcher."""
        self.card(name).click()
        meanwhile()
        expect(self.dialog.locator(".jp-Dialog-header")).to_have_text("Error Starting Kernel")
        reason = self.dialog.locator("pre")
        text = reason.inner_text()
        in_sight = reason.evaluate("node => node.scrollWidth <= node.clientWidth")
        assert in_sight, f"The dialog does not show all of: {text}"
        self.dialog.locator(".jp-mod-accept").click()
        # JupyterLab goes on to ask for another kernel.
        expect(self.dialog.locator(".jp-Dialog-header")).to_have_text("Select Kernel")
        self.dialog.locator(".jp-mod-reject").click()
        expect(self.dialog).to_have_count(0)
        self.new_launcher()
        return text


def picture(image: Locator) -> Image.Image:
    """The pixels of an output."""
    source = image.get_attribute("src") or ""
    kind, _, data = source.partition(";base64,")
    assert kind == "data:image/png"
    drawn = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    # As it is to be seen on a white page: what is drawn may be transparent.
    return Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
