"""What the events of a pull mean. The streams are those of Docker 20.10 and 28.5, shortened."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_tfcontainer.engine import pulls
from jupyter_tfcontainer.engine.pulls import Progress
from jupyter_tfcontainer.engine.reference import split
from jupyter_tfcontainer.errors import ImageError, ImageMissing, ImagePullFailed

IMAGE = "tensorflow/tensorflow:1.2.1-gpu-py3"
A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"
DIGEST = "sha256:" + "1" * 64
Event = dict[str, Any]


def layer(name: str, status: str, current: int = 0, total: int = 0) -> Event:
    """One event of a layer."""
    detail = {"current": current, "total": total} if total else {}
    return {"id": name, "status": status, "progressDetail": detail}


BEGIN: list[Event] = [{"status": "Pulling from tensorflow/tensorflow", "id": "1.2.1-gpu-py3"}]
END: list[Event] = [{"status": f"Digest: {DIGEST}"}, {"status": f"Status: Downloaded newer image for {IMAGE}"}]


def followed(*events: Event) -> list[Progress]:
    """What one is told of a pull with these events of layers."""
    return list(pulls.follow(IMAGE, "tower", [*BEGIN, *events, *END]))


def failed(text: str) -> ImageError:
    """The error that an event brings, after HTTP 200."""
    event = {"errorDetail": {"message": text}, "error": text}
    with pytest.raises(ImageError) as caught:
        list(pulls.follow(IMAGE, "tower", [*BEGIN, layer(A, "Pulling fs layer"), event]))
    return caught.value


def test_a_pull_from_begin_to_end() -> None:
    told = followed(
        layer(A, "Already exists"),
        layer(B, "Pulling fs layer"),
        layer(C, "Pulling fs layer"),
        layer(C, "Waiting"),
        layer(B, "Downloading", 10, 100),
        layer(B, "Downloading", 100, 100),
        layer(B, "Verifying Checksum"),
        layer(B, "Download complete"),
        layer(C, "Downloading", 5, 50),
        layer(B, "Extracting", 32, 100),
        layer(B, "Pull complete"),
        layer(C, "Downloading", 50, 50),
        layer(C, "Download complete"),
        layer(C, "Extracting", 50, 50),
        layer(C, "Pull complete"),
    )
    assert told == [
        Progress(0, 0, 1, 1, True),
        Progress(0, 0, 1, 2, False),
        Progress(0, 0, 1, 3, False),
        Progress(0, 0, 1, 3, False),
        Progress(10, 100, 1, 3, False),
        Progress(100, 100, 1, 3, False),
        Progress(100, 100, 1, 3, False),
        Progress(100, 100, 1, 3, False),
        Progress(105, 150, 1, 3, True),
        Progress(105, 150, 1, 3, True, extracted=32),
        Progress(105, 150, 2, 3, True, extracted=100),
        Progress(150, 150, 2, 3, True, "extracting", 100),
        Progress(150, 150, 2, 3, True, "extracting", 100),
        Progress(150, 150, 2, 3, True, "extracting", 150),
        Progress(150, 150, 3, 3, True, "extracting", 150),
    ]


def test_total_grows_while_layers_wait() -> None:
    """So that nobody takes the first share for the whole."""
    told = followed(
        *(layer(name, "Pulling fs layer") for name in (A, B, C)),
        *(layer(name, "Downloading", 10, 100) for name in (A, B, C)),
    )
    assert [one.total for one in told[3:]] == [100, 200, 300]
    assert [one.sized for one in told[3:]] == [False, False, True]


def test_everything_is_there_already() -> None:
    told = followed(*(layer(name, "Already exists") for name in (A, B)))
    assert told[-1] == Progress(0, 0, 2, 2, True)


def test_a_layer_too_small_to_tell_its_size() -> None:
    told = followed(layer(A, "Pulling fs layer"), layer(A, "Download complete"), layer(A, "Pull complete"))
    assert [one.sized for one in told] == [False, True, True]
    assert told[-1] == Progress(0, 0, 1, 1, True)


def test_podman() -> None:
    """Measured on 4.3.1: no layer is said to be unpacked, and the configuration is told of like one."""
    told = followed(
        layer(A, "Already exists"),
        layer(B, "Pulling fs layer"),
        layer(B, "Downloading", 29, 60),
        layer(B, "Download complete"),
        layer(C, "Pulling fs layer"),
        layer(C, "Download complete"),
        layer(C, "Download complete"),
    )
    assert [(one.layers_done, one.layers) for one in told] == [(1, 1), (1, 2), (1, 2), (1, 2), (1, 3), (1, 3), (2, 2)]
    assert told[-1] == Progress(60, 60, 2, 2, True, "extracting", 60)


def test_a_layer_of_unknown_size() -> None:
    """A registry that names no length: bytes so far, and no total."""
    unsized = {"id": A, "status": "Downloading", "progressDetail": {"current": 7}}
    assert followed(layer(A, "Pulling fs layer"), unsized)[-1] == Progress(0, 0, 0, 1, False)


def test_a_download_that_begins_again() -> None:
    told = followed(
        layer(A, "Downloading", 80, 100),
        layer(A, "Retrying in 5 seconds"),
        layer(A, "Downloading", 10, 100),
    )
    assert [one.current for one in told] == [80, 80, 10]
    assert [one.phase for one in told] == ["downloading", "retrying", "downloading"]


def test_an_image_that_is_up_to_date_has_no_layers() -> None:
    events = [*BEGIN, {"status": f"Digest: {DIGEST}"}, {"status": f"Status: Image is up to date for {IMAGE}"}]
    assert list(pulls.follow(IMAGE, "tower", events)) == []


def test_a_tag_that_looks_like_a_layer_is_none() -> None:
    """Such as the short hash of a commit."""
    begin = {"status": "Pulling from acme/image", "id": "0123456789ab"}
    told = list(pulls.follow("acme/image:0123456789ab", "tower", [begin, layer(A, "Already exists")]))
    assert told == [Progress(0, 0, 1, 1, True)]


def test_progress_goes_on_while_the_stream_does() -> None:
    """Nothing is kept back until the end."""
    stream = iter([layer(A, "Downloading", 1, 2), layer(A, "Downloading", 2, 2)])
    told = pulls.follow(IMAGE, "tower", stream)
    assert next(told).current == 1
    assert next(stream)["progressDetail"]["current"] == 2


LOGIN = "docker login"
REFUSALS: list[tuple[str, type[ImageError], str]] = [
    (f"manifest for {IMAGE} not found: manifest unknown", ImageMissing, "spelt right"),
    (f"manifest for {IMAGE} not found: manifest unknown: manifest unknown", ImageMissing, "spelt right"),
    (
        "pull access denied for nobody/nothing, repository does not exist or may require 'docker login': denied: "
        "requested access to the resource is denied",
        ImageMissing,
        "spelt right",
    ),
    (
        'Get "http://127.0.0.1:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused',
        ImagePullFailed,
        "cannot be reached",
    ),
    (
        'Get "https://nowhere.invalid/v2/": dial tcp: lookup nowhere.invalid on 127.0.0.1:53: no such host',
        ImagePullFailed,
        "cannot be reached",
    ),
    ('Get "https://r.invalid/v2/": net/http: TLS handshake timeout', ImagePullFailed, "behind a proxy"),
    (
        'Get "https://r.invalid/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded '
        "while awaiting headers)",
        ImagePullFailed,
        "cannot be reached",
    ),
    ('Get "https://r.invalid/v2/": dial tcp 10.0.0.1:443: i/o timeout', ImagePullFailed, "cannot be reached"),
    ("no basic auth credentials", ImagePullFailed, LOGIN),
    ("unauthorized: authentication required", ImagePullFailed, LOGIN),
    ("denied", ImagePullFailed, LOGIN),
    ("denied: requested access to the resource is denied", ImagePullFailed, LOGIN),
    (
        "toomanyrequests: You have reached your unauthenticated pull rate limit.",
        ImagePullFailed,
        "limit of pulls",
    ),
    (
        "write /var/lib/docker/tmp/GetImageBlob12: no space left on device",
        ImagePullFailed,
        "docker system df",
    ),
    (
        "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/libcudnn.so: no space left "
        "on device",
        ImagePullFailed,
        "disk that holds the images is full",
    ),
    (
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed",
        ImagePullFailed,
        "28.2",
    ),
]


@pytest.mark.parametrize(("text", "kind", "advice"), REFUSALS)
def test_refusal_has_its_kind_and_advice(text: str, kind: type[ImageError], advice: str) -> None:
    for error in (failed(text), pulls.failure(IMAGE, "tower", text)):
        assert type(error) is kind
        assert str(error).startswith(f"tower could not pull the image {IMAGE}. ")
        assert advice in str(error)
        assert f"(The engine says: {text})" in str(error)


def test_another_refusal_is_told_as_it_is() -> None:
    error = failed("the roof is on fire\n")
    assert type(error) is ImagePullFailed
    assert str(error) == f"tower could not pull the image {IMAGE}: the roof is on fire"


def test_what_came_before_an_error_is_told() -> None:
    stream = pulls.follow(IMAGE, "tower", [layer(A, "Downloading", 1, 2), {"error": "denied"}])
    assert next(stream).current == 1
    with pytest.raises(ImagePullFailed):
        next(stream)


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("tf", "tf", "latest"),
        ("tensorflow/tensorflow:1.2.1-gpu-py3", "tensorflow/tensorflow", "1.2.1-gpu-py3"),
        ("host:5000/a/b", "host:5000/a/b", "latest"),
        ("host:5000/a/b:2", "host:5000/a/b", "2"),
        (f"a/b@{DIGEST}", "a/b", DIGEST),
        (f"host:5000/a/b@{DIGEST}", "host:5000/a/b", DIGEST),
    ],
)
def test_split(reference: str, repository: str, tag: str) -> None:
    assert split(reference) == (repository, tag)
