"""The way of a person through the side panel: from a machine with nothing to a notebook that runs, and back."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import registries
from conftest import CATALOGUED, pictures
from engines import PrivateEngine, private_engine
from homes import Home, temporary_home
from kernels import until
from labs import lab
from pages import EXAMPLE, KERNEL
from panels import Panel, opened, watch_bytes
from playwright.sync_api import Browser, expect
from programs import SCALAR, forgive, shows, tab
from registries import Registry, Slow

CPU, SAVED = "TF 1.2.1 CPU", "Mine"
# Bytes a second: some seconds for the whole image.
SPEED = 30 * 10**6
PULL = 120_000


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """An engine that has no image at all."""
    with private_engine() as engine:
        subprocess.run(["ip", "-n", engine.namespace, "link", "set", "lo", "up"], check=True)
        engine.start()
        yield engine


@pytest.fixture(scope="module")
def mirror(engine: PrivateEngine, copies: Registry) -> Iterator[Slow]:
    """A slow connection to a registry that has what the catalog names."""
    with registries.slow(copies, SPEED, engine.namespace) as line:
        yield line


@pytest.fixture(scope="module")
def home(mirror: Slow) -> Iterator[Home]:
    with temporary_home() as home:
        home.configure(registry_prefix=mirror.name)
        wheel(home.workspace)
        yield home


@pytest.fixture(scope="module")
def panel(engine: PrivateEngine, home: Home, browser: Browser) -> Iterator[Panel]:
    with lab(home, engine_url=engine.url) as server, opened(browser, server) as panel:
        yield panel
        forgive(panel.lab)


def wheel(folder: Path) -> None:
    """Put a package of one module into a folder, to be installed without a network."""
    info = "answer-1.0.dist-info"
    with zipfile.ZipFile(folder / "answer-1.0-py2.py3-none-any.whl", "w") as archive:
        archive.writestr("answer.py", "VALUE = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: answer\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", f"answer.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_an_environment_is_added_and_pulled(panel: Panel, mirror: Slow, pytestconfig: pytest.Config) -> None:
    expect(panel.section("running")).to_contain_text("Nothing runs.")
    expect(panel.section("images")).to_contain_text("0 images")
    panel.lab.picture(pictures(pytestconfig) / "journey-empty.png")
    panel.press("Add Environment…")
    dialog = panel.lab.dialog
    dialog.get_by_label("TensorFlow").select_option("1.2.1")
    dialog.get_by_label("CPU", exact=True).check()
    expect(dialog.locator(".jp-tfcontainer-Needs")).to_contain_text(CATALOGUED)
    dialog.locator("summary").click()
    dialog.get_by_label("Memory", exact=True).fill("700m")
    expect(dialog.get_by_role("button", name="Add")).to_be_enabled()
    panel.lab.picture(pictures(pytestconfig) / "journey-add.png")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_have_count(0)
    expect(panel.environment("tf-1.2.1-cpu")).to_contain_text("Image not pulled yet")

    shown = watch_bytes(panel)
    panel.press(f"Pull the image of {CPU} now")
    panel.lab.picture(pictures(pytestconfig) / "journey-pull.png")
    expect(panel.lab.toasts.filter(has_text=f"{CATALOGUED} is here")).to_be_visible(timeout=PULL)
    assert len(set(shown())) >= 3
    operation = panel.lab.lab.get("api/tfcontainer/operations")[0]
    assert shown()[-1] == operation["progress"]["total"] > 10**8
    expect(panel.environment("tf-1.2.1-cpu")).not_to_contain_text("not pulled yet")


def test_a_notebook_and_a_terminal(panel: Panel, pytestconfig: pytest.Config) -> None:
    panel.lab.launch(CPU)
    expect(panel.lab.enter("import tensorflow; print(tensorflow.__version__)")).to_have_text("1.2.1\n")
    with panel.page.expect_websocket(lambda socket: "terminals" in socket.url) as socket:
        panel.press(f"Terminal in {CPU}")
    terminal = panel.page.locator(".jp-Terminal:visible")
    socket.value.wait_for_event("framereceived", lambda frame: ":/notebooks" in str(frame))
    terminal.click()
    panel.page.keyboard.type("pip install --no-index answer-1.0-py2.py3-none-any.whl\n")
    socket.value.wait_for_event("framereceived", lambda frame: "Successfully installed answer" in str(frame))
    panel.lab.picture(pictures(pytestconfig) / "journey-terminal.png")
    panel.go_to(CPU, "Untitled.ipynb")
    panel.press(f"Restart the kernel of {CPU}")
    panel.lab.answered("POST", "restart", lambda: panel.lab.accept("Restart the kernel of Untitled.ipynb?"))
    expect(panel.lab.enter("import answer; print(answer.VALUE)")).to_have_text("42\n")
    panel.lab.picture(pictures(pytestconfig) / "journey-restarted.png")


def test_what_was_installed_becomes_an_image(panel: Panel, pytestconfig: pytest.Config) -> None:
    panel.more(CPU, "Save as Image…", "running")
    panel.lab.dialog.get_by_role("textbox").fill(SAVED)
    panel.lab.picture(pictures(pytestconfig) / "journey-save.png")
    panel.lab.accept(f"Save What Is in {CPU}")
    expect(panel.environment("mine")).to_contain_text("CPU")
    panel.lab.new_launcher()
    panel.lab.launch(SAVED)
    expect(panel.lab.enter("import answer; print(answer.VALUE)")).to_have_text("42\n")
    panel.lab.picture(pictures(pytestconfig) / "journey-saved.png")
    panel.press(f"Stop {SAVED}")
    panel.lab.accept(f"Stop {SAVED}?")
    expect(panel.running(SAVED)).to_have_count(0)


def test_tensorboard_beside_it(panel: Panel, pytestconfig: pytest.Config) -> None:
    panel.go_to(CPU, "Untitled.ipynb")
    expect(panel.lab.enter(SCALAR)).to_contain_text("written", timeout=EXAMPLE)
    panel.more(CPU, "TensorBoard…", "running")
    panel.lab.dialog.locator("input").fill("training")
    panel.lab.accept(f"TensorBoard of {CPU}")
    shown = tab(panel, f"TensorBoard · {CPU}")
    shows(shown, "the_loss")
    panel.lab.picture(pictures(pytestconfig) / "journey-tensorboard.png")


def test_the_limit_is_told_and_nothing_is_left(
    panel: Panel, engine: PrivateEngine, home: Home, pytestconfig: pytest.Config
) -> None:
    panel.go_to(CPU, "Untitled.ipynb")
    panel.lab.enter("held = []\nwhile True: held.append(bytearray(10**7))")
    panel.lab.accept("Kernel Restarting")
    told = panel.lab.toasts.filter(has_text=f"{CPU}: the kernel ran out of memory: its container has 700 MiB.")
    expect(told).to_be_visible()
    panel.lab.picture(pictures(pytestconfig) / "journey-memory.png")
    expect(panel.lab.enter("print('again')")).to_have_text("again\n")
    # While the kernel comes back, that has a row of its own.
    expect(panel.running(CPU)).to_have_count(1)
    expect(panel.running(CPU)).to_contain_text("Running")
    panel.press(f"Stop {CPU}")
    panel.lab.accept(f"Stop {CPU}?")
    expect(panel.section("running")).to_contain_text("Nothing runs.")
    assert until(lambda: engine.docker("ps", "--all", "--quiet") == "", KERNEL / 1000)
    assert home.leftovers() == []
    # Its own image, and the one that was made of it.
    assert len(set(engine.docker("images", "--quiet").split())) == 2
    panel.lab.picture(pictures(pytestconfig) / "journey-end.png")
