"""Programs in containers whose pages are shown in tabs: TensorBoard, and others."""

from __future__ import annotations

from pages import EXAMPLE, LabPage
from panels import Panel
from playwright.sync_api import FrameLocator, Locator, expect

# What TensorBoard is to show: written by TensorFlow 1, from a notebook.
SCALAR = """
import tensorflow as tf
writer = tf.summary.FileWriter("training/first")
for step in range(60):
    loss = tf.Summary(value=[tf.Summary.Value(tag="the_loss", simple_value=1 / (1 + 0.2 * step))])
    writer.add_summary(loss, step)
writer.close()
print("written")
"""
# TensorBoard's own page asks for them.
FONTS = "asked https://fonts.googleapis.com/"


def tab(panel: Panel, title: str) -> Locator:
    """What a tab in sight shows."""
    panel.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=title).first.click()
    shown = panel.page.locator(".jp-tfcontainer-Port:visible", has=panel.page.locator(f'iframe[title="{title}"]'))
    expect(shown).to_be_visible()
    return shown


def frame(shown: Locator) -> FrameLocator:
    """The program's page in it."""
    return shown.frame_locator("iframe")


def shows(shown: Locator, text: str) -> None:
    """See that a program shows something."""
    expect(frame(shown).locator("body")).to_contain_text(text, timeout=EXAMPLE)


def forgive(page: LabPage) -> None:
    """Do not hold against a page what programs in its frames ask for."""
    page.errors[:] = [error for error in page.errors if not error.startswith(FONTS)]
