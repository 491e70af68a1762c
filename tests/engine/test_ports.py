"""Programs in containers, reached through the server at their ports."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from homes import LEGACY, MODERN, engine_client, processes
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.auth.authorizer import Authorizer
from kernels import TIMEOUT, until
from servers import OURS, Message, Page, Server
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect
from traitlets.config import Config

from jupyter_tfcontainer.environments import lookup
from jupyter_tfcontainer.manager import ContainerManager

IMAGES = pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])
PORT = 8000
# Says what it was asked, for any Python and tornado that images have.
PROGRAM = """
import json, os, sys
from tornado import ioloop, web, websocket

class Mirror(web.RequestHandler):
    def look(self, *path):
        self.set_header("Content-Type", "application/json")
        request = self.request
        headers = sorted(request.headers.get_all())
        body = request.body.decode("latin-1")
        self.write(json.dumps({"method": request.method, "uri": request.uri, "headers": headers, "body": body}))
    get = post = put = patch = delete = options = head = look

class Redirect(web.RequestHandler):
    def get(self):
        self.redirect(self.get_argument("to"))

class Cookies(web.RequestHandler):
    def get(self):
        for cookie in ("theme=dark; Path=/; Domain=localhost", "deep=1; Path=/deep; HttpOnly", "_xsrf=2|evil"):
            self.add_header("Set-Cookie", cookie)
        self.add_header("Service-Worker-Allowed", "/")
        self.set_status(418)

class Echo(websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes) and message[:1] == b"\\x00")

class Headers(websocket.WebSocketHandler):
    def open(self):
        self.write_message(json.dumps(sorted(self.request.headers.get_all())))

web.Application(
    [("/redirect", Redirect), ("/cookies", Cookies), ("/echo", Echo), ("/headers", Headers), ("(/.*)", Mirror)]
).listen(int(sys.argv[1]), sys.argv[2])
sys.stdout.write("listens\\n")
sys.stdout.flush()
ioloop.IOLoop.instance().start()
"""
START = """
import subprocess, sys
program = subprocess.Popen([sys.executable, "program.py", "{port}", "{host}"], stdout=subprocess.PIPE)
print(program.stdout.readline().decode().strip())
"""


class Place:
    """A container with a kernel, and the way to what listens in it."""

    def __init__(self, server: Server, page: Page, model: Message) -> None:
        self.server = server
        self.page = page
        self.id: str = model["id"]
        self.path = f"{OURS}/containers/{self.id}"
        self.client = AsyncHTTPClient(force_instance=True, max_clients=100)

    async def start(self, port: int = PORT, host: str = "127.0.0.1") -> None:
        """Start the program, from the notebook."""
        (self.server.home.workspace / "program.py").write_text(PROGRAM)
        assert await self.page.value(START.format(port=port, host=host)) == "listens"

    async def fetch(self, path: str = "", *, port: int = PORT, **kwargs: Any) -> HTTPResponse:
        """Ask at a port; all statuses are answers."""
        headers = kwargs.pop("headers", self.server.headers)
        url = f"http://127.0.0.1:{self.server.app.port}{self.url(path, port)}"
        return await self.client.fetch(
            url,
            headers=headers,
            follow_redirects=False,
            raise_error=False,
            allow_nonstandard_methods=True,
            request_timeout=TIMEOUT,
            **kwargs,
        )

    async def login(self) -> dict[str, str]:
        """What a browser sends along, once a person has logged in."""
        url = f"http://127.0.0.1:{self.server.app.port}{self.server.url('api/status')}"
        answer = await self.client.fetch(f"{url}?token={self.server.app.identity_provider.token}")
        return {"Cookie": "; ".join(one.split(";")[0] for one in answer.headers.get_list("Set-Cookie"))}

    def url(self, path: str = "", port: int = PORT) -> str:
        """The address of a port, from the host on."""
        return self.server.url(f"{self.path}/ports/{port}/{path}")

    async def ports(self) -> list[Message]:
        """What is said of its ports."""
        found: list[Message] = await self.server.get(f"{self.path}/ports")
        return found


@asynccontextmanager
async def place(server: Server, image: str, **config: Any) -> AsyncIterator[Place]:
    """A notebook in a container."""
    kernel = await server.start(server.home.add("tf", image, **config))
    async with server.page(kernel) as page:
        here = Place(server, page, await server.container())
        yield here
        here.client.close()


def told(response: HTTPResponse) -> dict[str, Any]:
    """What the program was asked; its headers by their lower names."""
    assert response.code == 200, response.body
    found: dict[str, Any] = json.loads(response.body)
    return {**found, "headers": {name.lower(): value for name, value in found["headers"]}}


@IMAGES
async def test_a_program_on_localhost_is_reached(server: Server, image: str) -> None:
    """In a container without any network, too."""
    async with place(server, image, network="none") as here:
        await here.start()
        seen = told(await here.fetch("deep/a%2Fb%3Fc?q=1&r=%20"))
        assert (seen["method"], seen["uri"]) == ("GET", "/deep/a%2Fb%3Fc?q=1&r=%20")
        assert seen["headers"]["x-forwarded-prefix"] == here.url().rstrip("/")
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            seen = told(await here.fetch("", method=method, body="said" if method[0] == "P" else None))
            assert (seen["method"], seen["uri"], seen["body"]) == (method, "/", "said" if method[0] == "P" else "")
        assert (await here.fetch("", method="HEAD")).code == 200
        # Nothing of it is to be had from outside.
        with closing(engine_client()) as engine:
            container = engine.inspect_container(here.id)
        assert container["NetworkSettings"]["Ports"] == {}
        assert not container["HostConfig"]["PortBindings"]
        assert not container["HostConfig"]["PublishAllPorts"]


@IMAGES
async def test_websockets(server: Server, image: str) -> None:
    async with place(server, image) as here:
        await here.start()
        socket_ = await server.connect(f"{here.path}/ports/{PORT}/echo")
        for message in ("héllo", b"\x00\xff", "x" * 200_000):
            await socket_.write_message(message, binary=isinstance(message, bytes))
            assert await socket_.read_message() == message
        socket_.close()
        # What is no websocket there says so to the page, which was told that it is connected.
        socket_ = await server.connect(f"{here.path}/ports/{PORT}/none")
        assert await socket_.read_message() is None
        assert socket_.close_code == 1011
        # Nobody there: the page is not even told that.
        with pytest.raises(HTTPClientError, match="503"):
            await server.connect(f"{here.path}/ports/{PORT + 1}/echo")


async def test_what_is_jupyters_stays_with_jupyter(server: Server) -> None:
    token = server.app.identity_provider.token
    async with place(server, MODERN) as here:
        await here.start()
        headers = {
            "Authorization": f"token {token}",
            "Cookie": "username-localhost-8888=2|secret; theme=dark; _xsrf=2|secret; username-10-0-0-1=s; "
            "jupyterhub-session-id=secret",
            "Referer": f"http://localhost/lab?token={token}",
            "X-XSRFToken": "2|secret",
            "X-Own": "kept",
        }
        seen = told(await here.fetch(f"data?a=1&token={token}&_xsrf=secret&b=%2F", headers=headers))
        assert seen["uri"] == "/data?a=1&b=%2F"
        assert seen["headers"]["cookie"] == "theme=dark"
        assert seen["headers"]["x-own"] == "kept"
        assert token not in str(seen)
        assert "secret" not in str(seen)
        seen = told(await here.fetch(f"?token={token}", headers={}))
        assert seen["uri"] == "/"
        # A program may have a login of its own.
        kept = {"Authorization": "Basic dTpw"}
        assert told(await here.fetch(f"?token={token}", headers=kept))["headers"]["authorization"] == "Basic dTpw"
        # The same of websockets.
        path = f"{here.path}/ports/{PORT}/headers"
        socket_ = await server.connect(path, {"token": token})
        assert token not in str(await socket_.read_message())
        socket_.close()


async def test_what_comes_out_is_for_its_own_part_of_the_server(server: Server) -> None:
    async with place(server, MODERN) as here:
        await here.start()
        answer = await here.fetch("cookies")
        assert answer.code == 418
        # Who shows a token is given Jupyter's own as well.
        theirs = [one for one in answer.headers.get_list("Set-Cookie") if not one.startswith("username-")]
        assert sorted(theirs) == [
            f"deep=1; HttpOnly; Path={here.url('deep')}",
            f"theme=dark; Path={here.url()}",
        ]
        assert "Service-Worker-Allowed" not in answer.headers
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        own = f"http://127.0.0.1:{server.app.port}"
        for to, expected in {
            "/there?x=1": here.url("there?x=1"),
            "there": "there",
            f"{own}/there": here.url("there"),
            f"http://localhost:{PORT}": here.url(),
            "https://example.org/there": "https://example.org/there",
        }.items():
            answer = await here.fetch(f"redirect?to={to}")
            assert (answer.code, answer.headers["Location"]) == (302, expected)
        # Relative links lead there from below the slash only.
        url = f"http://127.0.0.1:{server.app.port}{here.url().rstrip('/')}"
        answer = await here.client.fetch(url, headers=server.headers, follow_redirects=False, raise_error=False)
        assert (answer.code, answer.headers["Location"]) == (302, here.url())


async def test_ports_are_listed(server: Server) -> None:
    """Those that are declared, and those where somebody listens, whom a connection from inside reaches."""
    async with place(server, MODERN, ports=[6006, PORT]) as here:
        assert await here.ports() == [
            {"port": 6006, "declared": True, "listening": False, "url": here.url(port=6006)},
            {"port": PORT, "declared": True, "listening": False, "url": here.url()},
        ]
        await here.start()
        await here.start(PORT + 1, "0.0.0.0")  # noqa: S104
        # Reached through the bridge alone, and so not by us.
        code = f"import socket; one = socket.create_server((socket.gethostbyname(socket.gethostname()), {PORT + 2}))"
        assert await here.page.value(code) == ""
        found = [(one["port"], one["declared"], one["listening"]) for one in await here.ports()]
        assert found == [
            (6006, True, False),
            (PORT, True, True),
            (PORT + 1, False, True),
        ]
        for port in (PORT, PORT + 1):
            assert told(await here.fetch(port=port))["uri"] == "/"


async def test_nobody_listens(server: Server) -> None:
    async with place(server, MODERN) as here:
        answer = await here.fetch()
        assert answer.code == 503
        assert json.loads(answer.body)["reason"] == "PortClosed"
        assert f"Nobody answers at port {PORT} in the container of TF (Connection refused)" in str(answer.body)
        page = await here.fetch(headers={**server.headers, "Accept": "text/html,*/*"})
        assert (page.code, page.headers["Content-Type"]) == (503, "text/html")
        assert f"Nobody answers at port {PORT}" in page.body.decode()
        assert (await here.fetch(port=65536)).code == 404
        # One that takes connections and says nothing of the web.
        code = f"""
import socket, threading
quiet = socket.create_server(("127.0.0.1", {PORT}))
def hang_up():
    while True:
        quiet.accept()[0].close()
threading.Thread(target=hang_up, daemon=True).start()
"""
        await here.page.value(code)
        answer = await here.fetch()
        assert (answer.code, json.loads(answer.body)["reason"]) == (503, "PortClosed")
        assert "did not answer as one of the web" in str(answer.body)
    unknown = f"{OURS}/containers/{64 * '0'}"
    for method, path in (("GET", "ports"), ("GET", "ports/80/a/b"), ("POST", "tensorboard")):
        answer_ = await server.ask(method, f"{unknown}/{path}")
        assert (answer_.status, answer_.model["reason"]) == (404, "ContainerNotFound")


async def test_many_at_once_leave_nothing_behind(server: Server) -> None:
    async with place(server, LEGACY) as here:
        await here.start()
        supervisor = psutil.Process(processes(here.id)[0])
        assert "supervisor.py" in " ".join(supervisor.cmdline())
        told(await here.fetch())
        # The spare and the recorder come a moment after the kernel; each has a connection to the supervisor.
        assert await asyncio.to_thread(until, lambda: len(supervisor.children()) == 3, TIMEOUT)

        def open_ones() -> tuple[set[str], int]:
            own = {str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}
            return {one for one in own if one.startswith("socket:")}, supervisor.num_fds()

        before = open_ones()
        answers = await asyncio.gather(*(here.fetch(f"{number}") for number in range(50)))
        assert [told(one)["uri"] for one in answers] == [f"/{number}" for number in range(50)]
        refused = await asyncio.gather(*(here.fetch(port=PORT + 1) for _ in range(50)))
        assert {one.code for one in refused} == {503}
        sockets = await asyncio.gather(*(server.connect(f"{here.path}/ports/{PORT}/echo") for _ in range(50)))
        for one in sockets:
            await one.write_message("x")
        assert {await one.read_message() for one in sockets} == {"x"}
        for one in sockets:
            one.close()
        for _ in range(100):
            sockets_left, descriptors = open_ones()
            if sockets_left <= before[0] and descriptors <= before[1] + 1:
                break
            await asyncio.sleep(0.05)  # connections end when both sides have come to it
        # Those of the first request may have ended meanwhile.
        assert not sockets_left - before[0]
        # The spare's has two ends for a moment.
        assert descriptors <= before[1] + 1


async def test_a_backlog_that_is_full_holds_nobody_up(server: Server) -> None:
    """One that takes no connections keeps no other request waiting."""
    async with place(server, MODERN) as here:
        code = f"""
import socket
full = socket.create_server(("127.0.0.1", {PORT}), backlog=0)
waiting = []
for _ in range(4):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", {PORT}))
    waiting.append(one)
"""
        await here.page.value(code)
        held = [asyncio.create_task(here.fetch()) for _ in range(20)]
        await here.start(PORT + 1)
        told(await asyncio.wait_for(here.fetch(port=PORT + 1), 5))
        assert not any(one.done() for one in held)
        assert {one.code for one in await asyncio.gather(*held)} == {503}


async def test_who_is_not_logged_in(server: Server) -> None:
    async with place(server, MODERN) as here:
        await here.start()
        answer = await here.fetch("secret", headers={})
        assert (answer.code, "/login?next=" in answer.headers["Location"]) == (302, True)
        assert (await here.fetch("secret", headers={}, method="POST", body="")).code == 403
        login = await here.login()
        assert (await here.fetch(headers=login)).code == 200
        # Pages of programs write, and know nothing of Jupyter's token; pages elsewhere do not.
        own = f"http://127.0.0.1:{server.app.port}"
        for origin, status in ((own, 200), ("http://evil.example", 404), ("null", 404), (None, 403)):
            headers = {**login, **({"Origin": origin} if origin else {})}
            answer = await here.fetch(headers=headers, method="POST", body="x")
            assert answer.code == status, origin


async def test_a_page_elsewhere_opens_no_websocket(server: Server) -> None:
    """A browser sends the cookie along with those as well, and asks nobody before."""
    async with place(server, MODERN) as here:
        await here.start()
        url = f"ws://127.0.0.1:{server.app.port}{here.url('echo')}"
        for origin, allowed in (
            (f"http://127.0.0.1:{server.app.port}", True),
            ("http://evil.example", False),
            ("null", False),
        ):
            cookies = {**(await here.login()), "Origin": origin}
            if allowed:
                (await websocket_connect(HTTPRequest(url, headers=cookies))).close()
            else:
                with pytest.raises(HTTPClientError, match=r"403|404"):
                    await websocket_connect(HTTPRequest(url, headers=cookies))


async def test_ports_that_the_policy_closes(server: Server) -> None:
    """Whatever page is there, nobody is shown it; what else a container has stays."""
    async with place(server, MODERN) as here:
        await here.start()
        server.app.web_app.settings["tfcontainer_manager"].allow_ports = False
        answer = await here.fetch()
        assert (answer.code, json.loads(answer.body)["reason"]) == (403, "PolicyRefused")
        assert "ContainerManager.allow_ports = False" in str(answer.body)
        assert (await here.fetch(method="POST", body="")).code == 403
        with pytest.raises(HTTPClientError, match="403"):
            await server.connect(f"{here.path}/ports/{PORT}/echo")
        assert (await server.ask("POST", f"{here.path}/tensorboard")).status == 403
        assert await here.page.value("print(6 * 7)") == "42"


class Reader(Authorizer):
    """Lets people look only, and keeps what it was asked of us."""

    asked: ClassVar[list[str]] = []
    allowed: ClassVar[set[str]] = set()

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:  # noqa: ARG002, D102
        if resource == "tfcontainer" and "/ports/" in handler.request.path:
            self.asked.append(action)
            return action in self.allowed
        return True


@pytest.fixture
def reader(jp_server_config: Config) -> type[Reader]:
    jp_server_config.ServerApp.authorizer_class = Reader
    Reader.asked.clear()
    Reader.allowed = {"read"}
    return Reader


async def test_the_authorizer_decides(reader: type[Reader], server: Server) -> None:
    async with place(server, MODERN) as here:
        await here.start()
        assert (await here.fetch()).code == 200
        assert (await here.fetch(method="POST", body="")).code == 403
        # What is said there may do anything.
        with pytest.raises(HTTPClientError, match="403"):
            await server.connect(f"{here.path}/ports/{PORT}/echo")
        assert reader.asked == ["read", "write", "execute"]
        reader.allowed = {"execute"}
        assert (await here.fetch()).code == 403
        (await server.connect(f"{here.path}/ports/{PORT}/echo")).close()


async def test_a_container_that_replaces_its_sockets_gains_nothing(server: Server) -> None:
    """It can write to the folder of its control socket: nobody is led by that to what is outside of it."""
    reached: list[bytes] = []
    outside = server.home.root / "outside.sock"
    listener = await asyncio.start_unix_server(lambda *_: reached.append(b"connected"), outside)
    async with place(server, MODERN) as here, listener:
        await here.start()
        code = f"""
import glob, os
[folder] = glob.glob("/tfcontainer/run/*")
for name in os.listdir(folder):
    os.remove(os.path.join(folder, name))
    os.symlink({str(outside)!r}, os.path.join(folder, name))
print(len(os.listdir(folder)) > 0)
"""
        assert await here.page.value(code) == "True"
        assert told(await here.fetch("after"))["uri"] == "/after"
        assert [one["port"] for one in await here.ports()] == [PORT]
    assert reached == []


async def test_a_container_of_another_program(server: Server) -> None:
    """Its owner alone can reach into it, and that is said."""
    other = ContainerManager()
    try:
        server.home.add("tf", MODERN)
        environment = lookup.find("tf", KernelSpecManager())
        container = await asyncio.to_thread(other.start, environment, server.home.workspace)
        for method, path in (("GET", "ports"), ("GET", "ports/80/a/b"), ("POST", "tensorboard")):
            answer = await server.ask(method, f"{OURS}/containers/{container.id}/{path}")
            assert (answer.status, answer.model["reason"]) == (409, "ContainerElsewhere")
    finally:
        await asyncio.to_thread(other.close)


async def test_it_goes_while_it_is_asked(server: Server) -> None:
    async with place(server, MODERN) as here:
        await here.start()
        socket_ = await server.connect(f"{here.path}/ports/{PORT}/echo")
        assert (await server.ask("DELETE", here.path)).status == 204
        assert await asyncio.wait_for(socket_.read_message(), TIMEOUT) is None
        answer = await here.fetch()
        assert (answer.code, json.loads(answer.body)["reason"]) == (404, "ContainerNotFound")


async def command(*arguments: str) -> tuple[int, str]:
    """How our command ends, and what it prints."""
    program = [sys.executable, "-m", "jupyter_tfcontainer.cli", *arguments]
    # In a thread, since this process is the server, which is asked.
    done = await asyncio.to_thread(subprocess.run, program, check=False, text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


async def test_the_command(server: Server) -> None:
    """It asks the server that runs the container, which alone can tell."""
    async with place(server, MODERN, ports=[6006]) as here:
        await here.start()
        code, said = await command("ports", here.id[:12])
        assert code == 0, said
        own = server.app.connection_url.removesuffix(server.app.base_url)
        assert [line.split() for line in said.splitlines()] == [
            ["PORT", "LISTENS", "ADDRESS"],
            ["6006", "no", f"{own}{here.url(port=6006)}"],
            [str(PORT), "yes", f"{own}{here.url()}"],
        ]
        code, said = await command("ports", "--json", here.id)
        assert [one["port"] for one in json.loads(said)] == [6006, PORT]
        server.app.remove_server_info_file()
        code, said = await command("ports", here.id)
        assert (code, "No Jupyter server" in said) == (1, True), said


# TensorBoard.


SCALAR = """
import tensorflow as tf
writer = tf.summary.FileWriter("{folder}")
loss = tf.Summary(value=[tf.Summary.Value(tag="loss", simple_value=0.25)])
writer.add_summary(loss, 1)
writer.close()
"""


END = """
import os
boards = [one for one in os.listdir("/proc") if one.isdigit() and "board.py" in open("/proc/%s/cmdline" % one).read()]
print(len([os.kill(int(one), 15) for one in boards]))
"""


async def test_tensorboard(server: Server) -> None:
    """It shows what the notebook wrote, is there once for each folder, and as long as the container."""
    async with place(server, LEGACY, network="none") as here:
        assert await here.page.value(SCALAR.format(folder="logs/first")) == ""
        asked = [server.ask("POST", f"{here.path}/tensorboard", {"logdir": "logs"}) for _ in range(3)]
        answers = await asyncio.gather(*asked)
        assert sorted(one.status for one in answers) == [200, 200, 201]
        model = answers[0].model
        assert model == {"port": 6006, "url": here.url(port=6006)}
        assert all(one.model == model for one in answers)
        assert {one.location for one in answers} == {model["url"], None}
        assert json.loads((await here.fetch("data/runs", port=6006)).body)["first"]["scalars"] == ["loss"]
        # The same folder in other words, and another one.
        assert (await server.ask("POST", f"{here.path}/tensorboard")).model == model
        other = {"logdir": f"{server.home.workspace}/more"}
        answer = await server.ask("POST", f"{here.path}/tensorboard", other)
        assert (answer.status, answer.model["port"]) == (201, 6007)
        assert [one["port"] for one in await here.ports()] == [6006, 6007]
        # It is in the container's log, and its end is no end of anything else.
        assert await here.page.value(END) == "2"
        for _ in range(100):
            if not await here.ports():
                break
            await asyncio.sleep(0.05)
        again = await server.ask("POST", f"{here.path}/tensorboard", {"logdir": "logs"})
        assert (again.status, again.model) == (201, model)
        assert await here.page.value("print(6 * 7)") == "42"
    assert (await server.ask("POST", f"{here.path}/tensorboard", {"logdir": 1})).status == 400


async def test_without_tensorboard(server: Server) -> None:
    async with place(server, MODERN) as here:
        # On a busy machine an interpreter takes a while to end: here each does.
        code = """
import os, site
os.makedirs(site.getusersitepackages())
with open(os.path.join(site.getusersitepackages(), "usercustomize.py"), "w") as file:
    file.write("import atexit, time; atexit.register(time.sleep, 3)")
"""
        assert await here.page.value(code) == ""
        answer = await server.ask("POST", f"{here.path}/tensorboard")
        assert (answer.status, answer.model["reason"]) == (409, "TensorBoardFailed")
        assert "The interpreter of TF (Python 3.11.2) has no TensorBoard." in answer.model["message"]
        assert "%pip install tensorboard" in answer.model["message"]
        # One that ends before it listens, installed at once: its last words are told.
        code = """
import os, site
folder = os.path.join(site.getusersitepackages(), "tensorboard")
os.makedirs(folder)
open(os.path.join(folder, "__init__.py"), "w").close()
with open(os.path.join(folder, "main.py"), "w") as file:
    file.write("def main(): raise SystemExit('out of order')")
"""
        assert await here.page.value(code) == ""
        answer = await server.ask("POST", f"{here.path}/tensorboard")
        assert (answer.status, answer.model["reason"]) == (409, "TensorBoardFailed")
        assert "ended in the container of TF" in answer.model["message"]
        assert "out of order" in answer.model["message"]


async def test_the_magic_is_told_where_pages_reach_it(server: Server) -> None:
    """Without the kernel being any slower for it: the interpreter that waits still fits."""
    async with place(server, MODERN) as here:
        code = "import os; print(os.environ['TENSORBOARD_PROXY_URL'])"
        assert await here.page.value(code) == here.url(port=0).replace("/0/", "/%PORT%/")
        log = (await server.get(f"{here.path}/logs"))["log"]
        assert "does not fit" not in log
