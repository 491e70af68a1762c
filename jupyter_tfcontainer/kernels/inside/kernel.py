"""A warm interpreter that becomes a kernel.

It runs inside the container (Python 2.7 to newest), started by ``supervisor.py``. It imports ipykernel and waits; the
launch message turns it into the kernel. Its standard input is a socket to the supervisor, on which it says "begun" with
a stamp of the folders that ``import`` searches, "imported" with one of the files that were read, after each step of its
imports, and "ready" when the kernel's sockets are bound.
"""

import fcntl
import gc
import json
import logging
import os
import select
import socket
import sys
import time
import traceback

# libzmq reconnects after 100 ms plus a random part of as much again (ZMQ_RECONNECT_IVL), so after this many seconds the
# clients of the previous kernel are back.
RECONNECT = 0.25
# How long a client that was there is waited for at most, in seconds: it may have gone for good.
RECONNECT_LIMIT = 1.0
# How long a client that is connected takes to say what it subscribes to, in seconds. It does so on its own event loop
# (libzmq sends subscriptions again when the application next looks at the socket), which may be busy.
SUBSCRIPTION = 0.02
# What ipykernel imports only when it makes a kernel: half of the time that takes.
PARTS = (
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.extensions.storemagic",
)
# Devices by which programs use GPUs: NVIDIA's driver, AMD's, any card's, Windows'.
GPU_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri/", "/dev/dxg")
# Messages that wait in the kernel for a client that is slow, some 60 MB of lines; ZeroMQ throws away what comes then.
WAITING = 50000
DEBUGPY_QUIET = "PYDEVD_DISABLE_FILE_VALIDATION"
# socket.SO_ACCEPTCONN of <asm-generic/socket.h>, which Python 2 lacks.
SO_ACCEPTCONN = 30


def take_channel():
    """Move the supervisor's socket away from standard input, where the kernel shall find nothing."""
    channel = socket.fromfd(0, socket.AF_UNIX, socket.SOCK_STREAM)  # a copy
    flags = fcntl.fcntl(channel.fileno(), fcntl.F_GETFD)
    fcntl.fcntl(channel.fileno(), fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return channel


def say(channel, **message):
    channel.sendall(json.dumps(message).encode("utf-8") + b"\n")


def stamp():
    """When each folder that ``import`` searches, and each path file in it, was last changed.

    None stands for what is not there.
    """
    import site

    folders = [path for path in sys.path if path]
    if getattr(site, "ENABLE_USER_SITE", False) is not None and hasattr(site, "getusersitepackages"):
        folders.append(site.getusersitepackages())  # may not exist yet: the first `pip install --user` makes it
    paths = []
    for folder in dict.fromkeys(folders):
        paths.append(folder)
        if os.path.isdir(folder):
            paths.extend(
                os.path.join(folder, name) for name in os.listdir(folder) if name.endswith((".pth", ".egg-link"))
            )
    return [(path, os.stat(path).st_mtime if os.path.exists(path) else None) for path in paths]


def written_over(seen):
    """When the files of modules that are not in ``seen`` were last changed, of those that this user may change.

    Editors write into a file, which leaves its folder's time as it was.
    """
    files = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name in seen or not isinstance(path, str):
            continue
        seen.add(name)
        if path.endswith((".pyc", ".pyo")):
            path = path[:-1]
        try:
            if os.access(path, os.W_OK):
                json.dumps(path)  # else it is in no encoding that could be told
                files.append((path, os.stat(path).st_mtime))
        except (OSError, ValueError):
            continue
    return files


def open_gpu():
    """A device of a GPU that this process has open, or None."""
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue  # closed meanwhile
        if path.startswith(GPU_DEVICES):
            return path
    return None


def asked(channel):
    """Whether the launch has come."""
    return bool(select.select([channel], [], [], 0)[0])


def report(channel, module, seen):
    """Tell of what has been imported, unless the launch has come: the supervisor has nothing to decide any more."""
    if not asked(channel):
        say(channel, event="imported", module=module, stamp=written_over(seen), device=open_gpu())


def connected(path):
    """How many clients are connected to a Unix socket that this process listens on."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink("/proc/self/fd/" + name).startswith("socket:"):
                continue
            one = socket.fromfd(int(name), socket.AF_UNIX, socket.SOCK_STREAM)
        except (OSError, socket.error):
            continue  # closed meanwhile
        try:
            # An accepted socket has the name of its listener.
            if one.getsockname() == path and not one.getsockopt(socket.SOL_SOCKET, SO_ACCEPTCONN):
                count += 1
        finally:
            one.close()
    return count


def await_subscribers(connection, expected):
    """Hold the kernel's first reply until the clients of the one before are subscribed again.

    They come back by themselves, each of their sockets on a clock of its own. A request that is answered before its
    sender's subscription is back loses its first outputs: measured, 3 to 4 of 15 restarts under ipykernel 4.
    `expected` is how many subscribers there were, or None where nobody counted.
    """
    begun = time.time()
    iopub = "%s-%d" % (connection["ip"], connection["iopub_port"])
    if expected is None:
        time.sleep(RECONNECT)
        return
    while connected(iopub) < expected and time.time() - begun < RECONNECT_LIMIT:
        time.sleep(0.005)  # nobody tells when a subscriber is back
    if expected:
        time.sleep(SUBSCRIPTION)


def write_connection_file(kernel, connection):
    """Write the file that ``%connect_info`` and ``get_connection_file`` look for.

    It is inside the container only, and readable by this user only.
    """
    folder = os.path.join("/tmp", "jupyter-%d" % os.getuid())
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o700)
    path = os.path.join(folder, "kernel-%s.json" % kernel)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(connection, file)
    return path


def share_sockets(connection):
    """Let another user connect: the folder of the sockets keeps everybody else out."""
    for name, number in connection.items():
        if name.endswith("_port"):
            os.chmod("%s-%d" % (connection["ip"], number), 0o666)  # noqa: S103


def hush(app):
    """Keep out of the log what ipykernel tells a terminal ("Ctrl-C will not work").

    It would be most of the log's end, which a person reads when the kernel has died.
    """
    log_connection_info = app.log_connection_info

    def log_quietly():
        level, app.log_level = app.log_level, logging.CRITICAL
        try:
            log_connection_info()
        finally:
            app.log_level = level

    app.log_connection_info = log_quietly


def let_messages_wait(app):
    """Have more wait for a slow client than ZeroMQ's thousand.

    A cell that flushes each line prints faster than a Jupyter server reads. The buffers of a TCP connection to a kernel
    on the same machine hold some megabytes of that; those of a Unix socket do not, and what is thrown away may be the
    word that the kernel is idle: of 5,000 lines a thousand were lost, and the cell never ended.
    """
    import zmq

    bind = getattr(app, "_bind_socket", None)
    if bind is None:
        return  # it is another's method, which a later version may not have

    def bind_with_room(one, port):
        one.setsockopt(zmq.SNDHWM, WAITING)  # before it is bound: later connections do not hear of it else
        return bind(one, port)

    app._bind_socket = bind_with_room  # noqa: SLF001 - the one place where all sockets come by


def collect_again(app):
    """Have garbage looked for from the first code of the person's on, which may want it otherwise (startup files)."""
    run = app.init_code

    def run_with_collector():
        gc.enable()
        run()

    app.init_code = run_with_collector


def let_clients_come_back(app):
    """Have a client that comes back under its old name take the place of the one that it was.

    While a cell runs nobody looks at the sockets, so that one whose server has died still seems to be there, and
    ZeroMQ would leave the new one without an answer for ever. ipykernel does this itself since it has a thread for its
    control channel, which alone may touch that socket then.
    """
    import zmq

    if hasattr(app, "control_thread") or not hasattr(zmq, "ROUTER_HANDOVER"):
        return
    for one in (app.shell_socket, app.stdin_socket, app.control_socket):
        one.setsockopt(zmq.ROUTER_HANDOVER, 1)


def native(value):
    return value if isinstance(value, str) else value.encode("utf-8")


def main():
    channel = take_channel()
    preload = json.loads(sys.argv[1])
    del sys.path[0]  # our own folder
    say(channel, event="begun", stamp=stamp())
    # Imports make many objects and no garbage: looking for some takes a tenth of their time. Making the kernel does so
    # too, and there it takes 40 %, since all that has been imported is looked through.
    gc.disable()
    from ipykernel.kernelapp import IPKernelApp

    # What debugpy would say of frozen modules would stand below the last words of the kernel before.
    wanted = os.environ.get(DEBUGPY_QUIET)
    os.environ[DEBUGPY_QUIET] = "1"
    for module in PARTS:
        try:
            __import__(module)
        except ImportError:
            pass  # this version does without
    if wanted is None:
        del os.environ[DEBUGPY_QUIET]
    else:
        os.environ[DEBUGPY_QUIET] = wanted
    seen = set()
    report(channel, "ipykernel", seen)
    for module in preload:
        try:
            __import__(module)
        except Exception as error:
            sys.stderr.write("[supervisor] %s is not preloaded: %s\n" % (module, error))
        report(channel, module, seen)
    if not asked(channel):
        gc.collect()  # what is there counts as old from now on, and is not looked through with what comes
    line = channel.makefile("rb").readline()
    if not line:
        return
    launch = json.loads(line.decode("utf-8"))
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write(str(launch["oom_score_adj"]))
    os.environ.update((native(name), native(value)) for name, value in launch["env"].items())
    os.chdir(native(launch["cwd"]))
    connection = launch["connection"]
    path = write_connection_file(os.getpid(), connection)
    arguments = ["-f", path] + [native(one) for one in launch["arguments"]]
    sys.argv = ["ipykernel_launcher"] + arguments
    app = IPKernelApp.instance()
    hush(app)
    let_messages_wait(app)
    collect_again(app)
    app.initialize(arguments)
    let_clients_come_back(app)
    if launch["shared"]:
        share_sockets(connection)
    if launch["again"]:
        await_subscribers(connection, launch["subscribers"])
    say(channel, event="ready")
    channel.close()
    app.start()


if __name__ == "__main__":
    try:
        main()
    except Exception:
        # Into the container's log: sys.stderr may lead to clients that are not there yet.
        traceback.print_exc(file=sys.__stderr__)
        sys.exit(1)
