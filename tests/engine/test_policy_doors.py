"""Each rule of policy, behind each door to a real engine: nothing is pulled, nothing is created."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pexpect
import pytest
from command_line import PROGRAM, command
from homes import MODERN, Home
from jupyter_client.manager import KernelManager
from kernels import kernel, value
from people import as_person
from servers import OURS, Server, session

from jupyter_tfcontainer.engine import Engine, labels
from jupyter_tfcontainer.errors import PolicyRefused
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.manager.policy import Policy, Taken

# No registry answers there: a pull would fail with another error.
ABSENT = "127.0.0.1:1/tensorflow:1.2.1"
# Each rule that holds for root as well: what an administrator says, and what a kernelspec says against it.
RULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "allowed_images": (["tensorflow/*"], {}),
    "allowed_mount_roots": (["/nowhere"], {}),
    "allowed_devices": ([], {"devices": ["/dev/null"]}),
    "max_memory": ("1g", {"memory": "2g"}),
    "max_cpus": (0.5, {"cpus": 1}),
    "max_total_memory": ("1g", {"memory": "2g"}),
    "max_total_cpus": (0.5, {"cpus": 1}),
    "max_gpus": (0, {"gpus": 1}),
    "max_containers": (0, {}),
}
EACH = pytest.mark.parametrize("rule", RULES)
UID = 2345


def refused_by(rule: str, said: str) -> None:
    """See that a sentence names the rule, the machine, and the file that it is set in."""
    assert f"ContainerManager.{rule} = " in said
    assert f"the policy of {os.uname().nodename} does not allow that" in said
    assert "jupyter_tfcontainer_config.json" in said


def refused_by_default(rule: str, said: str) -> None:
    """See that a sentence names a rule that nobody has set."""
    assert f"ContainerManager.{rule} (set in no file, so it is the default)" in said


@pytest.fixture
def ruled(home: Home, rule: str) -> Home:
    """A home with one rule, and a kernelspec lying about that is against it."""
    setting, config = RULES[rule]
    home.configure(**{rule: setting})
    home.add("tf", ABSENT, **config)
    return home


def test_every_rule_is_here() -> None:
    rules = {name for name in Policy.__dataclass_fields__ if name != "files"}
    # No kernelspec says anything of ports (test_ports.py), nor of processes: what keeps that rule is the engine.
    assert rules == RULES.keys() | {"allow_root", "allow_ports", "max_pids"}


@EACH
def test_a_hand_written_kernelspec(ruled: Home, rule: str) -> None:
    manager = KernelManager(kernel_name="tf")
    with pytest.raises(PolicyRefused) as caught:
        manager.start_kernel()
    manager.context.destroy()
    refused_by(rule, str(caught.value))
    assert not ruled.containers()


@EACH
async def test_rest(ruled: Home, server: Server, rule: str) -> None:
    """A container started ahead, a session of a launcher, and an environment that was made through REST."""
    body = {"name": "made", "config": {"image": ABSENT, **RULES[rule][1]}}
    assert (await server.ask("POST", f"{OURS}/environments", body)).status == 201
    for name in ("tf", "made"):
        answer = await server.ask("POST", f"{OURS}/containers", {"environment": name})
        assert (answer.status, answer.model["reason"]) == (403, "PolicyRefused")
        refused_by(rule, answer.model["message"])
        answer = await server.ask("POST", "api/sessions", session(name))
        assert answer.status == 500
        refused_by(rule, answer.model["message"])
    assert not ruled.containers()


def execute(home: Home, *, uid: int | None = None, code: str = "1", ends: int = 1) -> str:
    """What `jupyter execute` says of a notebook that runs in an environment."""
    cell: dict[str, Any] = {"id": "a", "cell_type": "code", "source": code, "metadata": {}, "outputs": []}
    cell["execution_count"] = None
    kernelspec = {"name": "tf", "display_name": "TF"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}
    path = home.workspace / "notebook.ipynb"
    path.write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "jupyter", "execute", str(path)]
    done = subprocess.run(
        as_person(command, uid=uid, groups=(engine_group(),)) if uid else command,
        check=False,
        capture_output=True,
        text=True,
        cwd=home.workspace,
        env={**os.environ, **home.variables()},
    )
    assert done.returncode == ends, done.stderr
    return done.stderr


def engine_group() -> int:
    """The group that may use the engine's socket."""
    return Path("/var/run/docker.sock").stat().st_gid


@EACH
def test_jupyter_execute(ruled: Home, rule: str) -> None:
    refused_by(rule, execute(ruled))
    assert not ruled.containers()


def refused_at_the_command(rule: str, *arguments: str, stdin: str = "") -> None:
    """See that a command refuses, names the rule, and does nothing else."""
    done = command(*arguments, stdin=stdin)
    assert (done.returncode, done.stdout) == (1, "")
    refused_by(rule, done.stderr)


@EACH
def test_the_command_line_starts_nothing(ruled: Home, rule: str) -> None:
    """A kernelspec lying about, of which no container runs: `shell` would start one."""
    # Somebody may test beside us, as the same user on the same engine.
    name = ruled.add(f"tf-{os.getpid()}", ABSENT, **RULES[rule][1])
    refused_at_the_command(rule, "shell", name)
    assert not ruled.containers()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in ("allowed_mount_roots", "max_containers")])
def test_the_command_line_makes_nothing(ruled: Home, rule: str) -> None:
    """On which folder an environment will work, and beside which containers, only a start tells."""
    config = RULES[rule][1]
    fields = [f"--set={name}={json.dumps(value)}" for name, value in config.items()]
    # Whether the person insists is no matter.
    refused_at_the_command(rule, "create", "--image", ABSENT, "--name", "made", "--force", *fields)
    refused_at_the_command(rule, "copy", "tf", "made")
    exported = command("export", "tf")
    assert exported.returncode == 0
    refused_at_the_command(rule, "import", "-", "--name", "made", stdin=exported.stdout)
    assert not (ruled.data / "kernels" / "made").exists()


def test_the_command_line_makes_nothing_with_a_mount_elsewhere(home: Home) -> None:
    (home.workspace / "link").symlink_to("/etc")
    home.configure(allowed_mount_roots=[str(home.root)])
    for folder, allowed in ((home.workspace, True), (home.workspace / "link", False)):
        fields = f'--set=mounts=[{{"source": "{folder}", "target": "/x"}}]'
        arguments = ("create", "--image", ABSENT, "--name", f"made-{allowed}".lower(), fields)
        if allowed:
            assert command(*arguments).returncode == 0
        else:
            refused_at_the_command("allowed_mount_roots", *arguments)


def test_without_an_engine_it_is_made_and_a_start_tells(home: Home) -> None:
    home.configure(allowed_images=[])
    nothing = f"unix://{home.root}/nothing.sock"
    done = command("create", "--image", ABSENT, "--name", "made", variables={"DOCKER_HOST": nothing})
    assert done.returncode == 0


@pytest.fixture
def theirs(home: Home) -> Home:
    """A home of somebody who is not root."""
    subprocess.run(["chown", "-R", f"{UID}:{UID}", home.root], check=True)
    return home


@pytest.mark.parametrize("config", [{"user": "root"}, {"user": "2345:6"}, {"groups": [6]}], ids=json.dumps)
def test_allow_root_for_somebody_who_is_not(theirs: Home, config: dict[str, Any]) -> None:
    theirs.add("tf", ABSENT, **config)
    said = execute(theirs, uid=UID)
    refused_by_default("allow_root = False", said)
    # With that rule's leave, it gets as far as the image.
    theirs.configure(allow_root=True)
    assert "could not pull the image" in execute(theirs, uid=UID)


def person_at(*arguments: str) -> list[str]:
    """Our command line, run by somebody who is not root."""
    return as_person([PROGRAM, *arguments], uid=UID, groups=(engine_group(),))


def test_allow_root_at_the_command_line(theirs: Home) -> None:
    """A shell, for which nothing is pulled before that is refused, and an environment that is made."""
    theirs.add("tf", ABSENT)
    for arguments in (
        ("shell", "--root", "tf"),
        ("create", "--image", ABSENT, "--name", "made", "--set", "user=root"),
    ):
        done = subprocess.run(person_at(*arguments), check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        refused_by_default("allow_root = False", done.stderr)
    assert not theirs.containers()


def test_a_root_shell_for_somebody_who_is_not(theirs: Home) -> None:
    """Beside a kernel that is them, where the policy allows that, and not where it does no longer."""
    theirs.configure(allow_root=True)
    theirs.add("tf", MODERN)
    program, *arguments = person_at("shell", "--root", "tf")
    terminal = pexpect.spawn(program, arguments, timeout=60, encoding="utf-8")
    terminal.expect("# ")
    terminal.sendline("echo I am $(id -u) at $HOME; touch /etc/made; stat -c 'is %u, made %U' /proc/1 /etc/made")
    terminal.expect("I am 0 at /root")
    terminal.expect(f"is {UID}, made .*made root")
    said = subprocess.run(person_at("exec", "--root", "tf", "id", "-u"), check=True, text=True, stdout=subprocess.PIPE)
    assert said.stdout == "0\n"
    theirs.configure(allow_root=False)
    for name in ("exec", "shell"):
        words = [name, "--root", "tf", *(["id"] if name == "exec" else [])]
        done = subprocess.run(person_at(*words), check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        refused_by("allow_root", done.stderr)
    terminal.sendline("exit 3")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 3
    assert not theirs.containers()


def test_root_inside_for_somebody_who_is_not(theirs: Home) -> None:
    """It gets as far as its sockets, though they are another user's, and so does the person."""
    theirs.configure(allow_root=True)
    theirs.add("tf", MODERN, user="root")
    execute(theirs, uid=UID, code="import os; assert os.getuid() == 0; open('made', 'w').close()", ends=0)
    assert (theirs.workspace / "made").stat().st_uid == 0
    theirs.add("tf", MODERN, user="54321:54321")
    theirs.workspace.chmod(0o755)
    code = "import os; assert os.getuid() == 54321; open('/tfcontainer/home/x', 'w').close()"
    execute(theirs, uid=UID, code=code, ends=0)
    kept = theirs.data / "tfcontainer" / "homes"
    assert (kept / "tf" / "x").stat().st_uid == 54321
    # The home is open to whom the kernel is, and the folder that it is in to nobody but the person.
    assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o700, UID)


def test_a_device_that_is_not_theirs(theirs: Home) -> None:
    theirs.add("tf", ABSENT, devices=["/dev/mem" if Path("/dev/mem").exists() else "/dev/console"])
    assert "ContainerManager.allowed_devices = None" in execute(theirs, uid=UID)


def test_the_ceiling_is_the_limit_of_who_sets_none(home: Home) -> None:
    home.configure(max_memory="512m", max_cpus=1)
    client = docker.APIClient()
    with kernel(home.add("tf", MODERN)) as (manager, connected):
        assert value(connected, "print(1)") == "1"
        (container,) = home.containers()
        host = client.inspect_container(container["Id"])["HostConfig"]
        assert (host["Memory"], host["NanoCpus"]) == (512 * 1024**2, 10**9)
        # A restart keeps the container: what was admitted is what runs.
        manager.restart_kernel(now=True)
        connected.wait_for_ready(timeout=20)
        assert [one["Id"] for one in home.containers()] == [container["Id"]]
    client.close()


@pytest.fixture
def alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may test beside us, as the same user on the same engine: theirs do not count."""
    every = Engine.list

    def ours(engine: Engine, owner: int) -> list[dict[str, Any]]:
        return [one for one in every(engine, owner) if one["Labels"][labels.FOLDER].startswith(f"{home.root}/")]

    monkeypatch.setattr(Engine, "list", ours)


async def test_max_containers(alone: None, server: Server) -> None:
    """Those of other processes count as well (below), and those that are just being started."""
    manager = server.app.web_app.settings["tfcontainer_manager"]
    manager.max_containers = 1
    server.home.add("tf", MODERN)
    await server.ahead("tf")
    answer = await server.ask("POST", f"{OURS}/containers", {"environment": "tf"})
    assert (answer.status, answer.model["reason"]) == (403, "PolicyRefused")
    assert "ContainerManager.max_containers = 1" in answer.model["message"]
    # The kernel takes the one that waits.
    await server.start("tf")


async def test_what_all_may_have_together(alone: None, server: Server) -> None:
    """Containers of other processes count, and one that waits makes room for one that is asked for."""
    manager = server.app.web_app.settings["tfcontainer_manager"]
    server.home.add("tf", MODERN, memory="64m")
    server.home.add("other", MODERN, memory="64m")
    await server.start("tf")
    await server.ahead("tf")
    manager.max_total_memory = "128m"
    answer = await server.ask("POST", f"{OURS}/containers", {"environment": "other"})
    assert (answer.status, answer.model["reason"]) == (403, "PolicyRefused")
    assert f"ContainerManager.max_total_memory = {128 * 1024**2} (set in" in answer.model["message"]
    await server.start("other")
    assert sorted((one["environment"], one["state"]) for one in await server.containers()) == [
        ("other", "running"),
        ("tf", "running"),
    ]


def test_containers_of_other_processes_count_with_their_limits(alone: None, home: Home) -> None:
    home.add("tf", MODERN, memory="96m", cpus=0.25)
    with kernel("tf"):
        own, other = ContainerManager.instance(), ContainerManager()
        try:
            known, asked = own.admission._taken(), other.admission._taken()
        finally:
            other.close()
        assert asked == known == Taken(containers=1, memory=96 * 1024**2, cpus=0.25)


# What a kernel sees that starts threads without end.
THREADS = """
import threading
end, started = threading.Event(), 0
try:
    while started < 1000:
        threading.Thread(target=end.wait, daemon=True).start()
        started += 1
except RuntimeError as error:
    print(error)
print(started < 100)
end.set()
"""


def test_max_pids(home: Home) -> None:
    """The machine's other processes are out of reach, and the kernel goes on."""
    home.configure(max_pids=100)
    with kernel(home.add("tf", MODERN)) as (manager, client):
        assert value(client, THREADS) == "can't start new thread\nTrue"
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=20)
        assert value(client, "print(1)") == "1"


@pytest.fixture
def tensorflow_only(home: Home) -> None:
    home.configure(allowed_images=["tensorflow/*"])


async def test_a_draft_says_what_the_policy_will_say(tensorflow_only: None, server: Server) -> None:
    asked = {"name": "mine", "new": True, "config": {"image": MODERN}}
    would = (await server.ask("POST", f"{OURS}/drafts", asked)).model
    assert would["environment"]["image"] == MODERN
    assert "allowed_images" in would["refused"]
