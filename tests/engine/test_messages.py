"""Jupyter's messages: each kind that a notebook uses gets through, on the oldest ipykernel and on the newest."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from homes import LEGACY, MODERN, Home, temporary_home
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from kernels import TIMEOUT, kernel, rounds, run, value
from matplotlib.image import imread

from jupyter_tfcontainer.manager import ContainerManager

STRANGE = "数据 😀"
MEGABYTE = 10**6
FLOOD_SECONDS = 120
COLORS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Shared:
    """A kernel that the tests of one image share."""

    home: Home
    client: BlockingKernelClient
    legacy: bool


@pytest.fixture(scope="module", params=[LEGACY, MODERN], ids=["legacy", "modern"])
def shared(request: pytest.FixtureRequest) -> Iterator[Shared]:
    """A kernel whose start folder, which is the workspace, has a name in Chinese and a smile."""
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        for name, setting in home.variables().items():
            patch.setenv(name, setting)
        patch.delenv("JUPYTER_PATH", raising=False)
        ContainerManager.clear_instance()
        folder = home.workspace / STRANGE
        folder.mkdir()
        with kernel(home.add("tf", request.param), cwd=str(folder)) as (_, client):
            yield Shared(home, client, request.param == LEGACY)
        ContainerManager.instance().close()


def test_kernel_info(shared: Shared) -> None:
    content = shared.client.kernel_info(reply=True, timeout=TIMEOUT)["content"]
    assert content["language_info"]["name"] == "python"
    assert content["language_info"]["version"].startswith("2.7." if shared.legacy else "3.")
    assert content["implementation_version"] == value(shared.client, "import IPython; print(IPython.__version__)")


def test_input(shared: Shared) -> None:
    ask = "raw_input" if shared.legacy else "input"
    prompts = []

    def answer(message: dict[str, Any]) -> None:
        prompts.append(message["content"]["prompt"])
        shared.client.input(f"{STRANGE} {len(prompts)}")

    code = f"print({ask}('first? ') + ', ' + {ask}('second? '))"
    result = run(shared.client, code, allow_stdin=True, stdin_hook=answer)
    assert result.text == f"{STRANGE} 1, {STRANGE} 2\n"
    assert prompts == ["first? ", "second? "]


def test_completion(shared: Shared) -> None:
    value(shared.client, "surprising_name = 1")
    content = shared.client.complete("print(surpri", reply=True, timeout=TIMEOUT)["content"]
    assert content["matches"] == ["surprising_name"]
    assert (content["cursor_start"], content["cursor_end"]) == (6, 12)


def test_inspection(shared: Shared) -> None:
    value(shared.client, "def documented(one, two):\n    'Says what it does.'")
    content = shared.client.inspect("documented", reply=True, timeout=TIMEOUT)["content"]
    assert content["found"]
    plain = COLORS.sub("", content["data"]["text/plain"])
    assert "documented(one, two)" in plain
    assert "Says what it does." in plain


@pytest.mark.every_engine
def test_inline_plot(shared: Shared) -> None:
    """Without a word of magic: the kernel picks the backend."""
    result = run(shared.client, "import matplotlib.pyplot as plt; plt.plot([0, 3, 1]); plt.show()")
    assert result.status == "ok", result.error
    pictures = [data["image/png"] for data in result.displays if "image/png" in data]
    assert len(pictures) == 1
    picture = imread(io.BytesIO(base64.b64decode(pictures[0])), format="png")
    assert min(picture.shape[:2]) > 200
    # White paper, black axes and a line in a color.
    assert len({tuple(pixel) for row in picture[::2, ::2, :3] for pixel in row}) > 3


class Comms:
    """A page's side of comms."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def send(self, kind: str, buffers: tuple[bytes, ...] = (), **content: Any) -> None:
        """Send a message of a comm, which has no reply."""
        message = self._client.session.msg(kind, content)
        self._client.session.send(self._client.shell_channel.socket, message, buffers=list(buffers))

    def receive(self) -> dict[str, Any]:
        """The next message of a comm."""
        while True:
            message = self._client.get_iopub_msg(timeout=TIMEOUT)
            assert message["msg_type"] not in ("error", "stream"), message["content"]
            if message["msg_type"].startswith("comm_"):
                return message


def payload(size: int) -> bytes:
    """Bytes of every value, in no order that a mistake would keep."""
    return hashlib.shake_256(b"payload").digest(size)


def test_comm_opened_by_the_kernel(shared: Shared) -> None:
    sent = payload(20 * MEGABYTE)
    (shared.home.workspace / STRANGE / "payload").write_bytes(sent)
    comms = Comms(shared.client)
    shared.client.execute(
        f"from {'ipykernel.comm import Comm as' if shared.legacy else 'comm import'} create_comm\n"
        "content = open('payload', 'rb').read()\n"
        "comm = create_comm(target_name='page', data={'hello': 1}, buffers=[content, b'second'])\n"
        "comm.on_msg(lambda message: comm.send({'again': message['content']['data']}))\n"
    )
    opened = comms.receive()
    assert opened["msg_type"] == "comm_open"
    assert opened["content"]["target_name"] == "page"
    assert opened["content"]["data"] == {"hello": 1}
    assert [bytes(one) for one in opened["buffers"]] == [sent, b"second"]
    comms.send("comm_msg", comm_id=opened["content"]["comm_id"], data={"answer": STRANGE})
    answer = comms.receive()
    assert (answer["msg_type"], answer["content"]["data"]) == ("comm_msg", {"again": {"answer": STRANGE}})


def test_comm_opened_by_the_page(shared: Shared) -> None:
    value(
        shared.client,
        "def opened(comm, message):\n"
        "    comm.on_msg(lambda message: comm.send(message['content']['data'], buffers=message['buffers']))\n"
        "    comm.on_close(lambda message: open('closed', 'w').close())\n"
        "    comm.send({'opened with': message['content']['data']})\n"
        "get_ipython().kernel.comm_manager.register_target('kernel', opened)",
    )
    comms = Comms(shared.client)
    comms.send("comm_open", comm_id="mine", target_name="kernel", data={"number": 1})
    assert comms.receive()["content"] == {"comm_id": "mine", "data": {"opened with": {"number": 1}}}
    sent = payload(20 * MEGABYTE)
    comms.send("comm_msg", comm_id="mine", data={"number": 2}, buffers=(sent, b""))
    echo = comms.receive()
    assert echo["content"] == {"comm_id": "mine", "data": {"number": 2}}
    assert [bytes(one) for one in echo["buffers"]] == [sent, b""]
    comms.send("comm_close", comm_id="mine", data={})
    assert value(shared.client, "import os; print(os.path.exists('closed'))") == "True"


def flood(client: BlockingKernelClient) -> float:
    """Have 50 MB printed, see that they arrive whole, and say how many MB a second."""
    length, lines = 1000, 50_000
    code = f"import sys\nfor number in range({lines}): sys.stdout.write('%0{length - 1}d\\n' % number)"
    expected = hashlib.sha256()
    for number in range(lines):
        expected.update(b"%0*d\n" % (length - 1, number))
    arrived, size = hashlib.sha256(), 0

    def hear(message: dict[str, Any]) -> None:
        nonlocal size
        if message["msg_type"] == "stream":
            text = message["content"]["text"].encode()
            arrived.update(text)
            size += len(text)

    begun = time.monotonic()
    reply = client.execute_interactive(code, output_hook=hear, timeout=FLOOD_SECONDS)
    seconds = time.monotonic() - begun
    assert reply["content"]["status"] == "ok"
    assert size == length * lines
    assert arrived.digest() == expected.digest()
    return size / MEGABYTE / seconds


@pytest.fixture(scope="module")
def local_rate() -> float:
    """The same of a kernel that runs in no container."""
    with kernel("python3") as (_, client):
        return flood(client)


@pytest.mark.parametrize(
    "shared",
    [pytest.param(LEGACY, id="legacy", marks=pytest.mark.slow), pytest.param(MODERN, id="modern")],
    indirect=True,
)
def test_fifty_megabytes_arrive_whole(shared: Shared, local_rate: float) -> None:
    rate = flood(shared.client)
    print(f"\n50 MB of output: {rate:.0f} MB/s, {rate / local_rate:.2f} of a local kernel's {local_rate:.0f} MB/s")


def test_a_client_that_is_slow_gets_each_line(shared: Shared) -> None:
    # More than ZeroMQ would keep for a client, at both ends together, if it had a limit.
    lines = rounds(3_000, 10_000)
    request = shared.client.execute(f"import sys\nfor number in range({lines}): print(number); sys.stdout.flush()")
    # It listens only when all has been said, as a server may that has other things to do.
    while shared.client.get_shell_msg(timeout=FLOOD_SECONDS)["parent_header"]["msg_id"] != request:
        pass
    heard: list[str] = []
    while True:
        message = shared.client.get_iopub_msg(timeout=TIMEOUT)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "stream":
            heard += message["content"]["text"].split()
        elif message["content"].get("execution_state") == "idle":
            break
    assert heard == [str(number) for number in range(lines)]


@pytest.mark.every_engine
def test_names_in_any_script(shared: Shared) -> None:
    client, folder = shared.client, shared.home.workspace / STRANGE
    (folder / f"{STRANGE}.txt").write_text(f"written outside: {STRANGE}", encoding="utf-8")
    # On Python 2 names are bytes, as they are for Linux.
    assert (
        value(client, "import io, os; print('\\n'.join(sorted(os.listdir('.'))))").splitlines()[-1] == f"{STRANGE}.txt"
    )
    assert (
        value(client, f"print(io.open({f'{STRANGE}.txt'!r}, encoding='utf-8').read())") == f"written outside: {STRANGE}"
    )
    value(client, f"with io.open({f'inside {STRANGE}'!r}, 'w', encoding='utf-8') as file: _ = file.write(u{STRANGE!r})")
    assert (folder / f"inside {STRANGE}").read_text(encoding="utf-8") == STRANGE
    # The workspace is there under its own name as well.
    assert value(client, f"print(os.path.samefile('.', {str(folder)!r}))") == "True"
    result = run(client, f"raise ValueError({STRANGE!r})")
    assert result.error == f"ValueError: {STRANGE}"


@pytest.mark.every_engine
@pytest.mark.parametrize("path", ["deep/er", STRANGE])
def test_notebook_in_a_folder_of_the_workspace(shared: Shared, path: str) -> None:
    """A server's workspace is its root folder; the kernel starts beside its notebook."""
    (shared.home.workspace / path).mkdir(parents=True, exist_ok=True)

    async def where() -> str:
        kernels: Any = AsyncMappingKernelManager(  # type: ignore[no-untyped-call]
            root_dir=str(shared.home.workspace), connection_dir=str(shared.home.root / "run")
        )
        manager = kernels.get_kernel(await kernels.start_kernel(kernel_name="tf", path=path))
        client = manager.client()
        client.start_channels()
        said: list[str] = []
        try:
            await client.wait_for_ready(timeout=TIMEOUT)
            await client.execute_interactive(
                "import os; print(os.getcwd())",
                timeout=TIMEOUT,
                output_hook=lambda message: said.append(message["content"].get("text", "")),
            )
        finally:
            client.stop_channels()
            await kernels.shutdown_all(now=True)
            kernels.context.destroy()
        return "".join(said)

    assert asyncio.run(where()) == f"/notebooks/{path}\n"


@pytest.mark.every_engine
def test_connection_file(shared: Shared) -> None:
    info = json.loads(
        value(shared.client, "from ipykernel import get_connection_file; print(open(get_connection_file()).read())")
    )
    assert info["transport"] == "ipc"
    assert info["key"] == shared.client.session.key.decode()
    said = value(shared.client, "%connect_info")
    assert info["ip"] in said
    assert "--existing" in said


def test_output_of_programs(shared: Shared) -> None:
    assert value(shared.client, f"!echo {STRANGE}") == STRANGE
    code = f"import subprocess; print(subprocess.check_output(['echo', {STRANGE!r}]).decode('utf-8'))"
    assert value(shared.client, code) == STRANGE


@pytest.mark.every_engine
def test_history_outlives_the_container(shared: Shared) -> None:
    value(shared.client, f"remembered = {STRANGE!r}")
    with kernel("tf") as (_, client):
        history = client.history(hist_access_type="search", pattern="remembered*", reply=True, timeout=TIMEOUT)
        assert [source for _, _, source in history["content"]["history"]] == [f"remembered = {STRANGE!r}"]


def test_startup_files_say_whether_garbage_is_looked_for(shared: Shared) -> None:
    asked = "import gc; print(gc.isenabled())"
    assert value(shared.client, asked) == "True"
    path = "get_ipython().profile_dir.startup_dir + '/none.py'"
    value(shared.client, f"with open({path}, 'w') as file: x = file.write('import gc; gc.disable()')")
    with kernel("tf") as (_, client):
        assert value(client, asked) == "False"
    value(shared.client, f"import os; os.unlink({path})")
