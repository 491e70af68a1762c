"""The catalog over REST."""

from __future__ import annotations

import platform

from servers import OURS, Server


async def test_each_image_has_a_verdict(server: Server) -> None:
    model = await server.get(f"{OURS}/catalog")
    images = {image["reference"]: image for image in model["images"]}
    flagship = images["tensorflow/tensorflow:1.2.1-gpu-py3"]
    assert (flagship["python"], flagship["cuda"]["version"], flagship["minimum_driver"]) == ("3.5", "8.0", "367.48")
    assert {image["verdict"]["word"] for image in images.values()} <= {"works", "warns", "cannot"}
    assert all(image["verdict"]["reasons"] for image in images.values())
    assert set(model["best"].values()) <= images.keys()


async def test_search(server: Server) -> None:
    model = await server.get(f"{OURS}/catalog", search="1.2.1 gpu py3")
    assert [image["reference"] for image in model["images"]] == ["tensorflow/tensorflow:1.2.1-gpu-py3"]


async def test_one_release(server: Server) -> None:
    model = await server.get(f"{OURS}/catalog", tensorflow="1.2.1")
    assert {image["tensorflow"] for image in model["images"]} == {"1.2.1"}
    assert model["best"] == {
        "cpu": "tensorflow/tensorflow:1.2.1-py3",
        "gpu": "tensorflow/tensorflow:1.2.1-gpu-py3",
    }
    assert await server.get(f"{OURS}/catalog", tensorflow="0.0.1") == {"images": [], "best": {"cpu": None, "gpu": None}}


async def test_machine(server: Server) -> None:
    model = await server.get(f"{OURS}/machine")
    assert model["architecture"] == platform.machine()
    assert (model["driver"], model["cards"], model["problem"]) == (None, [], None)


async def test_environment_of_a_release(server: Server) -> None:
    answer = await server.ask("POST", f"{OURS}/environments", {"tensorflow": "1.2.1", "device": "cpu"})
    assert answer.status == 201
    assert (answer.model["name"], answer.model["display_name"]) == ("tf-1.2.1-cpu", "TF 1.2.1 CPU")
    assert answer.model["image"] == "tensorflow/tensorflow:1.2.1-py3"
    listed = await server.get("api/kernelspecs")
    assert listed["kernelspecs"]["tf-1.2.1-cpu"]["spec"]["display_name"] == "TF 1.2.1 CPU"
    answer = await server.ask("POST", f"{OURS}/environments", {"tensorflow": "1.2.1", "device": "tpu"})
    assert answer.status == 400
    answer = await server.ask("POST", f"{OURS}/environments", {"tensorflow": "0.0.1", "device": "cpu"})
    assert answer.status == 404
