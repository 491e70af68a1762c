"""A notebook whose environment is not here: it is offered, made, and used at once."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import nbformat
import pytest
from conftest import pictures
from homes import LEGACY, Home
from pages import LabPage
from playwright.sync_api import expect

# Its GPU image cannot even be imported where there is no driver; the other is not on any machine that tests run on.
IMAGE = "tensorflow/tensorflow"
TAG = "1.12.0-py3"
NOTEBOOK = "old.ipynb"


@pytest.fixture(scope="module")
def home(home: Home) -> Iterator[Home]:
    """A notebook that was written elsewhere, and the image that it can be run in: ours, under that name."""
    engine = docker.APIClient()
    engine.tag(LEGACY, IMAGE, TAG)
    try:
        kernelspec = {"name": "tf-1.12.0-gpu", "display_name": "TF 1.12.0 GPU", "language": "python"}
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell("print(1)")],  # type: ignore[no-untyped-call]
            metadata={"kernelspec": kernelspec},
        )
        nbformat.write(notebook, home.workspace / NOTEBOOK)  # type: ignore[no-untyped-call]
        yield home
    finally:
        engine.remove_image(f"{IMAGE}:{TAG}")
        engine.close()


def test_the_processor_is_offered_where_there_is_no_card(
    page: LabPage, home: Home, pytestconfig: pytest.Config
) -> None:
    page.page.locator(".jp-DirListing-item", has_text=NOTEBOOK).dblclick()
    offer = page.dialog.filter(has_text="TF 1.12.0 GPU is not here yet")
    expect(offer).to_contain_text(f"{NOTEBOOK} was written in TF 1.12.0 GPU, which cannot run on this machine.")
    expect(offer).to_contain_text("This machine shows no NVIDIA card")
    expect(offer).to_contain_text(f"TF 1.12.0 CPU can be made instead, from the image {IMAGE}:{TAG}")
    page.picture(pictures(pytestconfig) / "missing-environment.png")
    create = offer.get_by_role("button", name="Create TF 1.12.0 CPU")
    expect(create).to_be_focused()
    create.press("Enter")
    page.ready("TF 1.12.0 CPU")
    # JupyterLab's own question, which kernel to take, has been answered with it.
    expect(page.dialog).to_have_count(0)
    expect(page.enter("; import tensorflow; print(tensorflow.__version__)")).to_have_text("1\n1.2.1\n")
    page.new_launcher()
    expect(page.card("TF 1.12.0 CPU")).to_be_visible()
    assert (home.data / "kernels" / "tf-1.12.0-cpu" / "kernel.json").exists()
    page.shut_down_all()
