"""What a kernel has published while nobody was there to hear it: the last of that, as its recorder has kept it."""

from __future__ import annotations

import json
import uuid
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any

from .container import RunningContainer

DELIMITER = b"<IDS|MSG>"
Fields = dict[str, dict[str, Any]]


class Published:
    """A message that a kernel has published.

    Parameters
    ----------
    parts
        what came over the wire, with its signature
    """

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        fields = parts[parts.index(DELIMITER) + 2 :]
        self.header: dict[str, Any] = json.loads(fields[0])
        self.parent: dict[str, Any] = json.loads(fields[1])
        self._content = fields[3]

    @property
    def id(self) -> str:
        """By which it is told from all others."""
        return str(self.header["msg_id"])

    @property
    def kind(self) -> str:
        """Its type, such as ``stream``."""
        return str(self.header["msg_type"])

    @property
    def content(self) -> dict[str, Any]:
        """What it says."""
        return dict(json.loads(self._content))

    def another(self, kind: str, content: dict[str, Any]) -> Fields:
        """A message that the kernel might have sent beside this one.

        Parameters
        ----------
        kind
            its type
        content
            what it says
        """
        # Of the kernel's own session: JupyterLab takes others for those of a kernel before a restart.
        header = {**self.header, "msg_id": str(uuid.uuid4()), "msg_type": kind}
        return {"header": header, "parent_header": self.parent, "metadata": {}, "content": content}


class Recording:
    """Reads what the recorder of a kernel keeps.

    Parameters
    ----------
    container
        in which the kernel runs
    since
        id of the message to begin with; None, or where it is not kept any more, for the oldest
    """

    def __init__(self, container: RunningContainer, since: str | None = None) -> None:
        self._container = container
        self._place: dict[str, Any] = {"since": since}
        #: The begin of the execution that was under way at the first message.
        self.begun: Published | None = None
        #: Whether messages have not been kept that should be there.
        self.gap = False

    def read(self) -> list[Published]:
        """What has been kept; when called again, what has come since.

        Raises
        ------
        ContainerError
            when there is no recorder, or it does not answer
        """
        kernel, found, first = self._container.kernel, [], "since" in self._place
        while True:
            answer = self._container.control().request(
                "recorded", kernel=kernel.kernel_id if kernel else None, **self._place
            )
            found += [_message(parts) for parts in answer["messages"]]
            self.gap |= answer["gap"]
            if first and answer["begun"]:
                self.begun = _message(answer["begun"])
            self._place, first = {"from": answer["next"]}, False
            if not answer["more"]:
                return found


def _message(parts: Iterable[str]) -> Published:
    return Published([b64decode(part) for part in parts])


def replies(recorded: list[Published], begun: Published | None, session: str) -> Iterator[Fields]:
    """The replies to executions that have ended: nobody has kept them, but all that matters of them was published.

    Parameters
    ----------
    recorded
        what the kernel has published
    begun
        the begin of the execution that was under way then
    session
        id of the page whose executions are meant
    """
    counts: dict[str, int] = {}
    errors: dict[str, dict[str, Any]] = {}
    for one in [*([begun] if begun else []), *recorded]:
        request = one.parent.get("msg_id", "")
        if one.kind == "execute_input":
            counts[request] = one.content["execution_count"]
        elif one.kind == "error":
            errors[request] = one.content
        elif (
            one.kind == "status"
            and one.content["execution_state"] == "idle"
            and (one.parent.get("msg_type"), one.parent.get("session")) == ("execute_request", session)
        ):
            content: dict[str, Any] = {"status": "aborted"}
            if request in errors:
                content = {"status": "error", **errors[request]}
            elif request in counts:
                content = {"status": "ok", "user_expressions": {}, "payload": []}
            yield one.another("execute_reply", {**content, "execution_count": counts.get(request)})


def text(recorded: list[Published]) -> str:
    """What a person would have read.

    Parameters
    ----------
    recorded
        what the kernel has published
    """
    found = []
    for one in recorded:
        if one.kind == "execute_input":
            found.append(f"\nIn [{one.content['execution_count']}]:\n")
        elif one.kind == "stream":
            found.append(one.content["text"])
        elif one.kind in ("display_data", "execute_result"):
            found.append(str(one.content["data"].get("text/plain", "")) + "\n")
        elif one.kind == "error":
            found.append("\n".join(one.content["traceback"]) + "\n")
    return "".join(found)
