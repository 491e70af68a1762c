"""The supervisor and our side of its socket, as plain processes of this machine."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import KernelConnectionInfo
from kernels import TIMEOUT, run, until, value

import jupyter_tfcontainer
from jupyter_tfcontainer.errors import ContainerError
from jupyter_tfcontainer.kernels import supervisor_client as client_module
from jupyter_tfcontainer.kernels.supervisor_client import Message, SupervisorClient

PROGRAMS = Path(jupyter_tfcontainer.__file__).parent / "kernels" / "inside"
PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))
# The virtual environment of the tests, and the Python that it was made from. That one may see the same packages, and is
# otherwise what an image has: with a user site, and without a virtual environment's peculiarities.
VENV = (sys.executable,)
BASE = (str(Path(sys.executable).resolve()), PACKAGES)
KEY = "7e1c"
# What a supervisor says of itself, at least.
HELLO = {
    "protocol": 1,
    "python": "3.11.2",
    "executable": "python3",
    "inodes": {},
    "devices": [],
    "kernels": [],
    "token": "t",
}
# A module that tells which interpreters have imported it: a spare does so when it has noted when folders were changed.
WARM = """
import os
with open({!r}, "a") as file:
    file.write("%d\\n" % os.getpid())
"""


def ended(process: psutil.Process) -> bool:
    """Whether a process has ended: also if init, which got it from its parent, takes seconds to reap it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Owner:
    """A connection to a supervisor, and what it is told."""

    def __init__(self, control: Path, name: str) -> None:
        self.events: queue.Queue[Message | None] = queue.Queue()
        self.client = SupervisorClient(control, name, self.events.put)
        self.launches = 0

    def event(self, kind: str, kernel: str) -> Message:
        """The next event of that kind of a kernel; others of it may not come before."""
        while True:
            event = self.events.get(timeout=TIMEOUT)
            assert event is not None, "the supervisor has gone"
            if event["kernel"] == kernel:
                assert event["event"] == kind
                return event


class Local:
    """A supervisor that runs as a process of this machine.

    Parameters
    ----------
    folder
        for its sockets, and for all that it and its kernels write
    python
        which interpreter, and where it looks for packages besides
    wrapper
        a command that runs the command it is given
    program
        the supervisor, or what runs it
    preload
        modules that the spare imports ahead
    config
        of the supervisor, beyond what it needs
    """

    def __init__(
        self,
        folder: Path,
        python: tuple[str, ...] = VENV,
        wrapper: tuple[str, ...] = (),
        program: tuple[str, ...] = (str(PROGRAMS / "supervisor.py"),),
        preload: tuple[str, ...] = (),
        **config: Any,
    ) -> None:
        self.folder = folder
        self.control = folder / "control.sock"
        self.log_file = folder / "log"
        executable, *paths = python
        self.packages = folder / "packages"
        self.packages.mkdir()
        (self.packages / "warm.py").write_text(WARM.format(str(folder / "warm")))
        # The last: whoever has imported it has told of the others.
        modules = [*preload, "warm"]
        settings = {"control": str(self.control), "orphan_timeout": 60, "checks": [], "preload": modules, **config}
        with self.log_file.open("wb") as log:
            self.process = psutil.Popen(
                [*wrapper, executable, "-E", "-s", "-u", *program, json.dumps(settings)],
                env={
                    "HOME": str(folder),
                    "PATH": os.environ["PATH"],
                    "PYTHONUSERBASE": str(folder / "base"),
                    "PIP_USER": "1",
                    # Or the import of a module would change its folder.
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTHONPATH": ":".join((str(self.packages), *paths)),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pids: set[int] = set()
        self.clients: list[BlockingKernelClient] = []
        self.owners: list[Owner] = []

    def log(self) -> str:
        """What it and its kernels printed."""
        return self.log_file.read_text()

    def wait_ready(self) -> Local:
        """Wait for its word that it listens."""
        assert until(lambda: "[supervisor] ready" in self.log(), TIMEOUT), self.log()
        return self

    def own(self, name: str = "a test") -> Owner:
        """Become its owner."""
        self.owners.append(Owner(self.control, name))
        return self.owners[-1]

    def children(self) -> set[int]:
        """Its interpreters: the spare and the kernels."""
        return {child.pid for child in self.process.children()}

    def spare(self) -> int:
        """The interpreter that waits, once those that were dropped are gone."""
        assert until(lambda: len(self.children() - self.pids) == 1, TIMEOUT)
        (pid,) = self.children() - self.pids
        return pid

    def warm_spare(self) -> int:
        """The interpreter that waits, once it is warm."""
        pid, warm = self.spare(), self.folder / "warm"
        assert until(lambda: warm.exists() and str(pid) in warm.read_text().split(), TIMEOUT)
        return pid

    def connection(self, kernel: str) -> dict[str, Any]:
        """Addresses for a kernel, as the manager makes them."""
        names = ("shell", "iopub", "stdin", "hb", "control")
        return {
            "transport": "ipc",
            "ip": str(self.folder / kernel),
            **{f"{name}_port": number for number, name in enumerate(names, 1)},
            "key": KEY,
            "signature_scheme": "hmac-sha256",
            "kernel_name": "",
        }

    def launch(
        self,
        owner: Owner,
        kernel: str = "k",
        env: dict[str, str] | None = None,
        warm: float = 0.0,
        record: int = 0,
    ) -> Message:
        """Launch a kernel; the reply has its process id."""
        owner.launches += 1
        reply = owner.client.request(
            "launch",
            kernel=kernel,
            launch=owner.launches,
            connection=self.connection(kernel),
            cwd=str(self.folder),
            env=env or {},
            arguments=[],
            subscribers=None,
            warm=warm,
            record=record,
        )
        self.pids.add(reply["pid"])
        return reply

    def talk(self, kernel: str = "k") -> BlockingKernelClient:
        """A client of a kernel."""
        one = BlockingKernelClient()
        one.load_connection_info(cast("KernelConnectionInfo", self.connection(kernel)))
        one.start_channels()
        self.clients.append(one)
        one.wait_for_ready(timeout=TIMEOUT)
        return one

    def started(self, owner: Owner, kernel: str = "k", **kwargs: Any) -> BlockingKernelClient:
        """Launch a kernel and talk to it."""
        self.launch(owner, kernel, **kwargs)
        owner.event("ready", kernel)
        return self.talk(kernel)

    def close(self) -> None:
        """End it, with all that it started."""
        for one in self.clients:
            one.stop_channels()
            one.context.destroy()
        for owner in self.owners:
            owner.client.close()
        processes = [self.process, *self.process.children(recursive=True)] if self.process.is_running() else []
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        assert until(lambda: all(map(ended, processes)), TIMEOUT)
        for pid in self.pids:
            # In a container it goes with that.
            Path(f"/tmp/jupyter-{os.getuid()}/kernel-{pid}.json").unlink(missing_ok=True)  # noqa: S108


@contextmanager
def local(**kwargs: Any) -> Iterator[Local]:
    """A supervisor in a folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="tfc-s-"))
    one = Local(folder, **kwargs)
    try:
        yield one.wait_ready()
    finally:
        one.close()
        shutil.rmtree(folder)


@pytest.fixture
def supervisor() -> Iterator[Local]:
    with local() as one:
        yield one


@pytest.fixture(scope="module")
def shared() -> Iterator[Local]:
    """One for tests that leave it as it was."""
    with local() as one:
        yield one


@pytest.fixture
def owner(supervisor: Local) -> Owner:
    return supervisor.own()


# Owners.


def test_hello(shared: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = shared.own()
    assert owner.client.hello["protocol"] == client_module.PROTOCOL == 1
    assert owner.client.hello["python"] == sys.version.split()[0]
    assert owner.client.hello["kernels"] == []
    assert sorted(owner.client.hello["devices"]) == sorted(one.name for one in Path("/dev").iterdir())
    owner.client.close()


def test_hello_proves_mounts() -> None:
    with local(checks=["/", "/nowhere"]) as one:
        inodes = one.own().client.hello["inodes"]
    assert inodes == {"/": Path("/").stat().st_ino, "/nowhere": "No such file or directory"}


def test_a_second_owner_is_refused_by_the_name_of_the_first(shared: Local) -> None:
    first = shared.own("the first")
    with pytest.raises(ContainerError, match=r"The container refused: this container belongs to the first\."):
        shared.own("the second")
    assert first.client.request("list")["kernels"] == []
    first.client.close()
    shared.own("the third").client.close()


def test_a_program_of_another_version(shared: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PROTOCOL", 2)
    with pytest.raises(ContainerError, match=r"speaks version 1 of the control protocol, this extension version 2\."):
        shared.own()
    monkeypatch.undo()
    shared.own().client.close()  # the one that did not fit has let go


def ask(path: Path, *lines: bytes) -> list[Message]:
    """Send lines to a supervisor without being its owner, and read until it hangs up or each is answered."""
    with socket.socket(socket.AF_UNIX) as one, one.makefile("rb") as answers:
        one.settimeout(TIMEOUT)
        one.connect(str(path))
        one.sendall(b"".join(lines))
        return [json.loads(line) for _, line in zip(lines, answers, strict=False)]


@pytest.mark.parametrize("op", ["launch", "signal", "list", "stop"])
def test_only_the_owner_is_obeyed(shared: Local, op: str) -> None:
    owner = shared.own()
    assert ask(shared.control, json.dumps({"id": 5, "op": op}).encode() + b"\n") == [
        {"id": 5, "error": "not the owner of this container"}
    ]
    owner.client.request("list")
    owner.client.close()


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.1\n", b"\xff\xfe\n", b"{]\n", b"\n", b"[]\n", b"1\n", b"null\n", b'"own"\n']
)
def test_garbage_is_hung_up_on(shared: Local, line: bytes) -> None:
    assert ask(shared.control, line) == []
    shared.own().client.close()


def test_half_a_message_and_a_long_one(shared: Local) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(shared.control))
        one.sendall(b'{"id": 1, "op": "own", "own')
    long = json.dumps({"id": 1, "op": "x" * 300_000}).encode() + b"\n"
    assert ask(shared.control, long)[0]["error"] == "not the owner of this container"
    shared.own().client.close()


def test_a_request_that_lacks_something_is_refused(shared: Local) -> None:
    assert ask(shared.control, b'{"id": 1}\n')[0]["error"].startswith("KeyError")
    owner = shared.own()
    with pytest.raises(ContainerError, match="unknown request dance"):
        owner.client.request("dance")
    with pytest.raises(ContainerError, match="KeyError"):
        owner.client.request("launch")
    assert owner.client.request("signal", kernel="nobody", signum=2)["found"] is False
    owner.client.close()


def test_the_control_socket_is_for_this_user_only(shared: Local) -> None:
    assert shared.control.stat().st_mode & 0o777 == 0o600


# Kernels.


@pytest.mark.parametrize(("python", "pip_user"), [(VENV, "None"), (BASE, "1")], ids=["venv", "base"])
def test_a_kernels_life(python: tuple[str, ...], pip_user: str) -> None:
    with local(python=python) as one:
        owner = one.own()
        client = one.started(owner)
        assert value(client, "import os, sys; print(os.getcwd()); print(sys.executable)").split() == [
            str(one.folder),
            python[0],
        ]
        # In a virtual environment pip refuses to install for the user.
        assert value(client, "print(os.environ.get('PIP_USER'))") == pip_user
        # What a person installed has its programs on PATH.
        assert value(client, "print(os.environ['PATH'])").startswith(f"{one.folder}/base/bin:")
        pid = int(value(client, "print(os.getpid())"))
        assert owner.client.request("list")["kernels"] == [{"kernel": "k", "pid": pid, "launch": 1, "ready": True}]
        client.execute("os._exit(7)")
        assert owner.event("exit", "k") == {
            "event": "exit",
            "kernel": "k",
            "launch": 1,
            "code": 7,
            "signal": None,
            "oom": False,
        }
        assert owner.client.request("list")["kernels"] == []


def test_a_kernel_that_a_signal_ends(supervisor: Local, owner: Owner) -> None:
    client = supervisor.started(owner)
    client.execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    event = owner.event("exit", "k")
    assert (event["code"], event["signal"], event["oom"]) == (None, signal.SIGSEGV, False)


CHILD = "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid)"


def test_a_signal_goes_to_the_process_group(supervisor: Local, owner: Owner) -> None:
    client = supervisor.started(owner)
    child = psutil.Process(int(value(client, CHILD)))
    request = client.execute("import time; print('begun', flush=True); time.sleep(600)", stop_on_error=False)
    while client.get_iopub_msg(timeout=TIMEOUT)["content"].get("text") != "begun\n":
        pass
    assert owner.client.request("signal", kernel="k", signum=int(signal.SIGINT))["found"] is True
    reply = client.get_shell_msg(timeout=TIMEOUT)
    assert reply["parent_header"]["msg_id"] == request
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert value(client, "print(child.wait())") == str(-signal.SIGINT)
    assert not child.is_running()


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_nothing_of_a_kernels_group_outlives_it(supervisor: Local, owner: Owner, end: str) -> None:
    client = supervisor.started(owner)
    child = psutil.Process(int(value(client, CHILD)))
    if end == "kill":
        owner.client.request("signal", kernel="k", signum=int(signal.SIGKILL))
    else:
        client.execute("import os; os._exit(0)")
    owner.event("exit", "k")
    assert until(lambda: ended(child), TIMEOUT)


def test_an_image_without_ipykernel() -> None:
    """The launch ends with what Python says, and the supervisor goes on."""
    with local(python=BASE[:1]) as one:
        owner = one.own()
        one.launch(owner)
        assert owner.event("exit", "k")["code"] == 1
        assert "No module named 'ipykernel'" in one.log()
        assert owner.client.request("list")["kernels"] == []


# Spares.


def test_the_spare_becomes_the_kernel_and_the_next_is_warmed(supervisor: Local, owner: Owner) -> None:
    waiting = supervisor.spare()
    assert supervisor.launch(owner, "one")["pid"] == waiting
    owner.event("ready", "one")
    waiting = supervisor.spare()
    assert supervisor.launch(owner, "two")["pid"] == waiting
    owner.event("ready", "two")
    assert until(lambda: len(supervisor.children()) == 3, TIMEOUT)


def test_a_restart_takes_the_spare_and_tells_no_exit(supervisor: Local, owner: Owner) -> None:
    first = supervisor.launch(owner)["pid"]
    assert owner.event("ready", "k")["launch"] == 1
    waiting = supervisor.spare()
    assert supervisor.launch(owner)["pid"] == waiting
    assert owner.event("ready", "k")["launch"] == 2  # and no exit before it
    assert until(lambda: first not in supervisor.children(), TIMEOUT)
    assert owner.client.request("list")["kernels"] == [{"kernel": "k", "pid": waiting, "launch": 2, "ready": True}]


def test_a_spare_that_ended_is_replaced_at_the_launch(supervisor: Local, owner: Owner) -> None:
    os.kill(supervisor.spare(), signal.SIGKILL)
    assert until(lambda: "the spare ended" in supervisor.log(), TIMEOUT)
    supervisor.launch(owner)
    owner.event("ready", "k")


def test_where_memory_is_short_a_spare_goes_before_a_kernel(supervisor: Local, owner: Owner) -> None:
    """So Linux is told; ourselves it is to end last."""

    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    kernel = supervisor.launch(owner)["pid"]
    owner.event("ready", "k")
    assert until(lambda: score(supervisor.spare()) > score(kernel), TIMEOUT)
    assert score(kernel) > score(supervisor.process.pid)


def test_variables_that_an_interpreter_reads_at_its_start(supervisor: Local, owner: Owner) -> None:
    waiting = supervisor.spare()
    wanted = {"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "0", "NAME": "数据"}
    client = supervisor.started(owner, env=wanted)
    assert "does not fit" in supervisor.log()
    assert waiting not in supervisor.children() | supervisor.pids
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.environ['NAME'], sys.flags.hash_randomization)"
    assert value(client, code) == "3 数据 0"
    # The next spare has them, for the restart to come.
    waiting = supervisor.spare()
    assert supervisor.launch(owner, env=wanted)["pid"] == waiting
    owner.event("ready", "k")


def test_variables_that_are_read_when_asked_for(supervisor: Local, owner: Owner) -> None:
    waiting = supervisor.spare()
    client = supervisor.started(owner, env={"JPY_SESSION_NAME": "/notebooks/a.ipynb", "KERNEL_USERNAME": "ada"})
    assert waiting in supervisor.pids
    code = "import os; print(os.environ['JPY_SESSION_NAME'], os.environ['KERNEL_USERNAME'])"
    assert value(client, code) == "/notebooks/a.ipynb ada"


def test_what_was_installed_meanwhile_is_found() -> None:
    """Also into a user site that was not there when the spare began."""
    with local(python=BASE) as one:
        owner = one.own()
        client = one.started(owner)
        site = Path(value(client, "import site; print(site.getusersitepackages())"))
        assert not site.exists()
        assert "No module named" in run(client, "import added").error
        one.warm_spare()
        site.mkdir(parents=True)
        (site / "added.py").write_text("name = 'here'")
        client = one.started(owner)
        assert value(client, "import added; print(added.name)") == "here"


@pytest.mark.parametrize("change", ["none", "module", "path file"])
def test_a_changed_folder_spends_the_spare(supervisor: Local, owner: Owner, change: str) -> None:
    path_file = supervisor.packages / "old.pth"
    path_file.write_text("")
    supervisor.launch(owner, env={"A": "new interpreter"})
    owner.event("ready", "k")
    waiting = supervisor.warm_spare()
    if change == "module":
        (supervisor.packages / "added.py").write_text("")
    elif change == "path file":
        path_file.write_text("/other\n")  # which leaves its folder's time as it was
    taken = supervisor.launch(owner, env={"A": "new interpreter"})["pid"] == waiting
    assert taken == (change == "none")
    owner.event("ready", "k")
    assert supervisor.log().count("does not fit") == (1 if taken else 2)


def test_the_next_spare_waits_until_it_is_time(supervisor: Local, owner: Owner) -> None:
    begun = time.monotonic()
    supervisor.launch(owner, warm=1.0)
    owner.event("ready", "k")
    assert len(supervisor.children()) == 1
    supervisor.spare()
    assert time.monotonic() - begun > 1


def test_the_next_spare_comes_when_asked_for(supervisor: Local, owner: Owner) -> None:
    supervisor.launch(owner, warm=3600)
    owner.event("ready", "k")
    assert len(supervisor.children()) == 1
    owner.client.request("warm")
    waiting = supervisor.spare()
    owner.client.request("warm")
    assert supervisor.spare() == waiting
    assert supervisor.launch(owner, warm=3600)["pid"] == waiting
    owner.event("ready", "k")


def test_a_restart_before_the_next_spare_is_there(supervisor: Local, owner: Owner) -> None:
    """A launch is never kept waiting for one."""
    supervisor.launch(owner, warm=3600)
    owner.event("ready", "k")
    supervisor.launch(owner, warm=0)
    owner.event("ready", "k")
    supervisor.spare()
    # The one that was to come for the kernel before does not come as well.
    assert len(supervisor.children()) == 2


def test_variables_that_are_expected(supervisor: Local, owner: Owner) -> None:
    first = supervisor.spare()
    owner.client.request("expect", env={"NAME": "数据"})
    waiting = supervisor.spare()
    assert waiting != first
    owner.client.request("expect", env={"NAME": "数据"})
    assert supervisor.launch(owner, env={"NAME": "数据"})["pid"] == waiting
    owner.event("ready", "k")
    assert "does not fit" not in supervisor.log()
    assert value(supervisor.talk(), "import os; print(os.environ['NAME'])") == "数据"


@pytest.mark.parametrize("change", ["none", "written over"])
def test_a_preloaded_file_that_is_written_over_spends_the_spare(change: str) -> None:
    with local(preload=("mine",)) as one:
        module = one.packages / "mine.py"
        module.write_text("name = 'old'")
        owner = one.own()
        # With a variable of its own: a new interpreter, which finds the module.
        client = one.started(owner, env={"A": "1"})
        assert value(client, "import sys; print(sys.modules['mine'].name)") == "old"
        waiting = one.warm_spare()
        if change != "none":
            module.write_text("name = 'new'")
        taken = one.launch(owner, env={"A": "1"})["pid"] == waiting
        owner.event("ready", "k")
        assert taken == (change == "none")
        assert value(one.talk(), "import mine; print(mine.name)") == ("old" if taken else "new")


def test_preload() -> None:
    with local(preload=("colorsys", "missing_module")) as one:
        client = one.started(one.own())
        assert value(client, "import sys; print('colorsys' in sys.modules)") == "True"
        assert "missing_module is not preloaded" in one.log()


# Not every machine is fast: a child that has not made its own process group yet must still be ended.
SLOW = """
import os, runpy, sys, time
setsid = os.setsid
os.setsid = lambda: (time.sleep(1), setsid())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_spare_that_has_hardly_begun_is_ended_too() -> None:
    with local(program=("-c", SLOW, str(PROGRAMS / "supervisor.py"))) as one:
        owner, waiting = one.own(), one.spare()
        one.launch(owner, env={"OTHER": "1"})
        assert until(lambda: waiting not in one.children(), TIMEOUT)
        owner.event("ready", "k")
        assert waiting not in one.children()


# What a kernel starts with.


def sockets(pid: int) -> set[str]:
    """The sockets and pipes of a process."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(link.readlink()))
    return {name for name in found if name.startswith(("socket:", "pipe:"))}


def test_no_descriptor_of_the_supervisor_is_inherited(supervisor: Local, owner: Owner) -> None:
    for kernel in ("one", "two"):
        supervisor.launch(owner, kernel)
        owner.event("ready", kernel)
    # Its pipe, its listener, its owner (two), and the spare: the kernels' channels are closed on both sides.
    assert until(lambda: len(sockets(supervisor.process.pid)) == 5, TIMEOUT), sockets(supervisor.process.pid)

    def shared() -> set[str]:
        ours = sockets(supervisor.process.pid)
        return {name for child in supervisor.children() for name in ours & sockets(child)}

    # What has just been forked has them until it is a program of its own.
    assert until(lambda: not shared(), TIMEOUT), shared()


def test_descriptors_do_not_pile_up(supervisor: Local, owner: Owner) -> None:
    supervisor.launch(owner)
    owner.event("ready", "k")
    assert until(lambda: len(sockets(supervisor.process.pid)) == 5, TIMEOUT)
    for _ in range(3):
        supervisor.launch(owner)
        owner.event("ready", "k")
    assert until(lambda: len(sockets(supervisor.process.pid)) == 5, TIMEOUT)


def test_a_kernel_starts_with_a_clean_slate() -> None:
    """Whatever whoever started the container had set."""
    wrapper = ("sh", "-c", 'umask 077; exec env --block-signal=USR1,INT "$@"', "sh")
    with local(wrapper=wrapper) as one:
        client = one.started(one.own())
        status = value(client, "print(open('/proc/self/status').read())")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Umask"] == "0022"
        assert int(fields["SigBlk"], 16) == 0
        ignored = int(fields["SigIgn"], 16)
        assert not any(ignored & 1 << number - 1 for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD))
        code = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0), open('/proc/self/oom_score_adj').read())"
        assert value(client, code) == "True 500"
        # Nothing is to be read there, and the supervisor's channel is not in the person's way.
        assert value(client, "print(os.readlink('/proc/self/fd/0'))") == "/dev/null"


def test_open_files_are_bounded(shared: Local) -> None:
    """Python 2.7 closes every possible one at each subprocess."""
    assert shared.process.rlimit(psutil.RLIMIT_NOFILE)[0] <= 65536


# The end.


def test_stop_asks_then_kills() -> None:
    with local() as one:
        owner = one.own()
        polite = one.started(owner, "polite")
        stubborn = one.started(owner, "stubborn")
        value(polite, "import os, signal; _ = signal.signal(signal.SIGTERM, lambda *_: os._exit(5))")
        value(stubborn, "import signal; _ = signal.signal(signal.SIGTERM, signal.SIG_IGN)")
        begun = time.monotonic()
        owner.client.request("stop")
        event = owner.events.get(timeout=TIMEOUT)
        assert event is not None
        assert (event["kernel"], event["code"]) == ("polite", 5)
        assert time.monotonic() - begun < 3
        with pytest.raises(ContainerError, match="the container is ending"):
            one.launch(owner)
        event = owner.events.get(timeout=TIMEOUT)
        assert event is not None
        assert (event["kernel"], event["signal"]) == ("stubborn", signal.SIGKILL)
        assert time.monotonic() - begun >= 2.9
        assert owner.events.get(timeout=TIMEOUT) is None
        assert one.process.wait(TIMEOUT) == 0
        assert not owner.client.connected
        with pytest.raises(ContainerError, match=r"The container has ended\."):
            owner.client.request("list")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_it(supervisor: Local, owner: Owner, signum: signal.Signals) -> None:
    """As the first process of a container it would not get it without a handler."""
    supervisor.launch(owner)
    owner.event("ready", "k")
    children = [psutil.Process(pid) for pid in supervisor.children()]
    supervisor.process.send_signal(signum)
    assert owner.event("exit", "k")["signal"] == signal.SIGTERM
    assert supervisor.process.wait(TIMEOUT) == 0
    assert "ending: asked by a signal" in supervisor.log()
    assert not any(child.is_running() for child in children)


def test_nobody_connected_ends_it() -> None:
    with local(orphan_timeout=1) as one:
        owner = one.own()
        one.launch(owner)
        owner.event("ready", "k")
        with pytest.raises(psutil.TimeoutExpired):
            one.process.wait(1.5)  # somebody is connected
        owner.client.close()
        begun = time.monotonic()
        assert one.process.wait(TIMEOUT) == 0
        assert time.monotonic() - begun > 0.9
        assert "ending: nobody has been connected for 1 s" in one.log()


def test_without_a_kernel_nobody_is_waited_for_as_long() -> None:
    with local(orphan_timeout=3600, empty_timeout=1) as one:
        owner = one.own()
        one.launch(owner)
        owner.event("ready", "k")
        owner.client.close()
        with pytest.raises(psutil.TimeoutExpired):
            one.process.wait(2)  # its kernel may be taken over
        owner = one.own()
        owner.client.request("signal", kernel="k", signum=int(signal.SIGKILL))
        owner.event("exit", "k")
        owner.client.close()
        assert one.process.wait(TIMEOUT) == 0
        assert "ending: nobody has been connected for 1 s" in one.log()


def test_nobody_ever_connected_ends_it_too() -> None:
    with local(orphan_timeout=0.1) as one:
        assert one.process.wait(TIMEOUT) == 0


def test_somebody_who_is_no_owner_does_not_keep_it() -> None:
    with local(orphan_timeout=0.5) as one, socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(one.control))
        assert one.process.wait(TIMEOUT) == 0


def test_a_supervisor_that_is_killed_is_seen(supervisor: Local, owner: Owner) -> None:
    spare_process = psutil.Process(supervisor.spare())
    supervisor.process.kill()
    assert owner.events.get(timeout=TIMEOUT) is None
    assert not owner.client.connected
    # Nobody will launch it any more.
    assert until(lambda: ended(spare_process), TIMEOUT)


# Our side alone.


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket that takes connections and says nothing."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


def test_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_TIMEOUT", 0.1)
    with listening(tmp_path / "s"), pytest.raises(ContainerError, match="has not answered for 0 s"):
        Owner(tmp_path / "s", "me")


def test_gone_while_asked(tmp_path: Path) -> None:
    with listening(tmp_path / "s") as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ContainerError, match="has ended"):
            Owner(tmp_path / "s", "me")
        thread.join()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Owner(tmp_path / "s", "me")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tfcontainer")]


# Finding the interpreter.


def programs(folder: Path, **pythons: str) -> dict[str, str]:
    """A PATH with these Pythons only."""
    (folder / "bin").mkdir()
    (folder / "bin" / "sh").symlink_to("/bin/sh")
    for name, executable in pythons.items():
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {executable} "$@"\n')
        program.chmod(0o755)
    return {"PATH": str(folder / "bin")}


def start(folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the container's command, as it is in a container: beside the programs, in the person's folder."""
    config = {"control": str(folder / "s"), "orphan_timeout": 0, "checks": [], "preload": []}
    command = ["/bin/sh", str(PROGRAMS / "start.sh"), json.dumps(config)]
    return subprocess.run(
        command, env=environ, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )


def test_an_interpreter_with_ipykernel_is_found(tmp_path: Path) -> None:
    done = start(tmp_path, programs(tmp_path, python3=BASE[0], python=sys.executable))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"[supervisor] ready: Python {sys.version.split()[0]}" in done.stderr


def test_no_interpreter_has_ipykernel(tmp_path: Path) -> None:
    (tmp_path / "ipykernel").mkdir()  # a folder of the person's own, with notebooks on the matter
    (tmp_path / "ipykernel" / "__init__.py").write_text("")
    done = start(tmp_path, programs(tmp_path, python3=BASE[0], python2=BASE[0]))
    assert (done.returncode, done.stderr) == (86, "no ipykernel in this image; looked in: python3 python2\n")


def test_no_python_at_all(tmp_path: Path) -> None:
    done = start(tmp_path, programs(tmp_path))
    assert (done.returncode, done.stderr) == (86, "no ipykernel in this image; looked in: (no Python at all)\n")


# Ports.


@contextmanager
def answering(family: socket.AddressFamily, host: str) -> Iterator[socket.socket]:
    """Somebody who listens."""
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(TIMEOUT)
        yield listener


def dialled(owner: Owner, port: int) -> Message:
    """What comes of a connection."""
    return owner.client.ask("dial", port=port).result(TIMEOUT)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_is_dialled(supervisor: Local, owner: Owner, family: socket.AddressFamily, host: str) -> None:
    with answering(family, host) as listener:
        port = listener.getsockname()[1]
        assert port in owner.client.request("ports")["ports"]
        reply = dialled(owner, port)
        there, _ = listener.accept()
        with there, reply["socket"] as here:
            assert here.family == family
            assert not os.get_inheritable(here.fileno())
            here.setblocking(True)
            here.sendall(b"x")
            assert there.recv(10) == b"x"
    reply = dialled(owner, port)
    assert (reply["connected"], reply["problem"]) == (False, "Connection refused")
    with pytest.raises(ContainerError, match="OverflowError"):
        dialled(owner, 70000)


def test_connections_go_to_whom_they_are_for(supervisor: Local, owner: Owner) -> None:
    """Also where they are made in another order than they were asked for."""
    with answering(socket.AF_INET, "127.0.0.1") as one, answering(socket.AF_INET6, "::1") as two:
        ports = [(one if number % 3 else two).getsockname()[1] for number in range(60)]
        asked = [owner.client.ask("dial", port=port) for port in ports]
        replies = [answer.result(TIMEOUT)["socket"] for answer in asked]
        assert [reply.getpeername()[1] for reply in replies] == ports
        for reply in replies:
            reply.close()


def test_nobody_else_gets_connections(supervisor: Local, owner: Owner) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(supervisor.control))
        for message in ({"op": "dial", "port": 1}, {"op": "descriptors", "token": "guessed"}, {"op": "ports"}):
            other.sendall(json.dumps(message).encode() + b"\n")
            assert b"not the owner" in other.recv(1000)


class Impostor:
    """A supervisor that passes whatever it likes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "impostor.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(2)
        self.passes: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        control, descriptors = self._listener.accept()[0], self._listener.accept()[0]
        with control, descriptors, control.makefile("rb") as lines, self._listener:
            for line in lines:
                message = json.loads(line)
                reply: Message = {"id": message["id"], "ok": True, **HELLO}
                if message["op"] == "own":
                    control.sendall(json.dumps(reply).encode() + b"\n")
                    descriptors.recv(1000)
                    descriptors.sendall(b'{"ok": true}\n')
                    continue
                self.go.wait(TIMEOUT)
                if self.passes:
                    socket.send_fds(descriptors, [b"."], self.passes)
                control.sendall(json.dumps({**reply, "connected": True}).encode() + b"\n")

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(TIMEOUT)


def test_what_is_no_connection_is_not_taken(tmp_path: Path) -> None:
    """A container could pass a file, or a way to something else than its ports."""
    impostor = Impostor(tmp_path)
    client = SupervisorClient(impostor.path, "a test", lambda _: None)
    try:
        with (
            Path("/etc/hostname").open("rb") as file,
            socket.socket(socket.AF_UNIX) as local_one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.socket() as unconnected,
            answering(socket.AF_INET, "127.0.0.1") as listener,
            socket.create_connection(listener.getsockname()) as good,
        ):
            before = sockets(os.getpid())
            for passed in (file, local_one, datagrams, unconnected, listener):
                impostor.passes = [passed.fileno()]
                assert client.ask("dial", port=1).result(TIMEOUT)["socket"] is None
            impostor.passes = [good.fileno(), good.fileno()]
            assert client.ask("dial", port=1).result(TIMEOUT)["socket"] is None
            impostor.passes = []
            assert client.ask("dial", port=1).result(TIMEOUT)["socket"] is None
            assert sockets(os.getpid()) == before
            impostor.passes = [good.fileno()]
            taken = client.ask("dial", port=1).result(TIMEOUT)["socket"]
            with taken:
                assert taken.getpeername() == listener.getsockname()
            # Nobody waits for this one any more.
            fds = psutil.Process().num_fds()
            impostor.go.clear()
            given_up = client.ask("dial", port=1)
            assert given_up.cancel()
            impostor.go.set()
            client.ask("dial", port=1).result(TIMEOUT)["socket"].close()
            assert psutil.Process().num_fds() == fds
    finally:
        client.close()
        impostor.join()
