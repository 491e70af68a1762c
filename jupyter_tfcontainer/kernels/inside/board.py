"""TensorBoard on a folder of logs, in the interpreter of the kernels.

It runs inside the container (Python 2.7 to newest), started by ``supervisor.py`` where the notebook is. Its argument is
the folder. Its standard input is a socket to the supervisor, on which it says one of

``ready``
    with ``port``, once TensorBoard listens there; ``known`` is whether that was running before, since the notebook's
    ``%tensorboard`` started it
``missing``
    this interpreter has no TensorBoard
"""

import json
import os
import socket
import sys
import tempfile
import threading
import time

import kernel

HOST = "127.0.0.1"
# TensorBoard's own, and how many of its neighbours are tried.
FIRST_PORT = 6006
PORTS = 100
# Seconds between looks whether it listens: nobody tells.
INTERVAL = 0.05


def known(logdir):
    """The port of a TensorBoard that shows a folder already. Those of 1.13 and later leave a note."""
    notes = os.path.join(tempfile.gettempdir(), ".tensorboard-info")
    try:
        names = os.listdir(notes)
    except OSError:
        return None
    for name in names:
        try:
            with open(os.path.join(notes, name)) as file:
                note = json.load(file)
            # It may have died without taking its note along.
            started_in = os.readlink("/proc/%d/cwd" % note["pid"])
            same = os.path.realpath(os.path.join(started_in, note["logdir"])) == os.path.realpath(logdir)
            if same and listens(note["port"]):
                return note["port"]
        except (IOError, OSError, ValueError, KeyError, TypeError):
            continue
    return None


def listens(port):
    """Whether somebody listens at a port."""
    sock = socket.socket()
    try:
        return sock.connect_ex((HOST, port)) == 0
    finally:
        sock.close()


def free_port():
    """A port that nobody has."""
    for port in list(range(FIRST_PORT, FIRST_PORT + PORTS)) + [0]:
        sock = socket.socket()
        # As TensorBoard has it: what is left of connections to the one before does not count.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
            return sock.getsockname()[1]
        except (IOError, OSError):
            continue
        finally:
            sock.close()
    raise IOError("no port is free")


def tell_when_it_listens(channel, port):
    while not listens(port):
        time.sleep(INTERVAL)
    kernel.say(channel, event="ready", port=port, known=False)


def find(logdir, port):
    """What runs TensorBoard, as this interpreter has it; None where it has none."""
    try:
        from tensorboard import manager, program  # noqa: F401 - 1.13 and later have both
    except ImportError:
        pass
    else:
        board = program.TensorBoard()
        # With these words alone `%tensorboard --logdir FOLDER` takes it for the one that it would start itself.
        board.configure(argv=["tensorboard", "--logdir", logdir])
        board.flags.host = HOST
        board.flags.port = port
        return board.main
    sys.argv = ["tensorboard", "--logdir=" + logdir, "--host=" + HOST, "--port=%d" % port]
    try:
        from tensorboard import main
    except ImportError:
        pass
    else:
        return getattr(main, "run_main", None) or main.main
    try:
        from tensorflow.tensorboard.tensorboard import main as old
    except ImportError:
        return None
    return old


def main():
    channel = kernel.take_channel()
    logdir = sys.argv[1]
    # Our own folder and what is from there, whose names are for nobody else. (Python 2 empties a module that is held
    # nowhere: here it is.)
    del sys.path[0], sys.modules["kernel"]
    port = known(logdir)
    if port is not None:
        kernel.say(channel, event="ready", port=port, known=True)
        return 0
    port = free_port()
    run = find(logdir, port)
    if run is None:
        kernel.say(channel, event="missing")
        return 1
    thread = threading.Thread(target=tell_when_it_listens, args=(channel, port))
    thread.daemon = True
    thread.start()
    return run()


if __name__ == "__main__":
    sys.exit(main())
