"""A person's way: from a card in the launcher to plots, in one page."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Iterator

import pytest
from conftest import pictures
from engines import HOOK_NAME, PrivateEngine, private_engine
from homes import LEGACY, Home, temporary_home
from kernels import until
from labs import ROOT, lab
from pages import EXAMPLE, KERNEL, LabPage, picture
from PIL import Image
from playwright.sync_api import Browser, expect

KERNELSPECS = ROOT / "jupyter_tfcontainer" / "kernelspecs"
GPU_IMAGE = "tensorflow/tensorflow:1.2.1-gpu-py3"
CPU, GPU = "TF 1.2.1 CPU", "TF 1.2.1 GPU"
NOTEBOOK = "legacy_tensorflow.ipynb"
# Where the README's picture is. It is written anew only if this variable is set.
DOCS = ROOT / "docs"
WRITE_PICTURE = "WRITE_README_PICTURE"
Colour = tuple[int, int, int]
# The colours of the example's plots: Matplotlib's first one, and both sides of RdBu.
LINE_BLUE: Colour = (31, 119, 180)
REGION_RED: Colour = (196, 130, 144)
REGION_BLUE: Colour = (137, 162, 191)
LOOP = """
import time
print('on')
while True:
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def home(home: Home) -> Home:
    """A workspace with the example, and the card that `make lab` adds where there is no GPU."""
    shutil.copy(ROOT / "examples" / NOTEBOOK, home.workspace)
    spec = json.loads((KERNELSPECS / "tf-1.2.1-gpu" / "kernel.json").read_text())
    spec["display_name"] = CPU
    spec["metadata"]["kernel_provisioner"]["config"] |= {"image": LEGACY, "gpus": "none"}
    folder = home.data / "kernels" / "tf-1.2.1-cpu"
    shutil.copytree(KERNELSPECS / "logos" / "cpu", folder)
    (folder / "kernel.json").write_text(json.dumps(spec))
    return home


def test_example_from_the_launcher_to_the_last_plot(page: LabPage, home: Home, pytestconfig: pytest.Config) -> None:
    page.picture(pictures(pytestconfig) / "launcher.png")
    page.launch(CPU)
    page.open(NOTEBOOK, CPU)
    page.menu("Run", "Run All Cells")
    look_at_example(page)
    page.menu("Kernel", "Restart Kernel and Run All Cells")
    page.accept("Restart Kernel?")
    expect(page.cells.last.locator(".jp-InputPrompt")).to_have_text("[*]:")
    look_at_example(page)

    arrange_for_readme(page)
    picture_path = DOCS if os.environ.get(WRITE_PICTURE) else pictures(pytestconfig)
    page.picture(picture_path / "screenshot.png")

    page.shut_down_all()
    assert until(lambda: page.lab.get("api/kernels") == [], KERNEL / 1000)
    assert home.containers() == []
    assert {path.name for path in home.workspace.iterdir()} >= {"checkpoints", "logs"}


def look_at_example(page: LabPage) -> None:
    """See in the page that every cell of the example has run, and what came of it."""
    outputs = run_through(page)
    assert outputs[0] == "1.2.1\n"
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d+)", outputs[3])]
    assert len(losses) == 11
    assert losses[0] > 0.5
    assert losses[-1] < 0.05
    assert "loss after restoring" in outputs[5]

    curve, decision = (picture(page.cells.nth(number).locator("img")) for number in (4, 6))
    # The line goes from the left to the right, and from the top to the bottom.
    left, top, right, bottom = extent(curve, LINE_BLUE)
    assert right - left > 0.7 * curve.width
    assert bottom - top > 0.5 * curve.height
    # About one half of the plane for each spiral.
    for colour in (REGION_RED, REGION_BLUE):
        assert share(decision, colour) > 0.2


def run_through(page: LabPage) -> list[str]:
    """Wait until all cells have run, without an error, and return what each printed."""
    count = page.cells.count()
    prompts = page.cells.locator(".jp-InputPrompt")
    expect(prompts).to_have_text([f"[{number}]:" for number in range(1, count + 1)], timeout=EXAMPLE)
    page.ready(CPU)
    expect(page.notebook.locator('[data-mime-type="application/vnd.jupyter.error"]')).to_have_count(0)
    return [page.cells.nth(number).locator(".jp-OutputArea").text_content() or "" for number in range(count)]


def test_interrupt_restart_and_shutdown(page: LabPage, home: Home) -> None:
    page.reset()
    page.launch(CPU)
    loop = page.enter(LOOP)
    expect(loop.first).to_have_text("on\n")
    page.menu("Kernel", "Interrupt Kernel")
    expect(loop.last).to_contain_text("KeyboardInterrupt")
    page.ready(CPU)
    before = [one["Id"] for one in home.containers()]
    assert len(before) == 1

    expect(page.enter("variable = 1; print(variable)")).to_have_text("1\n")
    page.menu("Kernel", "Restart Kernel…")
    page.accept("Restart Kernel?")
    expect(page.enter("print('variable' in globals())")).to_have_text("False\n")
    assert [one["Id"] for one in home.containers()] == before

    page.shut_down()
    assert home.containers() == []


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """An engine that has the official image (ours, under that name), and the stand-in for NVIDIA's toolkit."""
    with private_engine() as engine:
        engine.install_hook()
        engine.start()
        engine.load(LEGACY, GPU_IMAGE)
        yield engine


@pytest.fixture(scope="module")
def gpu_page(engine: PrivateEngine, browser: Browser) -> Iterator[LabPage]:
    """A page of a server on that engine, with the cards that are shipped and one whose image is not there."""
    with temporary_home() as home:
        home.add("to-be-pulled", "127.0.0.1:1/tensorflow:1.2.1-gpu", gpus="all")
        with lab(home, engine_url=engine.url) as server, LabPage(browser, server) as page:
            yield page


def test_gpu_card_asks_the_engine_for_all_gpus(gpu_page: LabPage, engine: PrivateEngine) -> None:
    gpu_page.launch(GPU)
    expect(gpu_page.enter("import tensorflow as tf; print(tf.__version__)")).to_have_text("1.2.1\n")
    assert engine.gpu_requests() == ["all"]
    gpu_page.shut_down()
    assert engine.docker("ps", "--all", "--quiet") == ""
    gpu_page.new_launcher()


def test_gpu_card_says_that_nvidias_toolkit_is_missing(gpu_page: LabPage, engine: PrivateEngine) -> None:
    engine.stop()
    (engine.programs / HOOK_NAME).unlink()
    engine.start()
    images = engine.docker("images", "--all", "--quiet")
    for card in (GPU, "TO-BE-PULLED"):
        text = gpu_page.refused(card)
        assert text.startswith(f"On {platform.node()}, the container engine cannot hand over a GPU")
        assert "Install the NVIDIA Container Toolkit there (package nvidia-container-toolkit)" in text
        assert "sudo nvidia-ctk runtime configure --runtime=docker" in text
    # Not even the trial, by which the second found out, is left.
    assert engine.docker("ps", "--all", "--quiet") == ""
    assert engine.docker("images", "--all", "--quiet") == images


def share(image: Image.Image, wanted: Colour) -> float:
    """Which share of an image's pixels has about that colour."""
    return sum(near(pixel, wanted) for pixel in pixels(image)) / (image.width * image.height)


def extent(image: Image.Image, wanted: Colour) -> tuple[int, int, int, int]:
    """The corners, left, top, right and bottom, of where a colour is in an image."""
    mask = Image.new("1", image.size)
    mask.putdata([near(pixel, wanted) for pixel in pixels(image)])
    box = mask.getbbox()
    assert box, "not in the image"
    return box


def near(pixel: Colour, wanted: Colour) -> bool:
    """Whether two colours look alike."""
    return all(abs(one - other) < 40 for one, other in zip(pixel, wanted, strict=True))


def pixels(image: Image.Image) -> Iterator[Colour]:
    """Its pixels, row by row."""
    data = image.tobytes()
    return ((data[at], data[at + 1], data[at + 2]) for at in range(0, len(data), 3))


def arrange_for_readme(page: LabPage) -> None:
    """Show the training, the loss, what was learned, and the launcher, beside each other."""
    page.page.locator('[data-id="filebrowser"]').click()
    page.cells.last.locator("img").click(button="right")
    page.page.locator(".lm-Menu-itemLabel", has_text="Create New View for Cell Output").click()
    page.new_launcher()
    dock = page.box("#jp-main-dock-panel")
    page.drag_tab("Launcher", to=(dock["x"] + dock["width"] - 20, dock["y"] + dock["height"] / 2))
    launcher = page.box(".jp-Launcher:visible")
    page.drag_tab("Output View", to=(launcher["x"] + launcher["width"] / 2, launcher["y"] + launcher["height"] - 40))
    handle = page.box('.lm-DockPanel-handle[data-orientation="horizontal"]:visible')
    # Three cards fit into a row.
    page.drag(handle, to=(dock["x"] + dock["width"] - 530, handle["y"] + handle["height"] / 2))
    below = page.notebook.locator(".jp-MarkdownCell", has_text="Restoring")
    below.evaluate("cell => cell.scrollIntoView({block: 'end'})")
    expect(page.cells.nth(4).locator("img")).to_be_in_viewport(ratio=1)
    expect(page.page.locator(".jp-LinkedOutputView img")).to_be_in_viewport(ratio=1)
    expect(page.card(GPU)).to_be_in_viewport(ratio=1)
