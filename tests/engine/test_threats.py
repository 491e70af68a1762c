"""Threats that ``docs/security.md`` names and no other file is about: each test fails once its guard is taken out."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
import registries
from homes import LEGACY, MODERN, Home, engine_client, processes
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from kernels import TIMEOUT, kernel, run, value
from servers import OURS, Server

from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.environments import store
from jupyter_tfcontainer.environments.store import Change
from jupyter_tfcontainer.errors import ContainerEnded, ContainerError, EnvironmentInvalid, TFContainerError
from jupyter_tfcontainer.manager import ContainerManager

IMAGES = pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])
SECRET = "s3cret-value"  # noqa: S105 - for tests


def refusal(name: str) -> TFContainerError:
    """Why an environment does not start."""
    manager = KernelManager(kernel_name=name)
    try:
        manager.start_kernel()
    except TFContainerError as error:
        return error
    finally:
        manager.context.destroy()
    raise AssertionError("It started.")


# A hostile notebook.

# What a kernel finds of others: their processes, sockets and folders.
LOOK_AROUND = """
import glob, json, os, socket
commands = []
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        commands.append(open(path, "rb").read().decode("utf-8", "replace"))
    except (IOError, OSError):
        pass
names = [line.split()[-1] for line in open("/proc/net/unix") if "@" in line]
sockets = ("/var/run/docker.sock", "/run/podman", "/run/containerd")
found = {"commands": commands, "run": os.listdir("/tfcontainer/run"), "names": names,
         "ours": sorted(os.listdir("/tfcontainer")), "home": sorted(os.listdir("/tfcontainer/home")),
         "tmp": os.listdir("/tmp"), "engines": [one for one in sockets if os.path.exists(one)]}
print(json.dumps(found))
"""
# What is there to be found.
LEAVE_TRACES = """
import os, socket, subprocess
name = "trace-of-another"
open(os.path.join(os.environ["HOME"], name), "w").close()
open("/tmp/" + name, "w").close()
child = subprocess.Popen(["sh", "-c", "sleep 600; : " + name])
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0" + name)
print(name)
"""


@IMAGES
def test_nothing_of_another_container_is_there(home: Home, image: str) -> None:
    with kernel(home.add("other", image)) as (_, other), kernel(home.add("tf", image)) as (_, client):
        trace = value(other, LEAVE_TRACES)
        assert trace in value(other, LOOK_AROUND)
        text = value(client, LOOK_AROUND)
        found = json.loads(text)
        assert trace not in text
        assert any("supervisor.py" in one for one in found["commands"])
        assert len(found["run"]) == 1
        assert found["ours"] == ["bin", "home", "run"]
        assert found["engines"] == []
        # What runs there is for everyone who comes after this kernel, and not for it to change.
        assert run(client, "open('/tfcontainer/bin/kernel.py', 'a')").error


def test_links_lead_to_nothing_outside(home: Home) -> None:
    """They are followed in the container, where nothing of the machine is but what is mounted."""
    outside = home.root / "outside"
    outside.mkdir()
    (outside / "file").write_text("of the machine")
    links = {"absolute": outside / "file", "relative": Path("../outside/file"), "folder": outside}
    for name, target in links.items():
        (home.workspace / name).symlink_to(target)
    with kernel(home.add("tf", MODERN)) as (_, client):
        for place in ("/notebooks", str(home.workspace)):
            for name in ("absolute", "relative", "folder/file"):
                assert "FileNotFoundError" in run(client, f"open('{place}/{name}')").error
            # Links that it makes itself lead no further.
            value(client, f"import os; os.symlink('/proc/1/root{outside}', '{place}/made')")
            assert "FileNotFoundError" in run(client, f"open('{place}/made/file')").error
            value(client, f"os.remove('{place}/made')")
        value(client, f"os.makedirs({str(outside)!r}); open('absolute', 'w').write('changed')")
    assert (outside / "file").read_text() == "of the machine"


def test_the_engines_socket_is_hidden(home: Home) -> None:
    """Wherever it lies in what is mounted: whoever may talk to it is root on the machine."""
    socket = Path("/var/run/docker.sock").resolve()
    look = "import os, stat; print(*[(stat.S_ISSOCK(os.stat(one).st_mode), len(os.listdir('{}'))) for one in ['{}']])"
    mounts = [{"source": str(socket.parent), "target": "/there"}]
    with kernel(home.add("tf", MODERN, mounts=mounts)) as (_, client):
        assert value(client, look.format("/there", f"/there/{socket.name}")).startswith("(False, ")
    # A workspace that is the whole machine; there the folders of other processes would lead to it as well.
    with kernel("tf", cwd="/") as (_, client):
        assert value(client, look.format("/notebooks/proc", f"/notebooks{socket}")) == "(False, 0)"
    for source in (str(socket), "/var/run/docker.sock", "/proc/self/ns", "/proc"):
        refused = refusal(home.add("tf", MODERN, mounts=[{"source": source, "target": "/there"}]))
        assert isinstance(refused, EnvironmentInvalid)
        assert "for no kernel" in str(refused)
    assert socket.is_socket()


# Secrets.


async def test_keys_and_tokens_are_in_nothing_that_others_read(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what the engine tells, nor in logs, events, answers, errors and the words of commands."""
    specs = KernelSpecManager()
    store.create("tf", Change(config={"image": MODERN}, secrets={"PASSWORD": SECRET}), specs)
    store.create(
        "broken",
        Change(config={"image": MODERN, "python": "python9", "pull_policy": "never"}, secrets={"PASSWORD": SECRET}),
        specs,
    )
    caplog.set_level("DEBUG")
    async with server.events() as events:
        kernel_id = await server.start("tf")
        key = server.app.kernel_manager.get_kernel(kernel_id).session.key.decode()
        told: list[Any] = [(await server.ask("POST", "api/sessions", {**SESSION, "kernel": {"name": "broken"}})).model]
        container = (await server.container())["id"]
        async with server.page(kernel_id) as page:
            assert await page.value("import os; print(os.environ['PASSWORD'])") == SECRET
        commands = [" ".join(psutil.Process(pid).cmdline()) for pid in processes(container)]
        for path in ("containers", f"containers/{container}", f"containers/{container}/logs", "environments"):
            told.append(await server.get(f"{OURS}/{path}"))
        with closing(engine_client()) as engine:
            told += [engine.inspect_container(container), engine.logs(container).decode(), server.home.containers()]
        manager = server.app.web_app.settings["tfcontainer_manager"]
        manager.own(container).control().request("signal", kernel=kernel_id, signum=9)
        # Jupyter restarts it.
        await events.heard(lambda messages: [one.get("state") for one in messages].count("running") == 2, 3 * TIMEOUT)
        assert "dead" in [one.get("state") for one in events.messages]
        # Its restart is over, too: Jupyter complains when it is stopped in the middle of one.
        async with server.page(kernel_id) as page:
            assert await page.value("print(6 * 7)") == "42"
    text = json.dumps([told, commands, events.messages]) + "".join(map(_message, caplog.records))
    assert "kernel.py" in text
    secrets = {"key": key, "token": server.app.identity_provider.token, "secret": SECRET}
    assert {name for name, value in secrets.items() if value in text} == set()


def _message(record: logging.LogRecord) -> str:
    # Of the server's own address, with its token, Jupyter itself tells who starts it.
    return "" if "?token=" in record.getMessage() else record.getMessage()


SESSION = {"path": "broken.ipynb", "type": "notebook", "name": "broken.ipynb"}


# An image that lies.


def test_labels_of_an_image_move_nobody(home: Home) -> None:
    """An image has them as well, and a container that a person starts by hand has the image's."""
    manager = ContainerManager.instance()
    kept = home.workspace / "kept"
    kept.write_text("mine")
    # All that a notebook can write of what lies in our own folders, at the workspace and where the server works.
    (home.workspace / "lock").touch()
    (home.workspace / "state.json").write_text(json.dumps({"in_server": True}))
    (home.workspace / "deadbeef").mkdir()
    claims: list[dict[str, str]] = [{}, {labels.FOLDER: str(home.workspace)}]
    claims += [{labels.FOLDER: f"{folder}/.."} for folder in (home.workspace / "deadbeef", home.data / "tfcontainer/c")]
    with closing(engine_client()) as engine, ExitStack() as left:
        for claim in claims:
            names = {labels.OWNER: str(os.getuid()), labels.WORKSPACE: str(home.workspace), **claim}
            one = engine.create_container(MODERN, ["true"], labels=names)["Id"]
            left.callback(_remove, engine, one)
        manager.sweep()
        manager.take_over(home.workspace)
    assert kept.read_text() == "mine"


def _remove(engine: docker.APIClient, container: str) -> None:
    with suppress(docker.errors.NotFound):  # it was taken at its word so far
        engine.remove_container(container, force=True)


# Each is what answers in the place of our supervisor.
LIES = {
    "nobody": "",
    "silence": "connection.close()",
    "garbage": r"connection.sendall(b'\xff\xfe\n')",
    "no object": r"connection.sendall(b'[]\n')",
    "no hello": r"""connection.sendall(b'{"id": 1, "ok": true}\n')""",
    "half a hello": r"""
connection.sendall(b'{"id": 1, "ok": true, "protocol": 1, "inodes": [], "token": "x"}\n')
other, _ = listener.accept()
other.recv(1000)
other.sendall(b'{"ok": true}\n')
time.sleep(600)""",
    "no end": r"""
while True:
    connection.sendall(b'x' * 65536)""",
    "a pit": r"connection.sendall(b'[' * 500000 + b'\n')",
}
LIAR = """
import os, socket, sys, time
control = __import__("json").loads(sys.argv[1])["control"]
lie = os.environ["LIE"]
if lie:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(control)
    listener.listen(5)
print("[supervisor] ready", flush=True)
if lie:
    connection, _ = listener.accept()
    connection.recv(1000)
    try:
        exec(lie)
    except OSError:
        pass
time.sleep(600)
"""


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image whose entrypoint takes our supervisor's place, and whose account files are none."""
    folder, name = tmp_path_factory.mktemp("liar"), f"tfcontainer/liar-{registries.TOKEN}"
    (folder / "passwd").write_text("x:x:1:1::/:/bin/sh\n" * 100_000)
    entry = json.dumps(["sh", "-c", 'shift 2; exec python3 -c "$PROGRAM" "$@"', "sh"])
    lines = [f"FROM {MODERN}", "RUN ln -sf /nowhere /etc/group", "COPY passwd /etc/passwd", f"ENTRYPOINT {entry}"]
    (folder / "Dockerfile").write_text("\n".join(lines))
    with closing(engine_client()) as client:
        for event in client.build(path=str(folder), tag=name, decode=True, rm=True, forcerm=True):
            assert "error" not in event, event
        yield name
        client.remove_image(name, force=True)


@pytest.mark.parametrize("lie", LIES)
def test_an_image_that_is_no_supervisor_of_ours(home: Home, liar: str, lie: str) -> None:
    home.add("tf", liar, env={"PROGRAM": LIAR, "LIE": LIES[lie]}, user="1234:1234")
    home.workspace.chmod(0o755)
    assert isinstance(refusal("tf"), ContainerEnded if lie == "nobody" else ContainerError)
    assert home.containers() == []


def test_account_files_that_are_none(home: Home, liar: str) -> None:
    """A file that would fill the server's memory, and a link."""
    engine = ContainerManager.instance().engine
    with closing(engine_client()) as client:
        container = client.create_container(liar)["Id"]
        try:
            assert [engine.read(container, path) for path in ("/etc/passwd", "/etc/group")] == [None, None]
            assert engine.read(container, "/etc/debian_version")
        finally:
            client.remove_container(container)
