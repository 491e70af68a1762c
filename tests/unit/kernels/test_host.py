"""Whose a container is, and the folders it gets."""

from __future__ import annotations

import grp
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from people import as_person

from jupyter_tfcontainer import locks, paths
from jupyter_tfcontainer.errors import ContainerError
from jupyter_tfcontainer.kernels import host_folders, host_resources
from jupyter_tfcontainer.kernels.state_file import Record
from jupyter_tfcontainer.kernels.types import Folders

STRANGER = 4321


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, and Jupyter's folders in it."""
    path = Path(tempfile.mkdtemp(prefix="tfc-h-")).resolve()
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def jupyter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(folder / kind.lower()))


def mode(path: Path) -> int:
    """The permissions of a folder."""
    return stat.S_IMODE(path.stat().st_mode)


# The person.


def evaluated(expression: str, *, uid: int, groups: tuple[int, ...] = ()) -> Any:
    """What an expression is in a process of somebody else."""
    code = (
        "import json; from jupyter_tfcontainer.kernels import host_folders, host_resources; "
        f"from jupyter_tfcontainer import locks, paths; print(json.dumps({expression}))"
    )
    command = as_person([sys.executable, "-c", code], uid=uid, groups=groups)
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd="/").stdout)


def test_person() -> None:
    person = host_resources.person()
    assert (person.uid, person.gid) == (os.getuid(), os.getgid())
    assert person.gid not in person.groups
    assert {person.gid, *person.groups} == {person.gid, *os.getgroups()}


def test_a_person_whom_the_machine_does_not_know() -> None:
    asked = "(lambda p: [p.uid, p.gid, p.groups, p.name])(host_resources.person())"
    assert evaluated(asked, uid=STRANGER, groups=(998, 27)) == [STRANGER, STRANGER, [27, 998], f"user{STRANGER}"]


def test_a_person_whom_the_machine_knows() -> None:
    user = grp.getgrnam("daemon").gr_gid
    assert evaluated("host_resources.person().name", uid=user) == "daemon"


@pytest.mark.parametrize(
    ("value", "zone"), [("Europe/Berlin", "Europe/Berlin"), (":Asia/Tokyo", "Asia/Tokyo"), ("CET-1CEST", "CET-1CEST")]
)
def test_timezone_by_the_variable(monkeypatch: pytest.MonkeyPatch, value: str, zone: str) -> None:
    monkeypatch.setenv("TZ", value)
    assert host_resources.person().timezone == zone


@pytest.mark.parametrize(
    ("link", "zone"),
    [("/usr/share/zoneinfo/America/Argentina/Ushuaia", "America/Argentina/Ushuaia"), ("../elsewhere", ""), (None, "")],
)
def test_timezone_by_the_machines_link(link: str | None, zone: str) -> None:
    """In a mount namespace where this machine's /etc is another."""
    setup = "mount -t tmpfs tmpfs /etc && " + (f"ln -s {link} /etc/localtime && " if link else "") + 'exec "$@"'
    code = "from jupyter_tfcontainer.kernels import host_resources; print(host_resources.person().timezone)"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", setup, "sh", sys.executable, "-c", code]
    environ = {name: value for name, value in os.environ.items() if name != "TZ"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environ)
    assert done.stdout.strip() == zone


# Names of folders.


def test_folders_lie_below_jupyters_data(folder: Path) -> None:
    folders = host_folders.container_folders("tf", "")
    assert folders.state.parent == folder / "data" / "tfcontainer" / "c"
    assert folders.run == folders.state / "run"
    assert folders.home == folder / "data" / "tfcontainer" / "homes" / "tf"
    assert not (folder / "data").exists()  # names only


def test_each_container_has_its_own_and_an_environment_keeps_its_home() -> None:
    one, other = host_folders.container_folders("tf", ""), host_folders.container_folders("tf", "")
    assert one.state != other.state
    assert one.run_inside != other.run_inside
    assert one.home == other.home


def test_state_dir(folder: Path) -> None:
    folders = host_folders.container_folders("tf", str(folder / "s"))
    assert folders.state.parent == folder / "s"
    assert folders.home == folder / "data" / "tfcontainer" / "homes" / "tf"


def test_a_relative_state_dir_is_made_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert host_folders.container_folders("tf", "s").state.parent == folder / "s"


def bindable(folders: Folders) -> bool:
    """Whether the system takes a socket with the longest of our names there."""
    folders.run.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.bind(str(folders.run / host_folders.LONGEST_SOCKET))
        except OSError:
            return False
    return True


def padded(folder: Path, length: int, name: str = "d") -> Path:
    """A folder below, with a path of that many bytes."""
    return folder / (name * (length - len(str(folder)) - 1))


# /0123abcd/run/control.sock
BELOW = 1 + 8 + 1 + len("run") + 1 + len(host_folders.LONGEST_SOCKET)


def test_the_longest_path_that_the_system_takes(folder: Path) -> None:
    longest = padded(folder, host_folders.SOCKET_PATH_LIMIT - BELOW)
    folders = host_folders.container_folders("tf", str(longest))
    assert len(os.fsencode(folders.run / host_folders.LONGEST_SOCKET)) == host_folders.SOCKET_PATH_LIMIT
    assert bindable(folders)


def test_a_longer_one_is_refused_with_what_to_do(folder: Path) -> None:
    longer = padded(folder, host_folders.SOCKET_PATH_LIMIT - BELOW + 1)
    with pytest.raises(ContainerError) as caught:
        host_folders.container_folders("tf", str(longer))
    for words in (str(longer), "too long", "Set ContainerManager.state_dir"):
        assert words in str(caught.value)


def test_bytes_count_and_not_letters(folder: Path) -> None:
    letters = (host_folders.SOCKET_PATH_LIMIT - BELOW - len(str(folder)) - 1) // 2 + 1
    with pytest.raises(ContainerError):
        host_folders.container_folders("tf", str(folder / ("ü" * letters)))


def test_a_long_data_folder_falls_back_to_a_short_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = padded(folder, 100)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(long))
    folders = host_folders.container_folders("tf", "")
    assert str(folders.state.parent) == f"/tmp/tfcontainer-{os.getuid()}"  # noqa: S108 - this very one
    assert folders.home.is_relative_to(long)  # which holds no sockets


def test_private_folders_are_jupyters_own_without_links(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "config").symlink_to("real")
    assert paths.private_folders() == (folder / "real", folder / "data", folder / "runtime")


# Making them.


def test_made_for_this_user_only(folder: Path) -> None:
    old = os.umask(0)
    try:
        folders = host_folders.container_folders("tf", "")
        host_folders.make(folders, (), folder)
    finally:
        os.umask(old)
    for path in (folders.run, folders.home, folders.state.parent):
        assert mode(path) == 0o700


def test_a_root_that_others_could_enter_is_closed(folder: Path) -> None:
    (folder / "s").mkdir()
    (folder / "s").chmod(0o777)
    host_folders.make(host_folders.container_folders("tf", str(folder / "s")), (), folder)
    assert mode(folder / "s") == 0o700


def test_a_root_that_belongs_to_another_is_refused(folder: Path) -> None:
    (folder / "s").mkdir()
    os.chown(folder / "s", STRANGER, STRANGER)
    (folder / "s").chmod(0o777)
    folders = host_folders.container_folders("tf", str(folder / "s"))
    with pytest.raises(ContainerError, match="belongs to another user") as caught:
        host_folders.make(folders, (), folder)
    assert "Set ContainerManager.state_dir" in str(caught.value)
    assert mode(folder / "s") == 0o777
    assert not list((folder / "s").iterdir())


def test_nothing_of_the_container_before_is_left(folder: Path) -> None:
    """It could write to the folder of its sockets; the home is the environment's."""
    folders = host_folders.container_folders("tf", "")
    host_folders.make(folders, (), folder)
    (folders.run / "control.sock").write_text("forged")
    (folders.home / "kept").write_text("")
    host_folders.make(folders, (), folder)
    assert not list(folders.run.iterdir())
    assert (folders.home / "kept").exists()


def test_masked_folders_are_made_where_they_lie_in_the_workspace(folder: Path) -> None:
    """Else the engine makes them, as root, in the person's own folder."""
    workspace = folder / "ws"
    inside, outside = workspace / "a" / "b", folder / "elsewhere"
    host_folders.make(host_folders.container_folders("tf", ""), (inside, outside), workspace)
    assert mode(inside) == 0o700
    assert inside.stat().st_uid == os.getuid()
    assert not outside.exists()


# Who holds them.


@contextmanager
def owner(state: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that owns a container's folder, as one of a server does."""
    code = (
        "import sys; from pathlib import Path; from jupyter_tfcontainer.kernels.state_file import Record; "
        "record = Record(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def container(root: Path, name: str) -> Path:
    """The folder of a container, made and locked once."""
    (root / name / "run").mkdir(parents=True)
    with closing(Record(root / name)) as record:
        record.write({"container": name})
    return root / name


def test_abandoned_when_its_owner_is_killed(folder: Path) -> None:
    state = container(folder, "1")
    with owner(state) as process:
        assert not locks.abandoned(state)
        process.kill()
        process.wait()
        assert locks.abandoned(state)


def test_not_abandoned_where_nobody_can_tell(folder: Path) -> None:
    assert not locks.abandoned(folder / "missing")


def test_to_look_is_not_to_own(folder: Path) -> None:
    state = container(folder, "1")
    assert locks.abandoned(state)
    with closing(Record(state)):
        assert not locks.abandoned(state)


def test_abandoned_folders(folder: Path) -> None:
    root = folder / "s"
    held, used, left = (container(root, name) for name in ("held", "used", "left"))
    # Another process is at the first, and has not come to its lock; who was at the others died an hour ago.
    for name in ("00000001", "00000002", "00000003", "somebody's"):
        (root / name / "run").mkdir(parents=True)
    (root / "00000003" / "thesis.txt").touch()
    for name in ("00000002", "00000003", "somebody's"):
        os.utime(root / name, times=(time.time() - 3600,) * 2)
    with owner(held):
        assert list(host_folders.abandoned_folders({used}, str(root))) == [root / "00000002", left]


def test_no_abandoned_folders(folder: Path) -> None:
    assert list(host_folders.abandoned_folders(set(), str(folder / "missing"))) == []


# Who is connected.


def test_connections(folder: Path) -> None:
    path = str(folder / "k-2")
    with ExitStack() as stack:
        listener, first, second = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3))
        assert host_resources.connections(path) == 0
        listener.bind(path)
        listener.listen()
        assert host_resources.connections(path) == 0
        first.connect(path)
        one = stack.enter_context(listener.accept()[0])
        assert host_resources.connections(path) == 1
        second.connect(path)
        stack.enter_context(listener.accept()[0])
        assert host_resources.connections(path) == 2
        assert host_resources.connections(path[:-1]) == 0
        assert host_resources.connections(path + "0") == 0
        one.close()
        assert host_resources.connections(path) == 1


def test_connections_where_a_path_has_a_space(folder: Path) -> None:
    path = str(folder / "a  b")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as one:
        listener.bind(path)
        listener.listen()
        one.connect(path)
        with listener.accept()[0]:
            assert host_resources.connections(path) == 1


def test_connections_whatever_others_name_their_sockets(folder: Path) -> None:
    """A name is any bytes."""
    path = str(folder / "数")
    with ExitStack() as stack:
        listener, one, other = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3))
        other.bind(os.fsencode(folder) + b"/\xff\xfe")
        listener.bind(path)
        listener.listen()
        one.connect(path)
        stack.enter_context(listener.accept()[0])
        assert host_resources.connections(path) == 1
