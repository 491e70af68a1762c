"""The container's main process: starts, signals and reaps kernels, and keeps a spare interpreter warm.

Runs inside the container on whatever Python the image has (2.7 to newest), with the standard library only, and never
imports the person's packages. It is one thread around ``select``. Further arguments are the interpreters that
``start.sh`` would try next if this one lacks ipykernel; the first is a JSON object:

``control``
    path of the Unix socket on which it listens
``orphan_timeout``
    seconds without an owner after which the container ends itself, so that a dead server never holds a GPU for ever
``empty_timeout``
    the same while no kernel is in it
``checks``
    paths whose inode numbers go into the hello: the other side compares them with its own and so knows that its mounts
    arrived
``preload``
    modules that the spare imports ahead, besides ipykernel
``shared``
    whether the owner is another user, who is to be let in: the folder of the sockets keeps others out
``keep_nofile``
    whether the limit of open files is to stay what it is

The protocol is JSON lines. Requests carry ``id`` and ``op``; replies carry the same ``id`` and either ``ok`` or
``error``; what begins with ``event`` is pushed.

``own``
    with ``owner``, who speaks: shown to whoever comes second, and is refused. The reply is the hello: ``protocol``,
    ``python``, ``executable``, ``inodes``, ``devices`` (the names in ``/dev``) and ``kernels``
``launch``
    with ``kernel``, its id; ``launch``, a number that its events give back; ``connection``; ``cwd``; ``env``;
    ``arguments``; ``subscribers``, how many clients listened to the kernel before it, or null; ``warm``, how many
    seconds after it is ready the next spare is started at the latest. The events ``ready`` and ``exit`` (``code``,
    ``signal``, ``oom``) follow
``warm``
    starts the next spare now
``expect``
    with ``env``, variables that the next launch will ask for: the spare shall have them
``signal``
    with ``kernel`` and ``signum``
``list``
    the reply has ``kernels``
``stop``
    ends kernels and container
"""

import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import time

PROTOCOL = 1
HERE = os.path.dirname(os.path.abspath(__file__))
# How long kernels get to end after SIGTERM before SIGKILL, in seconds.
TERM_TIMEOUT = 3.0
# Variables that may differ between the spare and the launch: they are read when asked for, not when the interpreter or
# a library starts.
LATE = ("JPY_SESSION_NAME",)
LATE_PREFIX = "KERNEL_"
# File systems stamp with the clock of the last timer tick, which may lie this many seconds back (1/HZ, at most 10 ms).
CLOCK_TICK = 0.02
# Python 2.7 closes every possible descriptor one by one at each subprocess (0.29 us each): a limit of 10^9 means
# minutes. Set here and not by the engine, which may not be allowed to set any.
OPEN_FILES = 65536
# The kernel is a likelier victim of the out-of-memory killer than the supervisor, which has to tell the tale.
OOM_SCORE_ADJ = 500


def log(message):
    sys.stderr.write("[supervisor] %s\n" % message)
    sys.stderr.flush()


def close_on_exec(descriptor):
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
    fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def text(value):
    """The native ``str`` of what JSON gave (bytes on Python 2, where the system calls want them)."""
    return value if isinstance(value, str) else value.encode("utf-8")


def oom_kills():
    """How often the memory controller has killed in this container.

    That is in cgroup v2's ``memory.events`` or v1's ``memory.oom_control``.
    """
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as counters:
                for line in counters:
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        except (IOError, OSError):
            continue
    return 0


def modified(path):
    try:
        return os.stat(text(path)).st_mtime
    except OSError:
        return None


class Lines(object):
    """A socket that speaks JSON lines without ever blocking the loop."""

    def __init__(self, sock):
        self.sock = sock
        self.incoming = b""
        self.outgoing = b""
        sock.setblocking(False)
        close_on_exec(sock.fileno())

    def fileno(self):
        return self.sock.fileno()

    def receive(self):
        """The messages that have arrived whole, or None when the other side has gone."""
        try:
            data = self.sock.recv(65536)
        except (IOError, OSError) as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return []
            return None
        if not data:
            return None
        lines = (self.incoming + data).split(b"\n")
        self.incoming = lines.pop()
        messages = [json.loads(line.decode("utf-8")) for line in lines]
        if not all(isinstance(message, dict) for message in messages):
            raise ValueError("a message is an object")
        return messages

    def send(self, message):
        self.outgoing += json.dumps(message).encode("utf-8") + b"\n"
        self.flush()

    def flush(self):
        while self.outgoing:
            try:
                sent = self.sock.send(self.outgoing)
            except (IOError, OSError) as error:
                if error.errno not in (errno.EAGAIN, errno.EINTR):
                    self.outgoing = b""  # the reader has gone: receive() says so next
                return
            self.outgoing = self.outgoing[sent:]

    def close(self):
        self.sock.close()


class Interpreter(object):
    """A Python process that is a spare, and later a kernel; leader of its own session and process group."""

    def __init__(self, environ, preload):
        self.environ = environ
        self.kernel = None
        self.launch = None
        self.warm_after = 0
        self.stamp = None
        self.started = time.time()
        self.oom_kills = oom_kills()
        self.reaped = False
        ours, theirs = socket.socketpair()
        close_on_exec(theirs.fileno())  # its copy as standard input stays
        self.channel = Lines(ours)
        command = [sys.executable, os.path.join(HERE, "kernel.py"), json.dumps(preload)]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                os.dup2(theirs.fileno(), 0)
                os.umask(0o022)
                for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                if hasattr(signal, "pthread_sigmask"):
                    signal.pthread_sigmask(signal.SIG_SETMASK, [])
                with open("/proc/self/oom_score_adj", "w") as score:
                    score.write(str(OOM_SCORE_ADJ))
                os.execve(sys.executable, command, environ)
            except BaseException as error:
                log("cannot start %s: %s" % (sys.executable, error))
            finally:
                os._exit(127)
        theirs.close()

    def fits(self, environ):
        """Whether this spare is what a new interpreter would be.

        It has the same variables, and nothing was installed or removed since it began.
        """
        if early(environ) != early(self.environ):
            return False
        if self.stamp is None:
            return True  # it began this very moment, and has not looked at any folder yet
        # A folder that changed after the interpreter was started may have been read before the change.
        return all(modified(path) == at and (at is None or at < self.started - CLOCK_TICK) for path, at in self.stamp)

    def kill(self, signum):
        try:
            os.killpg(self.pid, signum)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
            if not self.reaped:
                os.kill(self.pid, signum)  # it has hardly begun, and leads no group yet


def is_late(name):
    return name in LATE or name.startswith(LATE_PREFIX)


def early(environ):
    """The variables that have to be there before the interpreter starts."""
    return {name: value for name, value in environ.items() if not is_late(name)}


class Supervisor(object):
    def __init__(self, config):
        self.config = config
        self.owner = None
        self.owner_name = ""
        self.clients = []
        self.interpreters = {}
        self.spare = None
        self.warm_at = None
        self.left_out = set()
        self.stopping = None
        self.launched = set()
        self.orphan_since = time.time()
        self.environ = kernel_environ()
        self.wake_read, self.wake_write = os.pipe()
        for descriptor in (self.wake_read, self.wake_write):
            close_on_exec(descriptor)
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        signal.set_wakeup_fd(self.wake_write)
        # As the first process of the container it gets no default action for signals, so each that matters has a
        # handler.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop("asked by a signal"))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        close_on_exec(self.listener.fileno())
        self.listener.bind(config["control"])
        os.chmod(config["control"], 0o666 if config.get("shared") else 0o600)
        self.listener.listen(4)

    def run(self):
        self.warm()
        # The line that the other side waits for on the container's output.
        log("ready: Python %s" % sys.version.split()[0])
        while self.interpreters or self.stopping is None:
            channels = [one.channel for one in self.interpreters.values() if one.channel]
            lines = self.clients + channels
            readers = [self.wake_read, self.listener] + lines
            writers = [one for one in lines if one.outgoing]
            try:
                readable, writable, _ = select.select(readers, writers, [], self.patience())
            except (OSError, IOError, select.error) as error:
                if error.args[0] != errno.EINTR:
                    raise
                continue
            for one in writable:
                one.flush()
            for one in readable:
                self.hear(one, channels)
            self.reap()
            self.check_clock()
        for client in self.clients:
            client.flush()
        log("ended")

    def hear(self, one, channels):
        if one is self.wake_read:
            self.drain()
        elif one is self.listener:
            self.clients.append(Lines(self.listener.accept()[0]))
        elif one in channels:
            self.hear_interpreter(one)
        elif one in self.clients:
            self.hear_client(one)

    def drain(self):
        try:
            os.read(self.wake_read, 4096)
        except OSError:
            pass

    def patience(self):
        """Seconds until something has to happen by itself, or None."""
        if self.stopping is not None:
            return max(0.0, self.stopping - time.time())
        ends = [self.warm_at] if self.warm_at is not None else []
        if self.owner is None:
            ends.append(self.orphan_since + self.orphan_timeout())
        return max(0.0, min(ends) - time.time()) if ends else None

    def check_clock(self):
        now = time.time()
        if self.stopping is not None:
            if now >= self.stopping:
                self.kill_all(signal.SIGKILL)
                self.stopping = now + TERM_TIMEOUT
            return
        if self.warm_at is not None and now >= self.warm_at:
            self.warm()
        if self.owner is None and now >= self.orphan_since + self.orphan_timeout():
            self.stop("nobody has been connected for %s s" % self.orphan_timeout())

    def orphan_timeout(self):
        """Seconds without an owner after which the container ends: without a kernel there is nothing to take over."""
        timeout = self.config["orphan_timeout"]
        return timeout if self.kernels() else self.config.get("empty_timeout", timeout)

    def stop(self, why):
        if self.stopping is None:
            log("ending: %s" % why)
            self.stopping = time.time() + TERM_TIMEOUT
            self.kill_all(signal.SIGTERM)

    def kill_all(self, signum):
        for one in self.interpreters.values():
            one.kill(signum)

    def warm(self):
        self.warm_at = None
        if self.spare is None and self.stopping is None:
            self.spare = self.interpreter(self.environ)

    def interpreter(self, environ):
        """A new one, which imports ahead what may be imported ahead."""
        one = Interpreter(environ, [name for name in self.config["preload"] if name not in self.left_out])
        self.interpreters[one.pid] = one
        return one

    def drop_spare(self):
        spare, self.spare = self.spare, None
        spare.kill(signal.SIGKILL)

    # What clients ask.

    def hear_client(self, client):
        try:
            messages = client.receive()
        except ValueError:
            messages = None  # not our protocol
        if messages is None:
            self.clients.remove(client)
            client.close()
            if client is self.owner:
                self.owner = None
                self.orphan_since = time.time()
            return
        for message in messages:
            try:
                reply = self.answer(client, message)
            except Exception as error:
                reply = {"error": "%s: %s" % (type(error).__name__, error)}
            reply["id"] = message.get("id")
            client.send(reply)

    def answer(self, client, message):
        op = message["op"]
        if op == "own":
            return self.own(client, message)
        if client is not self.owner:
            return {"error": "not the owner of this container"}
        if op == "launch":
            return self.launch(message)
        if op == "signal":
            one = self.find(message["kernel"])
            if one is not None:
                one.kill(message["signum"])
            return {"ok": True, "found": one is not None}
        if op == "warm":
            self.warm()
            return {"ok": True}
        if op == "expect":
            return self.expect(message["env"])
        if op == "list":
            return {"ok": True, "kernels": self.kernels()}
        if op == "stop":
            self.stop("asked by the owner")
            return {"ok": True}
        return {"error": "unknown request %s" % op}

    def own(self, client, message):
        if self.owner not in (None, client):
            return {"error": "this container belongs to %s" % self.owner_name}
        self.owner = client
        self.owner_name = text(message["owner"])
        inodes = {}
        for path in self.config["checks"]:
            try:
                inodes[path] = os.stat(text(path)).st_ino
            except OSError as error:
                inodes[path] = error.strerror
        return {
            "ok": True,
            "protocol": PROTOCOL,
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "inodes": inodes,
            "devices": os.listdir("/dev"),
            "kernels": self.kernels(),
        }

    def kernels(self):
        return [{"kernel": one.kernel, "pid": one.pid} for one in self.interpreters.values() if one.kernel]

    def find(self, kernel):
        for one in self.interpreters.values():
            if one.kernel == kernel:
                return one
        return None

    def expect(self, env):
        self.environ = dict(self.environ)
        self.environ.update((text(name), text(value)) for name, value in env.items())
        if self.spare is not None and not self.spare.fits(self.environ):
            self.drop_spare()
        self.warm()
        return {"ok": True}

    def launch(self, message):
        if self.stopping is not None:
            return {"error": "the container is ending"}
        old = self.find(message["kernel"])
        if old is not None:
            old.kernel = None  # its exit is no news: the launch that replaces it is
            old.kill(signal.SIGKILL)
        environ = dict(self.environ)
        environ.update((text(name), text(value)) for name, value in message["env"].items())
        if self.spare is not None and not self.spare.fits(environ):
            log("the spare does not fit this launch: starting a new interpreter")
            self.drop_spare()
        spare, self.spare, self.warm_at = self.spare, None, None
        if spare is None:
            # The next restart asks for the same variables: its spare shall have them.
            self.environ = early(environ)
            spare = self.interpreter(environ)
        spare.kernel = message["kernel"]
        spare.launch = message["launch"]
        spare.warm_after = message["warm"]
        spare.oom_kills = oom_kills()
        again = message["kernel"] in self.launched
        self.launched.add(message["kernel"])
        late = {name: value for name, value in environ.items() if is_late(name)}
        spare.channel.send(
            {
                "connection": message["connection"],
                "cwd": message["cwd"],
                "env": late,
                "arguments": message["arguments"],
                "again": again,
                "shared": bool(self.config.get("shared")),
                "subscribers": message["subscribers"],
            }
        )
        return {"ok": True, "pid": spare.pid}

    # What interpreters say and how they end.

    def hear_interpreter(self, channel):
        one = next(one for one in self.interpreters.values() if one.channel is channel)
        messages = channel.receive()
        if messages is None:
            channel.close()
            one.channel = None
            return
        for message in messages:
            if message["event"] == "begun":
                one.stamp = message["stamp"]
            elif message["event"] == "imported":
                one.stamp.extend(message["stamp"])
                if message["device"]:
                    self.leave_out(one, message["module"], message["device"])
            elif message["event"] == "ready":
                # Only after this: a spare that warms up beside a starting kernel would slow it down.
                self.warm_at = time.time() + one.warm_after
                self.push({"event": "ready", "kernel": one.kernel, "launch": one.launch})

    def leave_out(self, one, module, device):
        """Have a module imported by kernels only: what waits holds no GPU, which other programs may want."""
        log("%s is not preloaded any more: it opens %s" % (module, device))
        self.left_out.add(module)
        if one is self.spare:
            self.drop_spare()
            self.warm()

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except OSError as error:
                if error.errno == errno.ECHILD:
                    return
                raise
            if pid == 0:
                return
            one = self.interpreters.pop(pid, None)
            if one is None:
                continue  # an orphan of some kernel that became our child
            one.reaped = True
            one.kill(signal.SIGKILL)  # what the kernel left in its process group
            if one.channel:
                one.channel.close()
            if one is self.spare:
                self.spare = None
                if self.stopping is None:
                    log("the spare ended with status %d; the next launch starts a new interpreter" % status)
            if one.kernel:
                killed = os.WIFSIGNALED(status)
                # The other side reads the container's log up to here: all that the kernel printed comes before.
                log("launch %d ended" % one.launch)
                self.push(
                    {
                        "event": "exit",
                        "kernel": one.kernel,
                        "launch": one.launch,
                        "code": None if killed else os.WEXITSTATUS(status),
                        "signal": os.WTERMSIG(status) if killed else None,
                        "oom": killed and oom_kills() > one.oom_kills,
                    }
                )
                self.warm()

    def push(self, event):
        if self.owner is not None:
            self.owner.send(event)


def kernel_environ():
    """The variables of a kernel: those of the container, with the person's own scripts on PATH."""
    environ = dict(os.environ)
    if getattr(sys, "real_prefix", None) or getattr(sys, "base_prefix", sys.prefix) != sys.prefix:
        environ.pop("PIP_USER", None)  # in a virtual environment pip refuses it
    base = environ.get("PYTHONUSERBASE")
    if base:
        environ["PATH"] = os.path.join(base, "bin") + os.pathsep + environ.get("PATH", os.defpath)
    return environ


def has_ipykernel():
    """Whether this interpreter finds ipykernel without the person's own packages, which it does not look at."""
    if any(os.path.exists(os.path.join(folder, "ipykernel", "__init__.py")) for folder in sys.path):
        return True  # without the modules that find one anywhere, which take their time
    try:
        from importlib.util import find_spec
    except ImportError:
        from pkgutil import find_loader as find_spec
    return find_spec("ipykernel") is not None


if __name__ == "__main__":
    if sys.argv[2:] and not has_ipykernel():
        os.execvp("sh", ["sh", os.path.join(HERE, "start.sh")] + sys.argv[1:])
    config = json.loads(sys.argv[1])
    if not config.get("keep_nofile"):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES if limit < 0 else min(OPEN_FILES, limit), limit))
    Supervisor(config).run()
