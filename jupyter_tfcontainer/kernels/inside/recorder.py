"""Keeps the last messages that a kernel has published, for whoever was not there to hear them.

It runs inside the container (Python 2.7 to newest), started by ``supervisor.py`` beside a kernel, with the pyzmq that
ipykernel has brought. Its arguments are the address of the kernel's IOPub channel, and how many bytes of memory the
messages may take. Its standard input is a socket to the supervisor, on which it is asked in JSON lines, and answers:

``since``
    the id of the message to begin with, or null; where it is not there (any more), the oldest
``from``
    the same by its number, which an answer before has given as ``next``

An answer has ``messages``, each a list of its parts (base64); ``begun``, the last ``execute_input`` before them, or
null; ``gap``, whether messages are gone that should stand in front; ``next``; and ``more``, whether that is there
already.
"""

import collections
import json
import select
import sys
from binascii import b2a_base64

import kernel

# What Python itself needs for a message of n parts: a + b * n bytes, about.
MESSAGE, PART = 150, 50
# Bytes in one answer: neither side shall be busy for long.
ANSWER = 256 * 1024
# Messages that are taken before it is seen whether somebody asks.
ROUND = 1000
# Seconds that messages wait here, so that each does not cost the kernel and its clients a turn on their processors. A
# question ends that at once.
PAUSE = 0.05
DELIMITER = b"<IDS|MSG>"


def size(parts):
    return MESSAGE + sum(PART + len(part) for part in parts)


def header(parts):
    return parts[parts.index(DELIMITER) + 2]


def readable(parts):
    return [b2a_base64(part).decode("ascii") for part in parts]


class Recorder(object):
    """The last messages.

    Parameters
    ----------
    memory
        bytes that they may take
    """

    def __init__(self, memory):
        self.memory = memory
        self.used = 0
        self.messages = collections.deque()
        # Number of the oldest message.
        self.first = 0
        # The last one before that which tells of an execution's begin.
        self.begun = None

    def add(self, parts):
        if DELIMITER not in parts:
            return  # no message: ipykernel sends some bytes at its start
        self.messages.append(parts)
        self.used += size(parts)
        while self.used > self.memory:
            old = self.messages.popleft()
            self.first += 1
            self.used -= size(old)
            if is_begin(old):
                self.begun = old

    def answer(self, question):
        at, gap = self.find(question)
        found, room = [], ANSWER
        begun = self.begun
        for number, parts in enumerate(self.messages):
            if number < at:
                begun = parts if is_begin(parts) else begun
            elif room > 0:
                found.append(readable(parts))
                room -= size(parts)
            else:
                break
        end = at + len(found)
        return {
            "messages": found,
            "begun": readable(begun) if begun else None,
            "gap": gap,
            "next": self.first + end,
            "more": end < len(self.messages),
        }

    def find(self, question):
        """Where to begin, and whether something is missing there."""
        if question.get("from") is not None:
            at = question["from"] - self.first
            return max(0, at), at < 0
        if question.get("since") is None:
            return 0, self.first > 0
        wanted = b'"%s"' % question["since"].encode("ascii")
        for at in range(len(self.messages) - 1, -1, -1):
            if wanted in header(self.messages[at]):
                return at, False
        return 0, self.first > 0


def is_begin(parts):
    return b'"execute_input"' in header(parts)


def main():
    channel = kernel.take_channel()
    address, memory = sys.argv[1], int(sys.argv[2])
    del sys.path[0]  # our own folder
    import zmq

    context = zmq.Context()
    published = context.socket(zmq.SUB)
    published.setsockopt(zmq.RCVHWM, 0)  # what waits here is taken at once
    published.setsockopt(zmq.SUBSCRIBE, b"")
    published.connect(address)
    poller = zmq.Poller()
    poller.register(published, zmq.POLLIN)
    poller.register(channel.fileno(), zmq.POLLIN)
    recorder = Recorder(memory)
    questions = b""
    while True:
        ready = dict(poller.poll())
        if published in ready:
            for _ in range(ROUND):
                try:
                    recorder.add(published.recv_multipart(zmq.NOBLOCK))
                except zmq.Again:
                    select.select([channel], [], [], PAUSE)
                    break
        if channel.fileno() in ready:
            data = channel.recv(65536)
            if not data:
                return
            lines = (questions + data).split(b"\n")
            questions = lines.pop()
            for line in lines:
                question = json.loads(line.decode("utf-8"))
                kernel.say(channel, **dict(recorder.answer(question), ok=True, id=question["id"]))


if __name__ == "__main__":
    main()
