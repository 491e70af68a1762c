"""Whatever is asked of the REST interface, and whatever a kernelspec says, the server holds, and the policy too.

The examples are always the same, so that no run fails by chance. With ``RANDOM_EXAMPLES=100`` in the environment there
are that many for each request, other ones each time.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import openapi
import pytest
import requests
import schemathesis
from homes import MODERN, Home, engine_client, temporary_home
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kernels import TIMEOUT, until
from schemathesis import APIOperation, GenerationMode, Response
from servers import OURS

from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.environments.fields import READERS
from jupyter_tfcontainer.workspace import OURS as INSIDE

Operation = APIOperation[Any, Any, Any, Any]
EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "0"))
OPERATIONS = [
    cast("Operation", one.ok())
    for one in cast("Any", schemathesis.openapi.from_dict(openapi.DOCUMENT)).get_all_operations()
]
UNKNOWN = {"id": 64 * "0", "operation": 16 * "0", "name": "nobody", "port": "8000", "path": "x"}
# What a program in a container, of which there is none, does not answer is no failure of the server.
NOT_OURS = "PortClosed"
LIMIT = 512 * 1024**2


def examples(number: int) -> settings:
    """How many, and which."""
    return settings(
        database=None,
        deadline=None,
        derandomize=not EXAMPLES,
        max_examples=EXAMPLES or number,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


class Place:
    """A server with a strict policy."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._token = secrets.token_hex()
        self.url = ""
        home.configure(
            allowed_images=[MODERN],
            allowed_mount_roots=[str(home.workspace)],
            allowed_devices=[],
            max_memory=LIMIT,
            max_cpus=1,
            max_gpus=0,
        )
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.ip=127.0.0.1"]
        command += ["--ServerApp.port=0", f"--ServerApp.root_dir={home.workspace}", "--ContainerManager.standby=0"]
        command += [f"--IdentityProvider.token={self._token}", *([] if os.geteuid() else ["--allow-root"])]
        command += ["--ServerApp.jpserver_extensions={'jupyter_tfcontainer': True}"]
        self.log = home.root / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env={**os.environ, **home.variables()}, stderr=log)
        if not until(self._listens, 3 * TIMEOUT):
            self.stop()
            raise AssertionError(self.log.read_text())

    def _listens(self) -> bool:
        for file in (self.home.root / "run").glob("jpserver-*.json"):
            try:
                self.url = json.loads(file.read_text())["url"].rstrip("/")
                return requests.get(f"{self.url}/api/status", headers=self.headers, timeout=TIMEOUT).ok
            except (ValueError, requests.ConnectionError):
                return False  # it has not been written whole, or nobody listens there yet
        return False

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"token {self._token}"}

    def ask(self, method: str, path: str, model: object = None) -> requests.Response:
        """Ask something."""
        return requests.request(
            method, f"{self.url}/{OURS}/{path}", json=model, headers=self.headers, timeout=3 * TIMEOUT
        )

    def container(self) -> str:
        """A container that runs."""
        for one in self.home.containers():
            return str(one["Id"])
        answer = self.ask("POST", "containers", {"environment": "tf"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def stop(self) -> None:
        """End it, and see that all went with it."""
        self._process.terminate()
        assert self._process.wait(3 * TIMEOUT) == 0


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    since = time.time()
    with temporary_home() as home:
        place = Place(home)
        try:
            yield place
        finally:
            place.stop()
        with closing(engine_client()) as engine:
            image = engine.inspect_image(MODERN)["Id"]
            filters = {"type": "container", "event": "create", "label": labels.FOLDER}
            created = [
                one["Actor"]["Attributes"]
                for one in engine.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True)
            ]
        ours = [one for one in created if Path(one[labels.FOLDER]).is_relative_to(home.root)]
        assert ours
        assert {one["image"] for one in ours} == {image}
        assert "Uncaught exception" not in place.log.read_text()


def harmless(answer: requests.Response | Response, asked: object) -> None:
    """See that an answer tells of no failure of the server."""
    assert "Traceback" not in answer.text, (asked, answer.text)
    if answer.status_code >= 500:
        assert answer.status_code == 503, (asked, answer.text)
        # A HEAD has no more to say.
        assert not answer.content or answer.json()["reason"] == NOT_OURS, (asked, answer.text)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
@examples(8)
@given(data=st.data())
def test_no_request_is_too_much(place: Place, operation: Operation, data: st.DataObject) -> None:
    place.home.add("tf", MODERN)
    case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(list(GenerationMode)))))
    # Of what is there, half of the time: else hardly any request would come far.
    known = [name for name in case.path_parameters or {} if data.draw(st.booleans())]
    there = {**UNKNOWN, "name": "tf", **({"id": place.container()} if "id" in known else {})}
    case.path_parameters.update({name: there[name] for name in known})
    if case.query:
        # A log that is followed has no end; and what is removed shall be nobody's.
        case.query.pop("follow", None)
        if operation.method == "delete" and "reference" in case.query:
            case.query["reference"] = f"nobody.example/{case.query['reference']}"
    answer = case.call(base_url=place.url, headers=place.headers, timeout=3 * TIMEOUT, allow_redirects=False)
    harmless(answer, (operation.label, case.path_parameters, case.query, case.body))


# What a kernelspec may say that means no good, beside what it may mean well.
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
HOSTILE: dict[str, list[Any]] = {
    "image": [
        "evil.example/x:1",
        "tensorflow/tensorflow:1.2.1",
        "tfcontainer/python",
        "sha256:4724",
        "--privileged",
        "",
    ],
    "mounts": [
        [{"source": source, "target": target}]
        for source in ("/", "/etc", "/var/run/docker.sock", "/proc", "~", ".", "WORKSPACE", "WORKSPACE/link")
        for target in ("/there", "/tfcontainer/bin", "/notebooks", "/etc/passwd", "/there/../etc")
    ],
    "memory": ["64g", "300m", 1, -1, 2**70],
    "cpus": [64, 0.5, -1, 1e300],
    "gpus": ["all", 1, ["0"], 10**30],
    "devices": [["/dev/mem"], ["/dev/null"], ["/dev/../etc/shadow"]],
    "user": ["root", "me", "-1", "1234:0"],
    "network": ["host", "none", "container:x"],
    "container_name": ["--rm", "a/b", "x" * 1000],
    "python": ["/bin/sh", "python3", "../../x", "$(id)"],
    "preload": [["os"], ["os;x"], ["x" * 10_000]],
    "ulimits": [{"nofile": 2**62}, {"core": -1}, {"nofile": 0}],
    "platform": ["linux/amd64", "plan9/arm"],
    "shm_size": ["1m", "900g", 0],
    "secrets": [["PATH"], ["x y"]],
    "privileged": [True],
    "engine_url": ["unix:///tmp/evil.sock"],
    "allow_root": [True],
}


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a kernelspec, some of them hostile."""
    names = draw(st.lists(st.sampled_from(sorted(HOSTILE)), max_size=3, unique=True))
    config = {name: draw(st.sampled_from(HOSTILE[name])) for name in names}
    if draw(st.integers(0, 4)) == 0:
        config[draw(st.sampled_from(sorted(READERS)))] = draw(JUNK)
    return {"image": MODERN, **config}


def test_fields_are_all_tried() -> None:
    assert HOSTILE.keys() >= READERS.keys() - {"groups", "pull_policy", "ports", "standby", "compatibility"}


@examples(24)
@given(config=configs())
def test_no_kernelspec_gets_more_than_is_allowed(place: Place, config: dict[str, Any]) -> None:
    place.home.add("tf", MODERN)
    link = place.home.workspace / "link"
    if not link.is_symlink():
        link.symlink_to("/etc")
    said = json.loads(json.dumps(config).replace("WORKSPACE", str(place.home.workspace)))
    place.home.add("tf", said.pop("image"), **said)
    for path in ("environments", "environments/tf", "environments/tf/export"):
        harmless(place.ask("GET", path), config)
    answer = place.ask("POST", "containers", {"environment": "tf"})
    harmless(answer, config)
    if answer.status_code != 201:
        return
    with closing(engine_client()) as engine:
        container = engine.inspect_container(answer.json()["id"])
    host = container["HostConfig"]
    assert 0 < host["Memory"] <= LIMIT
    assert 0 < host["NanoCpus"] <= 10**9
    assert (host["Privileged"], host["CapAdd"], host["Devices"], host["DeviceRequests"]) == (False, None, [], None)
    assert host["NetworkMode"] in ("default", "none")
    assert (host["PidMode"], host["UTSMode"], host["IpcMode"] in ("private", "shareable")) == ("", "", True)
    assert "no-new-privileges" in host["SecurityOpt"]
    for mount in container["Mounts"]:
        inside = mount["Destination"].startswith(str(INSIDE))
        root = place.home.data if inside else place.home.workspace
        assert mount["Type"] == "tmpfs" or Path(mount["Source"]).is_relative_to(root), mount
    assert place.ask("DELETE", f"containers/{container['Id']}").status_code == 204


PARTS = ("metadata", "kernel_provisioner", "config")


@examples(30)
@given(value=JUNK, part=st.sampled_from(["", "all", *PARTS, "env"]))
def test_no_kernelspec_is_too_odd_to_be_listed(place: Place, value: Any, part: str) -> None:
    """What cannot be read has its error in its place, and keeps nobody from the others."""
    place.home.add("tf", MODERN)
    file = place.home.data / "kernels" / "tf" / "kernel.json"
    if not part:
        file.write_text(str(value))
    elif part == "all":
        file.write_text(json.dumps(value))
    else:
        inner = spec = json.loads(file.read_text())
        for name in PARTS[: PARTS.index(part)] if part in PARTS else ():
            inner = inner[name]
        inner[part] = value
        file.write_text(json.dumps(spec))
    for path in ("environments", "environments/tf", "environments/tf/export", "images"):
        harmless(place.ask("GET", path), (part, value))
    harmless(place.ask("POST", "containers", {"environment": "tf"}), (part, value))
