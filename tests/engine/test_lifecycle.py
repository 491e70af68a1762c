"""A kernel's life in its container, without a server."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing

import pytest
from homes import LEGACY, MODERN, Home, engine_client, user_inside
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager, KernelManager
from kernels import TIMEOUT, kernel, run, value

from jupyter_tfcontainer.errors import WorkspaceRefused
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.provisioner import TFContainerProvisioner

# What an image's Python has to do with an engine, one image shows.
IMAGES = pytest.mark.parametrize(
    "image", [pytest.param(LEGACY, id="legacy"), pytest.param(MODERN, id="modern", marks=pytest.mark.every_engine)]
)

LOOP = """
import subprocess, time
child = subprocess.Popen(["sleep", "600"])
print(child.pid)
while True:
    time.sleep(0.01)
"""


@pytest.mark.every_engine
def test_legacy_tensorflow(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (_, client):
        value(client, "import sys, ipykernel, tensorflow as tf")
        code = "print(sys.version_info[:2], ipykernel.__version__, tf.__version__)"
        assert value(client, code) == "((2, 7), '4.6.1', '1.2.1')"


@IMAGES
def test_kernel_is_the_person_in_the_workspace(home: Home, image: str) -> None:
    (home.workspace / "deep").mkdir()
    with kernel(home.add("tf", image), cwd=str(home.workspace / "deep")) as (_, client):
        assert value(client, "import os; print(os.getcwd())") == "/notebooks"
        assert value(client, "print(os.getuid(), os.path.expanduser('~'))").replace("'", "").strip("()") in (
            f"{user_inside()}, /tfcontainer/home",
            f"{user_inside()} /tfcontainer/home",
        )
        # The workspace of a kernel without a server is its start folder, and it is there at its host path too.
        path = home.workspace / "deep" / "made"
        assert value(client, f"open({str(path)!r}, 'w').write('x') and None; print(os.path.exists('made'))") == "True"
        assert path.stat().st_uid == os.getuid()


@IMAGES
def test_interrupt_reaches_the_cell_and_its_children(home: Home, image: str) -> None:
    with kernel(home.add("tf", image)) as (manager, client):
        # The best of these counts: what else the machine does is no matter of ours.
        took: list[float] = []
        while len(took) < 5 and min(took, default=1) >= 0.2:
            took.append(interrupt(manager, client))
        print(f"\ninterrupted after {took} s")
        assert min(took) < 0.2


def interrupt(manager: KernelManager, client: BlockingKernelClient) -> float:
    """Interrupt a cell that has a child; seconds until the cell's reply come back."""
    # Else ipykernel aborts what it is asked next, if that comes soon enough.
    request = client.execute(LOOP, stop_on_error=False)
    child = next(
        int(message["content"]["text"])
        for message in iter(lambda: client.get_iopub_msg(timeout=TIMEOUT), None)
        if message["msg_type"] == "stream"
    )
    begun = time.monotonic()
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=TIMEOUT)
    took = time.monotonic() - begun
    assert reply["parent_header"]["msg_id"] == request
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert value(client, "print(child.wait())") == "-2"
    assert value(client, f"import os; print(os.path.exists('/proc/{child}'))") == "False"
    return took


@IMAGES
@pytest.mark.parametrize("now", [False, True], ids=["polite", "now"])
def test_restart_keeps_the_container(home: Home, image: str, now: bool) -> None:
    with kernel(home.add("tf", image)) as (manager, client):
        value(client, "open('/tmp/installed', 'w').close(); variable = 1")
        before = home.containers()[0]["Id"]
        manager.restart_kernel(now=now)
        client.wait_for_ready(timeout=TIMEOUT)
        assert value(client, "import os; print(os.path.exists('/tmp/installed'), 'variable' in globals())") in (
            "(True, False)",
            "True False",
        )
        assert [one["Id"] for one in home.containers()] == [before]


@pytest.mark.every_engine
def test_restart_in_a_fresh_container(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (manager, client):
        value(client, "open('/tmp/installed', 'w').close()")
        before = home.containers()[0]["Id"]
        assert isinstance(manager.provisioner, TFContainerProvisioner)
        manager.provisioner.restart_fresh()
        manager.restart_kernel()
        # The client stays connected: the addresses are those of the old container.
        client.wait_for_ready(timeout=TIMEOUT)
        assert value(client, "import os; print(os.path.exists('/tmp/installed'))") == "False"
        after = home.containers()
        assert len(after) == 1
        assert after[0]["Id"] != before


@pytest.mark.every_engine
def test_killed_container_is_replaced_at_restart(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (manager, client):
        with closing(engine_client()) as engine:
            engine.kill(home.containers()[0]["Id"])
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=TIMEOUT)
        assert value(client, "print(1)") == "1"
        assert len(home.containers()) == 1


def test_async_kernel_manager(home: Home) -> None:
    name = home.add("tf", LEGACY)

    async def use() -> str:
        manager = AsyncKernelManager(kernel_name=name)
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=TIMEOUT)
        reply = await client.execute_interactive("assert 1 + 1 == 2", timeout=TIMEOUT)
        await manager.restart_kernel()
        await client.wait_for_ready(timeout=TIMEOUT)
        client.stop_channels()
        await manager.shutdown_kernel()
        manager.context.destroy()
        return str(reply["content"]["status"])

    assert asyncio.run(use()) == "ok"


@pytest.mark.every_engine
def test_polite_shutdown_lets_the_interpreter_end(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (manager, client):
        value(client, "import atexit; _ = atexit.register(lambda: open('/notebooks/ended', 'w').close())")
        client.stop_channels()
        manager.shutdown_kernel()
        assert (home.workspace / "ended").exists()
        assert not home.containers()


@pytest.mark.every_engine
def test_nothing_is_open_and_nothing_is_to_be_gained(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (_, client):
        with closing(engine_client()) as engine:
            config = engine.inspect_container(home.containers()[0]["Id"])
        # Podman lists the ports that the image names.
        assert not any((config["HostConfig"]["PortBindings"] or {}).values())
        assert config["HostConfig"]["Privileged"] is False
        status = value(client, "print(open('/proc/self/status').read())")
        assert "NoNewPrivs:\t1" in status
        assert value(client, "import os; print(os.getpid() != 1 and 'JPY_PARENT_PID' not in os.environ)") == "True"


@pytest.mark.every_engine
def test_jupyters_own_folders_are_hidden(home: Home) -> None:
    """A root folder is often the home, and Jupyter's folders lie in it: no notebook may rewrite a kernelspec."""
    name = home.add("tf", LEGACY)
    with kernel(name, cwd=str(home.root)) as (_, client):
        assert value(client, "import os; print(os.listdir('/notebooks/data'), os.listdir('/notebooks/config'))") in (
            "([], [])",
            "[] []",
        )
        assert value(client, f"print(os.listdir({str(home.data)!r}))") == "[]"
        result = run(client, f"os.mkdir({str(home.data / 'kernels')!r})")
        assert result.error.startswith("OSError")
    assert (home.data / "kernels" / name / "kernel.json").exists()


@pytest.mark.parametrize("below", [False, True], ids=["itself", "below"])
def test_jupyters_own_folder_is_no_workspace(home: Home, below: bool) -> None:
    folder = home.data / "kernels" if below else home.data
    name = home.add("tf", LEGACY)
    with pytest.raises(WorkspaceRefused, match="Start JupyterLab on another folder"), kernel(name, cwd=str(folder)):
        pass


@IMAGES
def test_a_program_on_localhost_is_reached(home: Home, image: str) -> None:
    """Through a connection that is made inside and handed out, whatever the engine does with networks."""
    with kernel(home.add("tf", image)) as (manager, client):
        code = "import socket; listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen(1)"
        port = int(value(client, f"{code}; print(listener.getsockname()[1])"))
        assert isinstance(manager.provisioner, TFContainerProvisioner)
        ports, container = ContainerManager.instance().ports, manager.provisioner.running.id
        assert [one["port"] for one in ports.list(container)] == [port]
        with closing(ports.dial(container, port).result(TIMEOUT)["socket"]) as reached:
            reached.settimeout(TIMEOUT)
            reached.sendall(b"from outside")
            assert value(client, "there = listener.accept()[0]; print(there.recv(100).decode())") == "from outside"
            value(client, "there.sendall(b'from inside'); listener.close()")
            assert reached.recv(100) == b"from inside"
        assert ports.dial(container, port).result(TIMEOUT)["problem"] == "Connection refused"
