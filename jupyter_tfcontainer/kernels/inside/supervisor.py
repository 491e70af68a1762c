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
    ``python``, ``executable``, ``inodes``, ``devices`` (the names in ``/dev``), ``kernels`` (``kernel``, ``pid``,
    ``launch``, ``ready``) and ``token``
``descriptors``
    with that ``token``, on a further connection: it carries nothing else from then on, but one byte with each
    descriptor that is passed
``launch``
    with ``kernel``, its id; ``launch``, a number that its events give back; ``connection``; ``cwd``; ``env``;
    ``arguments``; ``subscribers``, how many clients listened to the kernel before it, or null; ``warm``, how many
    seconds after it is ready the next spare is started at the latest; ``record``, how many bytes its recorder may
    fill, where it is to have one. The events ``ready`` and ``exit`` (``code``, ``signal``, ``oom``) follow
``warm``
    starts the next spare now
``expect``
    with ``env``, variables that the next launch will ask for: the spare shall have them
``recorded``
    with ``kernel``, and ``since`` or ``from``: what its recorder has kept. The reply is described in ``recorder.py``
``signal``
    with ``signum``, and ``kernel`` or ``program``
``list``
    the reply has ``kernels``
``ports``
    the reply has ``ports``, at which somebody listens who can be reached from inside
``dial``
    with ``port``: connects to it. The reply has ``connected``, and where that is false ``problem``; where it is true
    the connection has been passed before
``run``
    with ``program``, the name of one of ours; ``number``, which its events give back; ``arguments``, a list; ``cwd``.
    What it says is pushed, with ``program``, its number; and so is its ``exit`` (``code``, ``signal``)
``stop``
    ends kernels and container
"""

import errno
import fcntl
import json
import os
import re
import resource
import select
import signal
import socket
import struct
import sys
import time
from binascii import hexlify

PROTOCOL = 1
HERE = os.path.dirname(os.path.abspath(__file__))
# How long kernels get to end after SIGTERM before SIGKILL, in seconds.
TERM_TIMEOUT = 3.0
# Variables that may differ between the spare and the launch: they are read when asked for, not when the interpreter or
# a library starts.
LATE = ("JPY_SESSION_NAME", "TENSORBOARD_PROXY_URL")
LATE_PREFIX = "KERNEL_"
# File systems stamp with the clock of the last timer tick, which may lie this many seconds back (1/HZ, at most 10 ms).
CLOCK_TICK = 0.02
# Python 2.7 closes every possible descriptor one by one at each subprocess (0.29 us each): a limit of 10^9 means
# minutes. Set here and not by the engine, which may not be allowed to set any.
OPEN_FILES = 65536
# How long a port may take to accept a connection, in seconds, and how many connections may be under way: `select` knows
# no descriptor above 1023.
DIAL_TIMEOUT = 10.0
DIALS = 256
# The longest line that is listened to, in bytes, and how many clients are: the person's own programs can connect as
# well, and must not take memory and descriptors in our name.
LINE_LIMIT = 2**22
CLIENTS = 64
# Programs of ours that run beside kernels.
PROGRAMS = ("board.py",)
# The state of a socket that listens in /proc/net/tcp (<net/tcp_states.h>).
TCP_LISTEN = "0A"
# socket.SOL_SOCKET messages that carry descriptors (unix(7)).
SCM_RIGHTS = 1
# The kernel is a likelier victim of the out-of-memory killer than the supervisor, which has to tell the tale. A spare,
# in which nothing is lost, is likelier still, by a tenth of the memory that there is: Linux may end another process
# before the memory of the first is free.
OOM_SCORE_ADJ, SPARE_OOM_SCORE_ADJ = 500, 600


# What JSON's strings are.
STRING = type(json.loads('""'))


def log(message):
    sys.stderr.write("[supervisor] %s\n" % message)
    sys.stderr.flush()


def clock():
    """Seconds on a clock that nobody sets, the only such that Python 2.7 has; it ticks every 10 ms (times(2))."""
    return os.times()[4]


def close_on_exec(descriptor):
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
    fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def text(value):
    """The native ``str`` of what JSON gave (bytes on Python 2, where the system calls want them)."""
    return value if isinstance(value, str) else value.encode("utf-8")


def check(message, **kinds):
    """See that the fields of a message are of these types, before anything is done for it."""
    for name, kind in kinds.items():
        if not isinstance(message[name], kind):
            raise TypeError("%s is %r" % (name, message[name]))


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


def address(packed):
    """An address as /proc/net/tcp writes it: 32 bits at a time, in this machine's order of bytes."""
    return "".join("%08X" % one for one in struct.unpack("=%dI" % (len(packed) // 4), packed))


# Where somebody listens whom a connection to 127.0.0.1 or ::1 reaches.
REACHED = {
    address(socket.inet_pton(family, name))
    for family, name in (
        (socket.AF_INET, "0.0.0.0"),  # noqa: S104
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET6, "::"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::ffff:127.0.0.1"),
        (socket.AF_INET6, "::ffff:0.0.0.0"),
    )
}


def listening():
    """The ports at which somebody in this container listens, each with the inode number of a socket."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as table:
                rows = table.readlines()[1:]
        except (IOError, OSError):
            continue  # there is no such protocol here
        for row in rows:
            fields = row.split()
            host, _, port = fields[1].partition(":")
            if fields[3] == TCP_LISTEN and host in REACHED:
                found.append((int(port, 16), fields[9]))
    return found


def sockets(pid):
    """The inode numbers of the sockets that a process has."""
    found = set()
    folder = "/proc/%d/fd" % pid
    try:
        names = os.listdir(folder)
    except OSError:
        return found  # it has ended
    for name in names:
        try:
            match = re.match(r"socket:\[(\d+)\]$", os.readlink(os.path.join(folder, name)))
        except OSError:
            continue  # closed meanwhile
        if match:
            found.add(match.group(1))
    return found


def send_descriptor(sock, descriptor):
    """Pass a descriptor on, with one byte."""
    if hasattr(sock, "sendmsg"):
        sock.sendmsg([b"."], [(socket.SOL_SOCKET, SCM_RIGHTS, struct.pack("i", descriptor))])
    else:
        from _multiprocessing import sendfd  # Python 2.7 has it for this

        sendfd(sock.fileno(), descriptor)


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
        if len(self.incoming) > LINE_LIMIT:
            raise ValueError("a line has an end")
        try:
            messages = [json.loads(line.decode("utf-8")) for line in lines]
        except RuntimeError:  # too deep
            raise ValueError("a message has a bottom")
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


class Child(object):
    """A Python process with a program of ours; leader of its own session and process group.

    Its standard input is a socket to us.
    """

    oom_score_adj = OOM_SCORE_ADJ

    def __init__(self, environ, program, arguments, cwd=None):
        self.reaped = False
        ours, theirs = socket.socketpair()
        close_on_exec(theirs.fileno())  # its copy as standard input stays
        self.channel = Lines(ours)
        command = [sys.executable, os.path.join(HERE, program)] + arguments
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
                    score.write(str(self.oom_score_adj))
                if cwd is not None:
                    os.chdir(cwd)
                os.execve(sys.executable, command, environ)
            except BaseException as error:
                log("cannot start %s: %s" % (program, error))
            finally:
                os._exit(127)
        theirs.close()

    def said(self):
        """The messages that have come; None at the end, and where what comes is not our protocol."""
        try:
            messages = self.channel.receive()
        except ValueError:
            messages = None
        if messages is None:
            self.channel.close()
            self.channel = None
        return messages

    def kill(self, signum):
        try:
            os.killpg(self.pid, signum)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
            if not self.reaped:
                os.kill(self.pid, signum)  # it has hardly begun, and leads no group yet


class Program(Child):
    """Something that runs beside the kernels."""

    def __init__(self, environ, message):
        name = message["program"]
        if name not in PROGRAMS:
            raise ValueError("no program %s" % name)
        check(message, number=int, arguments=list)
        arguments = [text(one) for one in message["arguments"]]
        Child.__init__(self, environ, name, arguments, text(message["cwd"]))
        self.number = message["number"]


class Recorder(Child):
    """What keeps the last messages of a kernel."""

    def __init__(self, environ, connection, memory):
        address = "%(transport)s://%(ip)s-%(iopub_port)d" % connection
        # What it lets go of shall go back to the machine: glibc would keep up to 32 MB for the next message
        # (mallopt(3)).
        environ = dict(environ, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536", MALLOC_ARENA_MAX="1")
        Child.__init__(self, environ, "recorder.py", [text(address), str(memory)])
        # Who waits for which answer.
        self.asked = {}
        self.questions = 0

    def ask(self, client, message):
        self.questions += 1
        self.asked[self.questions] = (client, message.get("id"))
        self.channel.send({"id": self.questions, "since": message.get("since"), "from": message.get("from")})


class Interpreter(Child):
    """A Python process that is a spare, and later a kernel."""

    oom_score_adj = SPARE_OOM_SCORE_ADJ

    def __init__(self, environ, preload):
        self.environ = environ
        self.kernel = None
        self.launch = None
        self.stamp = None
        self.warm_after = 0
        self.ready = False
        # What its recorder is to be started with, and that.
        self.record = None
        self.recorder = None
        # Its own sockets: those that it has before anything of the person's runs.
        self.own = set()
        self.started = time.time()
        self.oom_kills = oom_kills()
        Child.__init__(self, environ, "kernel.py", [json.dumps(preload)])

    def fits(self, environ):
        """Whether this spare is what a new interpreter would be.

        It has the same variables, and nothing was installed or removed since it began.
        """
        if self.channel is None or early(environ) != early(self.environ):
            return False
        if self.stamp is None:
            return True  # it began this very moment, and has not looked at any folder yet
        # A folder that changed after the interpreter was started may have been read before the change.
        return all(modified(path) == at and (at is None or at < self.started - CLOCK_TICK) for path, at in self.stamp)


class Dial(object):
    """A connection to a port in this container that is being made for a client."""

    def __init__(self, client, message):
        self.client = client
        self.id = message.get("id")
        self.port = message["port"]
        self.deadline = clock() + DIAL_TIMEOUT
        self.addresses = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
        self.sock = None
        self.problem = ""

    def fileno(self):
        return self.sock.fileno()

    def advance(self):
        """Whether it is still being made: at the next address, where one has failed."""
        while self.addresses:
            family, host = self.addresses.pop(0)
            try:
                self.sock = socket.socket(family, socket.SOCK_STREAM)
            except (IOError, OSError):
                continue  # there is no IPv6 here
            close_on_exec(self.sock.fileno())
            self.sock.setblocking(False)
            code = self.sock.connect_ex((host, self.port))
            if code in (0, errno.EINPROGRESS):
                return True
            self.fail(os.strerror(code))
        return False

    def failed(self):
        """Whether the connection, of which there is news, could not be made."""
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.fail(os.strerror(code))
        return bool(code)

    def fail(self, problem):
        # That nobody listens at the last address says nothing of the first.
        self.problem = self.problem or problem
        self.close()

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None


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
        self.programs = {}
        self.recorders = {}
        self.dials = []
        # The connection that carries descriptors, and what its client shows to be the owner's.
        self.descriptors = None
        self.token = hexlify(os.urandom(16)).decode("ascii")
        self.requests = {
            "launch": self.launch,
            "warm": self.warm_now,
            "expect": self.expect,
            "recorded": self.recorded,
            "signal": self.send_signal,
            "list": lambda _: {"ok": True, "kernels": self.kernels()},
            "ports": lambda _: {"ok": True, "ports": self.ports()},
            "dial": self.dial,
            "run": self.run_program,
            "stop": self.stop_asked,
        }
        self.spare = None
        self.warm_at = None
        self.left_out = set()
        self.stopping = None
        self.launched = set()
        self.orphan_since = clock()
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
        while self.interpreters or self.programs or self.stopping is None:
            channels = [one.channel for one in self.children() if one.channel]
            # Who does not listen is not listened to: what waits for them has an end.
            clients = [one for one in self.clients if not one.outgoing]
            # Children first: what a spare has said of its imports counts for the launch that comes beside it.
            readers = [self.wake_read, self.listener] + channels + clients
            writers = [one for one in self.clients + channels if one.outgoing] + self.dials
            try:
                readable, writable, _ = select.select(readers, writers, [], self.patience())
            except (OSError, IOError, select.error) as error:
                if error.args[0] != errno.EINTR:
                    raise
                continue
            for one in writable:
                if isinstance(one, Dial):
                    self.hear_dial(one)
                else:
                    one.flush()
            for one in readable:
                self.hear(one, channels)
            self.reap()
            self.check_clock()
        for client in self.clients:
            client.flush()
        log("ended")

    def children(self):
        return list(self.interpreters.values()) + list(self.programs.values()) + list(self.recorders.values())

    def hear(self, one, channels):
        if one is self.wake_read:
            self.drain()
        elif one is self.listener:
            self.let_in()
        elif one in channels:
            self.hear_child(one)
        elif one in self.clients:
            self.hear_client(one)

    def let_in(self):
        try:
            sock = self.listener.accept()[0]
        except (IOError, OSError) as error:
            log("nobody was let in: %s" % error)
            return
        if len(self.clients) < CLIENTS:
            self.clients.append(Lines(sock))
        else:
            sock.close()

    def drain(self):
        try:
            os.read(self.wake_read, 4096)
        except OSError:
            pass

    def patience(self):
        """Seconds until something has to happen by itself, or None."""
        moments = [one.deadline for one in self.dials]
        if self.stopping is not None:
            moments.append(self.stopping)
        else:
            if self.warm_at is not None:
                moments.append(self.warm_at)
            if self.owner is None:
                moments.append(self.orphan_since + self.orphan_timeout())
        return max(0.0, min(moments) - clock()) if moments else None

    def check_clock(self):
        now = clock()
        for one in [one for one in self.dials if now >= one.deadline]:
            one.fail(os.strerror(errno.ETIMEDOUT))
            self.end_dial(one)
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
            self.stopping = clock() + TERM_TIMEOUT
            self.kill_all(signal.SIGTERM)

    def kill_all(self, signum):
        for one in self.children():
            one.kill(signum)

    def warm(self):
        self.warm_at = None
        if self.stopping is not None:
            return
        self.start_recorders()
        if self.spare is None:
            self.spare = self.interpreter(self.environ)

    def start_recorders(self):
        """Have those kernels recorded that are to be: not sooner than the spare is warmed, to be in no start's way."""
        for one in self.interpreters.values():
            if one.ready and one.record and not one.recorder:
                one.recorder = Recorder(self.environ, *one.record)
                self.recorders[one.recorder.pid] = one.recorder

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
            if client is self.descriptors:
                self.descriptors = None
            if client is self.owner:
                self.owner = None
                self.orphan_since = clock()
                for one in self.dials:
                    one.close()
                self.dials = []
            return
        for message in messages:
            try:
                reply = self.answer(client, message)
                if reply is not None:
                    client.send(dict(reply, id=message.get("id")))
            except Exception as error:
                # Not str(), which Python 2 may have none of.
                client.send({"id": message.get("id"), "error": repr(error)})

    def answer(self, client, message):
        """The reply to a request, or None where it comes later."""
        op = message["op"]
        if op == "own":
            return self.own(client, message)
        if op == "descriptors":
            if self.owner is None or message["token"] != self.token:
                return {"error": "not the owner of this container"}
            self.descriptors = client
            return {"ok": True}
        if client is not self.owner:
            return {"error": "not the owner of this container"}
        if op not in self.requests:
            return {"error": "unknown request %s" % op}
        return self.requests[op](message)

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
            "token": self.token,
        }

    def kernels(self):
        return [
            {"kernel": one.kernel, "pid": one.pid, "launch": one.launch, "ready": one.ready}
            for one in self.interpreters.values()
            if one.kernel
        ]

    def find(self, kernel):
        for one in self.interpreters.values():
            if one.kernel == kernel:
                return one
        return None

    def warm_now(self, _):
        self.warm()
        return {"ok": True}

    def expect(self, message):
        self.environ = dict(self.environ)
        self.environ.update((text(name), text(value)) for name, value in message["env"].items())
        if self.spare is not None and not self.spare.fits(self.environ):
            self.drop_spare()
        self.warm()
        return {"ok": True}

    def send_signal(self, message):
        if "program" in message:
            one = next((each for each in self.programs.values() if each.number == message["program"]), None)
        else:
            one = self.find(message["kernel"])
        if one is not None:
            one.kill(message["signum"])
        return {"ok": True, "found": one is not None}

    def stop_asked(self, _):
        self.stop("asked by the owner")
        return {"ok": True}

    def launch(self, message):
        if self.stopping is not None:
            return {"error": "the container is ending"}
        check(
            message, kernel=STRING, launch=int, connection=dict, cwd=STRING, env=dict, arguments=list, warm=(int, float)
        )
        environ = dict(self.environ)
        environ.update((text(name), text(value)) for name, value in message["env"].items())
        old = self.find(message["kernel"])
        if old is not None:
            old.kernel = None  # its exit is no news: the launch that replaces it is
            old.kill(signal.SIGKILL)
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
        if message.get("record"):
            spare.record = (message["connection"], message["record"])
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
                "oom_score_adj": OOM_SCORE_ADJ,
            }
        )
        return {"ok": True, "pid": spare.pid}

    def recorded(self, message):
        one = self.find(message["kernel"])
        if one is None or one.recorder is None or one.recorder.channel is None:
            return {"error": "no recorder is beside this kernel"}
        one.recorder.ask(self.owner, message)
        return None

    def ports(self):
        own = sockets(self.spare.pid) if self.spare is not None else set()
        for one in self.interpreters.values():
            own |= one.own
        return sorted({port for port, inode in listening() if inode not in own})

    def dial(self, message):
        if self.descriptors is None:
            return {"error": "there is no connection for descriptors"}
        if len(self.dials) >= DIALS:
            return {"error": "%d connections to ports are being made already" % DIALS}
        one = Dial(self.owner, message)
        if one.advance():
            self.dials.append(one)
            return None
        return {"ok": True, "connected": False, "problem": one.problem}

    def hear_dial(self, one):
        if one in self.dials and not (one.failed() and one.advance()):
            self.end_dial(one)

    def end_dial(self, one):
        self.dials.remove(one)
        if one.sock is not None:
            try:
                # Before the reply: whoever reads that finds it.
                send_descriptor(self.descriptors.sock, one.sock.fileno())
            except Exception as error:
                one.fail("%s: %s" % (type(error).__name__, error))
        connected = one.sock is not None
        one.close()
        one.client.send({"id": one.id, "ok": True, "connected": connected, "problem": one.problem})

    def run_program(self, message):
        if self.stopping is not None:
            return {"error": "the container is ending"}
        one = Program(self.environ, message)
        self.programs[one.pid] = one
        return {"ok": True, "pid": one.pid}

    # What interpreters and programs say and how they end.

    def hear_child(self, channel):
        one = next(one for one in self.children() if one.channel is channel)
        if isinstance(one, Program):
            self.hear_program(one)
            return
        if isinstance(one, Recorder):
            self.hear_recorder(one)
            return
        try:
            messages = channel.receive()
            for message in messages or []:
                self.hear_interpreter(one, message)
        except Exception as error:
            log("an interpreter says what is not understood: %r" % error)
            messages = None
            if not one.ready:
                one.kill(signal.SIGKILL)  # it will never be
        if messages is None:
            channel.close()
            one.channel = None

    def hear_interpreter(self, one, message):
        if message["event"] == "begun":
            one.stamp = message["stamp"]
        elif message["event"] == "imported":
            one.stamp.extend(message["stamp"])
            if message["device"]:
                self.leave_out(one, message["module"], message["device"])
        elif message["event"] == "ready":
            # Only after this: a spare that warms up beside a starting kernel would slow it down.
            self.warm_at = clock() + one.warm_after
            one.ready = True
            one.own = sockets(one.pid)
            self.push({"event": "ready", "kernel": one.kernel, "launch": one.launch})

    def leave_out(self, one, module, device):
        """Have a module imported by kernels only: what waits holds no GPU, which other programs may want."""
        log("%s is not preloaded any more: it opens %s" % (module, device))
        self.left_out.add(module)
        if one is self.spare:
            self.drop_spare()
            self.warm()

    def hear_program(self, one):
        for message in one.said() or []:
            self.push(dict(message, program=one.number))

    def hear_recorder(self, one):
        messages = one.said()
        if messages is None:
            messages = [{"id": number, "error": "the recorder has ended"} for number in one.asked]
        for message in messages:
            client, number = one.asked.pop(message.get("id"), (None, None))
            if client is not None and client is self.owner:
                client.send(dict(message, id=number))

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
            one = self.interpreters.pop(pid, None) or self.programs.pop(pid, None) or self.recorders.pop(pid, None)
            if one is None:
                continue  # an orphan of some kernel that became our child
            one.reaped = True
            one.kill(signal.SIGKILL)  # what it left in its process group
            if isinstance(one, Program) and one.channel:
                self.hear_program(one)  # its last words
            if isinstance(one, Recorder):
                continue  # that its channel has ended says it all
            if one.channel:
                one.channel.close()
            killed = os.WIFSIGNALED(status)
            code, signum = None if killed else os.WEXITSTATUS(status), os.WTERMSIG(status) if killed else None
            if isinstance(one, Program):
                log("program %d ended" % one.number)
                self.push({"event": "exit", "program": one.number, "code": code, "signal": signum})
            else:
                self.interpreter_ended(one, status, code, signum)

    def interpreter_ended(self, one, status, code, signum):
        if one is self.spare:
            self.spare = None
            if self.stopping is None:
                log("the spare ended with status %d; the next launch starts a new interpreter" % status)
        if one.recorder and not one.recorder.reaped:
            one.recorder.kill(signal.SIGKILL)
        if one.kernel:
            # The other side reads the container's log up to here: all that the kernel printed comes before.
            log("launch %d ended" % one.launch)
            self.push(
                {
                    "event": "exit",
                    "kernel": one.kernel,
                    "launch": one.launch,
                    "code": code,
                    "signal": signum,
                    "oom": signum is not None and oom_kills() > one.oom_kills,
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
