"""Environments as data, through the REST interface: made, changed, copied, hidden, deleted, taken along."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from homes import Home
from jupyter_client.kernelspec import KernelSpecManager
from servers import OURS, Answer, Server

import jupyter_tfcontainer
from jupyter_tfcontainer.environments import lookup, private_files, secrets, store
from jupyter_tfcontainer.environments.store import Change
from jupyter_tfcontainer.errors import EnvironmentExists, EnvironmentInvalid
from jupyter_tfcontainer.server.schemas import ENVIRONMENTS

ALL = f"{OURS}/environments"
IMAGE = "127.0.0.1:1/tensorflow:1.2.1"
DIGEST = f"127.0.0.1:1/tensorflow@sha256:{64 * 'a'}"
LOGOS = Path(jupyter_tfcontainer.__file__).parent / "kernelspecs" / "logos"
SECRET = "s3cret-value"  # noqa: S105 - of nothing


def refused(answer: Answer, status: int, words: str, reason: str | None) -> None:
    """See that an answer is an error as the interface promises them."""
    assert (answer.status, answer.model.get("reason")) == (status, reason), answer
    assert words in answer.model["message"]
    assert SECRET not in json.dumps(answer.model)


def files(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def specs(home: Home) -> KernelSpecManager:
    return KernelSpecManager(kernel_dirs=[str(home.data / "kernels"), str(home.root / "shared")])


@pytest.fixture
def shared(server: Server) -> Path:
    """A folder of kernelspecs that is not the person's, with one environment."""
    folder = server.home.root / "shared"
    server.home.add("shipped", IMAGE, env={"A": "b"})
    folder.mkdir()
    (server.home.data / "kernels" / "shipped").rename(folder / "shipped")
    kernelspecs(server).kernel_dirs.append(str(folder))
    return folder


def kernelspecs(server: Server) -> KernelSpecManager:
    """The server's own manager of kernelspecs."""
    assert server.app.kernel_spec_manager
    return server.app.kernel_spec_manager


async def launcher(server: Server) -> set[str]:
    """What a launcher shows."""
    return set((await server.get("api/kernelspecs"))["kernelspecs"])


async def make(server: Server, name: str = "mine", **more: Any) -> Any:
    """Make an environment; its model comes back."""
    answer = await server.ask("POST", ALL, {"name": name, "config": {"image": IMAGE}, **more})
    assert answer.status == 201, answer
    return answer.model


async def test_made_and_seen_at_once(server: Server) -> None:
    assert "mine" not in await launcher(server)
    body = {"name": "mine", "display_name": "Mine", "config": {"image": IMAGE, "memory": "1g"}, "env": {"A": "b"}}
    async with server.events() as events:
        answer = await server.ask("POST", ALL, body)
        told = await events.heard(lambda messages: [one for one in messages if one["schema_id"] == ENVIRONMENTS])
    assert [(one["name"], one["change"]) for one in told] == [("mine", "created")]
    assert (answer.status, answer.location) == (201, server.url(f"{ALL}/mine"))
    model = answer.model
    assert (model["name"], model["display_name"], model["image"], model["memory"]) == ("mine", "Mine", IMAGE, 1024**3)
    assert (model["env"], model["own"], model["hidden"]) == (["A"], True, False)
    assert await server.get(f"{ALL}/mine") == model
    assert model in await server.get(ALL)
    spec = (await server.get("api/kernelspecs"))["kernelspecs"]["mine"]
    assert spec["spec"]["display_name"] == "Mine"
    assert set(spec["resources"]) == {"logo-32x32", "logo-64x64", "logo-svg"}
    # As the one that is shipped: old ipykernels know no interrupt message, some clients no provisioners.
    shipped = json.loads((LOGOS.parent / "tf-1.2.1-gpu" / "kernel.json").read_text())
    made = json.loads((server.home.data / "kernels" / "mine" / "kernel.json").read_text())
    assert made["env"] == {"A": "b"}
    assert {key: made[key] for key in ("argv", "interrupt_mode", "language")} == {
        key: shipped[key] for key in ("argv", "interrupt_mode", "language")
    }
    assert [path.name for path in (server.home.data / "tfcontainer").iterdir()] == ["servers"]


async def draft(server: Server, name: str, *, new: bool = True, **more: Any) -> Any:
    """What would come of it."""
    answer = await server.ask("POST", f"{OURS}/drafts", {"name": name, "new": new, "config": {}, **more})
    assert answer.status == 200, answer
    return answer.model


async def test_a_draft_is_what_it_would_become(server: Server) -> None:
    fields: dict[str, Any] = {"display_name": "Mine", "config": {"image": IMAGE, "memory": "1g"}, "env": {"A": "b"}}
    would = await draft(server, "mine", **fields)
    assert (would["problem"], would["refused"]) == (None, None)
    assert not (server.home.data / "kernels" / "mine").exists()
    assert would["environment"] == await make(server, **fields)
    # Of the one that there is now, what is not named stays.
    changed = await draft(server, "mine", new=False, config={"memory": None})
    assert changed["environment"] == {**would["environment"], "memory": None}
    secret = await draft(server, "mine", new=False, secrets={"KEY": SECRET})
    assert secret["environment"]["secrets"] == ["KEY"]
    assert SECRET not in json.dumps(secret)
    assert await server.get(f"{ALL}/mine") == would["environment"]


@pytest.mark.parametrize(
    ("name", "config", "new", "words"),
    [
        ("x", {}, True, "lacks the field image"),
        ("x", {"image": IMAGE, "memory": "much"}, True, "memory: 'much'"),
        ("X", {"image": IMAGE}, True, "'X' is not possible"),
        ("mine", {"image": IMAGE}, True, "kernelspec named mine already"),
        ("mine", {"cpus": "all"}, False, "cpus: 'all'"),
        ("none", {}, False, "named none"),
        ("shipped", {}, False, "not your own"),
    ],
)
async def test_what_is_wrong_with_a_draft(
    shared: Path, server: Server, name: str, config: dict[str, Any], new: bool, words: str
) -> None:
    await make(server)
    would = await draft(server, name, new=new, config=config)
    assert would["environment"] is None
    assert words in would["problem"]


async def test_what_the_catalog_knows_of_an_environment(server: Server) -> None:
    unknown = await make(server)
    assert (unknown["catalog"], unknown["verdict"]) == (None, None)
    known = await make(server, "cpu", config={"image": "tensorflow/tensorflow:1.2.1-py3"})
    assert (known["catalog"]["tensorflow"], known["catalog"]["python"]) == ("1.2.1", "3.5")
    assert known["verdict"]["word"] == "works"
    # No card is here.
    card = await make(server, "gpu", config={"image": "tensorflow/tensorflow:1.2.1-gpu-py3", "gpus": "all"})
    assert card["catalog"]["cuda"]["version"] == "8.0"
    assert card["verdict"]["word"] == "cannot"
    assert await server.get(ALL) == [known, card, unknown]


@pytest.mark.parametrize(("gpus", "device"), [("none", "cpu"), ("all", "gpu"), (2, "gpu")])
def test_logos_are_the_devices(home: Home, specs: KernelSpecManager, gpus: Any, device: str) -> None:
    store.create("mine", Change(config={"image": IMAGE, "gpus": gpus}), specs)
    made = files(home.data / "kernels" / "mine")
    del made["kernel.json"]
    assert made == files(LOGOS / device)
    assert files(LOGOS / "gpu")["logo-svg.svg"] == (LOGOS.parent / "tf-1.2.1-gpu" / "logo-svg.svg").read_bytes()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (None, 400, "JSON object"),
        ([], 400, "JSON object"),
        ({}, 400, "field name"),
        ({"name": "x"}, 400, "field config"),
        ({"name": 1, "config": {}}, 400, "field name"),
        ({"name": "x", "config": []}, 400, "field config"),
        ({"name": "x", "config": {"image": IMAGE}, "fields": {}}, 400, "not known: fields"),
        ({"name": "x", "config": {"image": IMAGE}, "display_name": 1}, 400, "display_name must be"),
        ({"name": "x", "config": {}}, 422, "lacks the field image"),
        ({"name": "x", "config": {"image": IMAGE, "gpu": 1}}, 422, "not known: gpu"),
        ({"name": "x", "config": {"image": IMAGE, "cpus": 0}}, 422, "The kernelspec x says cpus: 0. It must be"),
        ({"name": "x", "config": {"image": IMAGE, "secrets": 1}}, 422, "says secrets: 1"),
        ({"name": "x", "config": {"image": IMAGE}, "env": {"A": 1}}, 422, "env says A"),
        ({"name": "x", "config": {"image": IMAGE}, "secrets": {"A": [SECRET]}}, 422, "secrets says A"),
        ({"name": "x", "config": {"image": IMAGE}, "secrets": {"A B": SECRET}}, 422, "says secrets: ['A B']"),
        *(
            ({"name": name, "config": {"image": IMAGE}}, 422, "not possible for an environment")
            for name in ("", "A", "a b", ".", "..", ".a", "-a", "a/b", "../a", "ä", "a\n", "a" * 101)
        ),
        ({"name": "python3", "config": {"image": IMAGE}}, 409, "a kernelspec named python3 already"),
        ({"name": "there", "config": {"image": IMAGE}}, 409, "a kernelspec named there already"),
        ({"document": {}}, 422, "no exported environment"),
        ({"document": [], "pin": True}, 422, "no exported environment"),
        ({"document": {}, "pin": 1}, 400, "pin of type bool"),
        ({"document": {}, "name": 1}, 400, "name must be of type str"),
    ],
)
async def test_nothing_is_made_of_what_is_wrong(server: Server, body: Any, status: int, words: str) -> None:
    server.home.add("there", IMAGE)
    before = files(server.home.data)
    reasons = {422: "EnvironmentInvalid", 409: "EnvironmentExists"}
    refused(await server.ask("POST", ALL, body), status, words, reasons.get(status))
    after = files(server.home.data)
    assert after == before


async def test_changed(server: Server) -> None:
    """What is not named stays, null takes away."""
    await make(server, config={"image": IMAGE, "memory": "1g", "cpus": 1}, env={"A": "1", "B": "2"}, display_name="X")
    # What somebody else wrote into it is not ours to lose.
    path = server.home.data / "kernels" / "mine" / "kernel.json"
    spec = json.loads(path.read_text())
    spec["metadata"]["theirs"] = [1]
    path.write_text(json.dumps(spec))
    body = {"config": {"cpus": None, "network": "none"}, "env": {"A": None, "C": "3"}}
    async with server.events() as events:
        answer = await server.ask("PATCH", f"{ALL}/mine", body)
        told = await events.heard(lambda messages: [one for one in messages if one["schema_id"] == ENVIRONMENTS])
    assert (told[0]["name"], told[0]["change"]) == ("mine", "changed")
    assert answer.status == 200
    model = answer.model
    assert (model["memory"], model["cpus"], model["network"], model["display_name"]) == (1024**3, None, "none", "X")
    spec = json.loads(path.read_text())
    assert spec["env"] == {"B": "2", "C": "3"}
    assert spec["metadata"]["theirs"] == [1]
    assert (await server.ask("PATCH", f"{ALL}/mine", {"display_name": "Y"})).model["display_name"] == "Y"


async def test_a_change_that_is_wrong_changes_nothing(server: Server) -> None:
    await make(server, secrets={"KEY": SECRET})
    before = files(server.home.data)
    for body, status, words, reason in (
        ({"config": {"cpus": 0}}, 422, "says cpus: 0", "EnvironmentInvalid"),
        ({"config": {"image": None}}, 422, "lacks the field image", "EnvironmentInvalid"),
        ({"config": {"cpus": 0}, "secrets": {"KEY": "new"}}, 422, "says cpus: 0", "EnvironmentInvalid"),
        ({"env": {"KEY": "x"}}, 422, "says KEY both in env and in secrets", "EnvironmentInvalid"),
        ({"name": "other"}, 400, "not known: name", None),
        ({"hidden": 1}, 400, "hidden must be", None),
    ):
        refused(await server.ask("PATCH", f"{ALL}/mine", body), status, words, reason)
    refused(await server.ask("PATCH", f"{ALL}/none", {}), 404, "named none", "EnvironmentNotFound")
    refused(await server.ask("PATCH", f"{ALL}/python3", {"env": {}}), 404, "python3", "EnvironmentNotFound")
    assert files(server.home.data) == before


async def test_an_environment_that_cannot_be_read_can_be_mended(server: Server) -> None:
    server.home.add("bad", IMAGE, cpus=0)
    model = next(one for one in await server.get(ALL) if one["name"] == "bad")
    assert "says cpus: 0" in model["error"]
    assert model["own"] is True
    assert (await server.ask("PATCH", f"{ALL}/bad", {"config": {"cpus": 1}})).model["cpus"] == 1


async def test_a_kernelspec_of_others_that_cannot_be_read_keeps_ours_from_nothing(server: Server) -> None:
    await make(server)
    server.home.add("broken", IMAGE)
    (server.home.data / "kernels" / "broken" / "kernel.json").write_text("{")
    assert [one["name"] for one in await server.get(ALL)] == ["mine"]


async def test_copied(server: Server, shared: Path) -> None:
    (shared / "shipped" / "logo-svg.svg").write_text("<svg>theirs</svg>")
    answer = await server.ask("POST", f"{ALL}/shipped/copy", {"name": "mine"})
    assert (answer.status, answer.location) == (201, server.url(f"{ALL}/mine"))
    assert (answer.model["display_name"], answer.model["image"], answer.model["own"]) == ("SHIPPED (copy)", IMAGE, True)
    assert {"mine", "shipped"} <= await launcher(server)
    copied = files(server.home.data / "kernels" / "mine")
    assert copied["logo-svg.svg"] == b"<svg>theirs</svg>"
    assert json.loads(copied["kernel.json"])["env"] == {"A": "b"}
    # The copy is the person's to change, and the original stays what it is.
    before = files(shared)
    assert (await server.ask("PATCH", f"{ALL}/mine", {"env": {"A": "c"}})).status == 200
    assert files(shared) == before
    named = await server.ask("POST", f"{ALL}/mine/copy", {"name": "second", "display_name": "Second"})
    assert named.model["display_name"] == "Second"
    refused(await server.ask("POST", f"{ALL}/mine/copy", {"name": "second"}), 409, "named second", "EnvironmentExists")
    refused(await server.ask("POST", f"{ALL}/none/copy", {"name": "x"}), 404, "named none", "EnvironmentNotFound")
    refused(await server.ask("POST", f"{ALL}/mine/copy", {}), 400, "field name", None)
    refused(await server.ask("POST", f"{ALL}/mine/copy", {"name": "x", "display_name": 1}), 400, "display_name", None)


async def test_deleted(server: Server) -> None:
    await make(server, secrets={"KEY": SECRET})
    async with server.events() as events:
        assert (await server.ask("DELETE", f"{ALL}/mine")).status == 204
        told = await events.heard(lambda messages: [one for one in messages if one["schema_id"] == ENVIRONMENTS])
    assert (told[0]["name"], told[0]["change"]) == ("mine", "deleted")
    assert "mine" not in await launcher(server)
    # What there is is the server's own.
    assert not [name for name in files(server.home.data) if not name.startswith("tfcontainer/servers/")]
    refused(await server.ask("DELETE", f"{ALL}/mine"), 404, "named mine", "EnvironmentNotFound")
    refused(await server.ask("DELETE", f"{ALL}/python3"), 404, "python3", "EnvironmentNotFound")


async def test_what_others_shipped_is_hidden(server: Server, shared: Path) -> None:
    """It cannot be deleted or changed, but launchers leave it out; by its name it can still be run."""
    before = files(shared)
    refused(await server.ask("PATCH", f"{ALL}/shipped", {"config": {"cpus": 1}}), 409, "Copy it", "EnvironmentReadOnly")
    assert (await server.ask("DELETE", f"{ALL}/shipped")).status == 204
    assert "shipped" not in await launcher(server)
    model = await server.get(f"{ALL}/shipped")
    assert (model["own"], model["hidden"]) == (False, True)
    assert model in await server.get(ALL)
    assert lookup.find("shipped", kernelspecs(server)).image == IMAGE
    assert (await server.ask("PATCH", f"{ALL}/shipped", {"hidden": False})).model["hidden"] is False
    assert "shipped" in await launcher(server)
    assert files(shared) == before


async def test_own_ones_can_be_hidden_too_and_a_new_one_is_not(server: Server) -> None:
    await make(server)
    assert (await server.ask("PATCH", f"{ALL}/mine", {"hidden": True})).model["hidden"] is True
    assert "mine" not in await launcher(server)
    # Gone by other ways than ours.
    shutil.rmtree(server.home.data / "kernels" / "mine")
    assert (await make(server))["hidden"] is False
    assert "mine" in await launcher(server)


async def test_a_list_of_what_is_hidden_that_cannot_be_read_hides_nothing(server: Server) -> None:
    await make(server)
    await server.ask("PATCH", f"{ALL}/mine", {"hidden": True})
    (server.home.data / "tfcontainer" / "hidden.json").write_text("{")
    assert "mine" in await launcher(server)


async def test_values_of_secrets_are_told_to_nobody(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with server.events() as events:
        models = [await make(server, secrets={"KEY": SECRET, "OTHER": "x"})]
        models.append((await server.ask("PATCH", f"{ALL}/mine", {"secrets": {"OTHER": None, "NEW": SECRET}})).model)
        models.append((await server.ask("POST", f"{ALL}/mine/copy", {"name": "copy"})).model)
        models += [await server.get(ALL), await server.get(f"{ALL}/mine"), await server.get(f"{ALL}/mine/export")]
        models.append(await server.get("api/kernelspecs"))
        await events.heard(lambda messages: len(messages) >= 3)
        assert SECRET not in json.dumps([models, events.messages])
    assert SECRET not in caplog.text
    assert [models[1]["secrets"], models[2]["secrets"]] == [["KEY", "NEW"]] * 2
    kept = {path for path in server.home.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()}
    folder = server.home.data / "tfcontainer" / "secrets"
    # Not in the kernelspec's folder, whose files the server hands out.
    assert kept == {folder / "mine.json", folder / "copy.json"}
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    found = lookup.find("copy", kernelspecs(server))
    assert secrets.values_for(found) == {"KEY": SECRET, "NEW": SECRET}


async def test_taken_along(server: Server) -> None:
    config = {"image": IMAGE, "memory": "1g", "mounts": [{"source": "~/data", "target": "/data"}]}
    made = await make(server, config=config, env={"A": "b"}, display_name="Mine", secrets={"KEY": SECRET})
    document = await server.get(f"{ALL}/mine/export")
    assert document == {
        "format": "jupyter_tfcontainer environment",
        "version": 1,
        "name": "mine",
        "display_name": "Mine",
        "config": {**config, "secrets": ["KEY"]},
        "env": {"A": "b"},
        # Nobody knows it: that image was never there.
        "digest": None,
    }
    again = await server.ask("POST", ALL, {"document": document})
    refused(again, 409, "named mine", "EnvironmentExists")
    answer = await server.ask("POST", ALL, {"document": document, "name": "theirs"})
    assert (answer.status, answer.location) == (201, server.url(f"{ALL}/theirs"))
    assert answer.model == {**made, "name": "theirs"}
    with pytest.raises(EnvironmentInvalid, match="says secrets: KEY, and its value is not on this machine"):
        secrets.values_for(lookup.find("theirs", kernelspecs(server)))
    pinned = await server.ask("POST", ALL, {"document": document, "name": "pinned", "pin": True})
    refused(pinned, 422, "cannot be pinned", "EnvironmentInvalid")
    pinned = await server.ask("POST", ALL, {"document": {**document, "digest": DIGEST}, "name": "pinned", "pin": True})
    assert pinned.model["image"] == DIGEST
    refused(await server.ask("GET", f"{ALL}/none/export"), 404, "named none", "EnvironmentNotFound")


@pytest.mark.parametrize("field", ["format", "version", "name", "display_name", "config", "env"])
def test_a_document_that_is_wrong(home: Home, specs: KernelSpecManager, field: str) -> None:
    store.create("mine", Change(config={"image": IMAGE}), specs)
    document = store.export("mine", None, specs)
    values: list[Any] = [None, 2, ["x"]]
    for value in values:
        with pytest.raises(EnvironmentInvalid) as caught:
            store.import_({**document, field: value}, specs, name="theirs")
        assert field in str(caught.value)
    assert not (home.data / "kernels" / "theirs").exists()


@pytest.mark.parametrize(
    ("reference", "digests", "digest"),
    [
        ("tf:1", ["tf@sha256:1"], "tf@sha256:1"),
        ("tf", ["other@sha256:1", "tf@sha256:2"], "tf@sha256:2"),
        ("host:5000/tf", ["tf@sha256:1", "host:5000/tf@sha256:2"], "host:5000/tf@sha256:2"),
        ("tf@sha256:2", ["other@sha256:1", "tf@sha256:2"], "tf@sha256:2"),
        ("renamed:1", ["tf@sha256:1"], "tf@sha256:1"),
        ("built:1", [], None),
        ("built:1", None, None),
    ],
)
def test_digest(reference: str, digests: list[str] | None, digest: str | None) -> None:
    assert store.digest(reference, {"RepoDigests": digests}) == digest


def test_digest_of_an_image_that_is_not_there() -> None:
    assert store.digest("tf:1", None) is None


# What fails half way.


def test_who_comes_second_overwrites_nothing(
    home: Home, specs: KernelSpecManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes may find a name free at the same time."""
    write = private_files.write

    def meanwhile(path: Path, content: str) -> None:
        write(path, content)
        if path.name == "kernel.json":
            monkeypatch.setattr(private_files, "write", write)
            store.create("mine", Change(config={"image": "theirs:1"}, secrets={"KEY": "theirs"}), specs)

    monkeypatch.setattr(private_files, "write", meanwhile)
    with pytest.raises(EnvironmentExists, match="named mine"):
        store.create("mine", Change(config={"image": IMAGE}, secrets={"KEY": SECRET}), specs)
    found = lookup.find("mine", specs)
    assert (found.image, secrets.values_for(found)) == ("theirs:1", {"KEY": "theirs"})
    assert [path.name for path in (home.data / "tfcontainer").iterdir()] == ["secrets"]


@pytest.mark.parametrize("file", ["kernel.json", "new.json"], ids=["kernelspec", "secrets"])
def test_what_cannot_be_written_leaves_nothing(
    home: Home, specs: KernelSpecManager, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    store.create("mine", Change(config={"image": IMAGE}, secrets={"KEY": SECRET}), specs)
    before = files(home.data)
    write = private_files.write

    def full(path: Path, content: str) -> None:
        if path.name == file:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(private_files, "write", full)
    with pytest.raises(OSError, match="No space"):
        store.create("new", Change(config={"image": IMAGE}, secrets={"KEY": SECRET}), specs)
    if file == "kernel.json":
        with pytest.raises(OSError, match="No space"):
            store.change("mine", Change(secrets={"KEY": "other"}), specs)
    assert files(home.data) == before
