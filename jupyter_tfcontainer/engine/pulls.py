"""What the events of a pull mean: progress, or an error that came after HTTP 200."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ImageError, ImageMissing, ImagePullFailed

# What registries and engines say (measured on Docker 20.10 and 28.5, which give the same case different statuses), and
# what to do about it.
REFUSALS = (
    (
        r"manifest for .* not found|manifest unknown|not found: does not exist|repository does not exist",
        ImageMissing,
        "The registry has no such image. See that its name and tag are spelt right.",
    ),
    (
        r"toomanyrequests",
        ImagePullFailed,
        "The registry's limit of pulls is reached. Log in with `docker login`, or wait some hours.",
    ),
    (
        r"no basic auth credentials|unauthorized|denied",
        ImagePullFailed,
        "The registry wants to know who you are, or does not let you. Log in with `docker login` and see that your "
        "account may pull it.",
    ),
    (
        r"no space left on device",
        ImagePullFailed,
        "The disk that holds the images is full. Free some space (`docker system df` shows what takes it).",
    ),
    (
        r"schema 1",
        ImagePullFailed,
        "The image is in a format (schema 1) that this engine no longer reads. Use a newer tag, or an engine before "
        "28.2.",
    ),
    (
        r"connection refused|no such host|i/o timeout|Client\.Timeout|TLS handshake|network is unreachable|"
        r"Temporary failure in name resolution|server misbehaving|connection reset",
        ImagePullFailed,
        "The registry cannot be reached from there. See that the machine is online and, behind a proxy, that the "
        "engine knows it.",
    ),
    (
        r"\bEOF\b",
        ImagePullFailed,
        "The connection to the registry broke off. See that the machine is still online and that the registry is up, "
        "and pull again.",
    ),
)


# More layers than an image has: engines take 127.
LAYERS = 1000
# What an operation is at; a pull, the first three of them.
Phase = Literal["downloading", "retrying", "extracting", "reading", "writing", "building", "committing"]


@dataclass(frozen=True)
class Progress:
    """How far an operation is; of most, pulls tell the most.

    Parameters
    ----------
    current, total
        bytes downloaded, and bytes known of so far: a layer that waits has no size yet, so the total grows
    layers_done, layers
        layers that are there, and all of them
    sized
        whether every layer has told its size, so that a percentage means something
    phase
        what it is at
    extracted
        bytes, of those downloaded, that are unpacked as well
    """

    current: int
    total: int
    layers_done: int
    layers: int
    sized: bool
    phase: Phase = "downloading"
    extracted: int = 0


def follow(reference: str, host: str, events: Iterable[dict[str, Any]]) -> Iterator[Progress]:
    """Turn the engine's events into progress.

    Raises
    ------
    ImageError
        when one of them is an error
    """
    sizes: dict[str, int] = {}
    loaded: dict[str, int] = {}
    done: dict[str, bool] = {}
    unpacked: dict[str, int] = {}
    complete: set[str] = set()
    for layer, status, (now, size) in _of_layers(reference, host, events):
        if layer not in done and len(done) >= LAYERS:
            continue
        done.setdefault(layer, False)
        if status == "Downloading" and size:
            sizes[layer], loaded[layer] = size, now
        elif status == "Download complete" and layer in complete:
            # Podman's last word, which it has of no single layer: the image is there. Its id is that of its
            # configuration, which was fetched like a layer and is none.
            for known in (sizes, loaded, done):
                known.pop(layer, None)
            done, unpacked = dict.fromkeys(done, True), dict(loaded)
        elif status in ("Download complete", "Verifying Checksum"):
            sizes.setdefault(layer, 0)
            loaded[layer] = sizes[layer]
            if status == "Download complete":
                complete.add(layer)
        elif status == "Extracting" and now:
            unpacked[layer] = now
        elif status in ("Pull complete", "Already exists"):
            sizes.setdefault(layer, 0)
            loaded[layer] = unpacked[layer] = sizes[layer]
            done[layer] = True
        current, total, sized = sum(loaded.values()), sum(sizes.values()), len(sizes) == len(done)
        yield Progress(
            current,
            total,
            sum(done.values()),
            len(done),
            sized,
            _phase(status, sized and 0 < current == total),
            sum(unpacked.values()),
        )


def _of_layers(reference: str, host: str, events: Iterable[Any]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Of the events, those of layers: whose, what, and in figures; what is no such event means nothing."""
    for event in events:
        if not isinstance(event, dict):
            continue
        if "error" in event:
            raise failure(reference, host, str(event["error"]))
        layer, status = event.get("id"), event.get("status", "")
        if not isinstance(layer, str) or not isinstance(status, str):
            continue
        # The tag's own line bears the tag as its id, which may look like a layer's.
        if re.fullmatch(r"[0-9a-f]{12}", layer) and not status.startswith("Pulling from"):
            yield layer, status, _figures(event.get("progressDetail"))


def _figures(detail: Any) -> tuple[int, int]:
    """How many bytes of how many; 0 is not known."""
    found = detail if isinstance(detail, dict) else {}
    now, size = (
        number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else 0
        for number in (found.get("current"), found.get("total"))
    )
    return now, size


def _phase(status: str, loaded: bool) -> Phase:
    if status.startswith("Retrying"):
        return "retrying"
    return "extracting" if loaded else "downloading"


def failure(reference: str, host: str, text: str) -> ImageError:
    """Our error for what the engine said about a pull."""
    for pattern, kind, advice in REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(f"{host} could not pull the image {reference}. {advice} (The engine says: {text.strip()})")
    return ImagePullFailed(f"{host} could not pull the image {reference}: {text.strip()}")
