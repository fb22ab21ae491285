"""A process that has imported what others need, and forks them: each starts within milliseconds, as if it were new.

Only on systems with file descriptors of processes, which Linux has. The server does nothing but import and fork, so
that no thread, lock or device is in use when it does.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from archcheck.system.processes import environment_of

MAX_REQUEST_BYTES: Final = 1 << 20
START_SEC: Final = 300.0  # to import everything, and fork
_SERVER_CODE: Final = "import sys; from archcheck.system.fork_server import serve; serve(*sys.argv[1:])"
_TASKS: Final = Path("/proc/self/task")  # a folder for each thread of this process


class NotForked(Exception):  # noqa: N818 - a finding about the system
    """A server can't be had, or has ended: start a process in the usual way."""


class ForkServer:
    """A server process with some modules imported; it ends with this process.

    Args:
        modules: to import before the first fork.
        variables: of the environment that the server starts with, besides this process's own.
    """

    def __init__(self, modules: Sequence[str], variables: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _SERVER_CODE, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment_of(variables), pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        atexit.register(self.close)

    def fork(self, function: str, errors: IO[Any], cwd: Path | None, variables: Mapping[str, str]) -> ForkedProcess:
        """Start a process that calls a function, `module:name`, in a folder and with an environment of its own.

        Its standard error is the file `errors`. Waits until the server has imported everything.

        Raises:
            NotForked: the server has ended, or can't take the request.
        """
        request = {"function": function, "cwd": str(cwd or Path.cwd()), "environment": environment_of(variables)}
        stdin, our_stdin = os.pipe()
        our_stdout, stdout = os.pipe()
        link, their_link = socket.socketpair()
        theirs = (stdin, stdout, errors.fileno(), their_link.fileno())
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], theirs)
        except OSError as error:
            os.close(our_stdin)
            os.close(our_stdout)
            link.close()
            raise NotForked from error
        finally:
            os.close(stdin)
            os.close(stdout)
            their_link.close()
        return ForkedProcess(our_stdin, our_stdout, link)

    def close(self) -> None:
        """End the server, whatever it is importing; processes that it has forked go on."""
        atexit.unregister(self.close)
        self._control.close()
        self._process.kill()
        self._process.wait()


class ForkedProcess:
    """A process of a server, with what is needed of `subprocess.Popen`; it ends with the process that asked for it.

    Attributes:
        stdin, stdout: the ends of its pipes here.
    """

    def __init__(self, stdin: int, stdout: int, link: socket.socket) -> None:
        self.stdin: IO[str] = os.fdopen(stdin, "w", encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(stdout, encoding="utf-8")
        self._link = link
        self._link.settimeout(START_SEC)
        self._status: int | None = None
        self.pid = self._read_number()
        self._link.settimeout(None)

    def poll(self) -> int | None:
        """Return the status that it has ended with, below 0 for a signal; None while it runs."""
        if self._status is None and select.select([self._link], [], [], 0)[0]:
            self.wait()
        return self._status

    def wait(self) -> int:
        """Wait until it has ended, and return its status; that of a kill where the process that watches was killed."""
        if self._status is None:
            try:
                self._status = self._read_number()
            except NotForked:
                self._status = -signal.SIGKILL
        return self._status

    def end(self) -> None:
        """Kill it and the processes that it started; wait until they are gone."""
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
            while self._link.recv(64):
                pass
        self._link.close()

    def _read_number(self) -> int:
        """Read a line of the process that watches over it."""
        line = b""
        while not line.endswith(b"\n"):
            try:
                received = self._link.recv(1)
            except OSError:
                received = b""
            if not received:
                raise NotForked
            line += received
        return int(line)


# ------------------------------------------------------------------------------------------- in the server


def serve(control_fd: str, *modules: str) -> None:
    """Import modules, and fork a process for every request, until the other end of the socket is closed."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a fork leaves these pages shared
    if len(list(_TASKS.iterdir())) > 1:
        os._exit(1)  # what another thread holds, such as a lock, would be held for ever in a fork
    control = socket.socket(fileno=int(control_fd))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that watch
    while True:
        request, fds, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 4)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            _watch(json.loads(request), *fds)
        for fd in fds:
            os.close(fd)


def _watch(request: Mapping[str, Any], stdin: int, stdout: int, stderr: int, link_fd: int) -> NoReturn:
    """Fork the process that was asked for, tell its id and later its status, and end it when it's let go of.

    It stays until then, so that no other process gets the id.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(link_fd)
        _run(request, stdin, stdout, stderr)
    for fd in (stdin, stdout, stderr):
        os.close(fd)
    link = socket.socket(fileno=link_fd)
    with suppress(OSError):  # whoever asked for it is gone
        link.sendall(f"{pid}\n".encode())
        has_ended = os.pidfd_open(pid)
        if has_ended in select.select([has_ended, link.fileno()], [], [])[0]:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            link.sendall(f"{status}\n".encode())
            link.recv(1)
    for kill in (os.killpg, os.kill):  # a process leads no group yet when it has just started
        with suppress(OSError):
            kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os._exit(0)


def _run(request: Mapping[str, Any], stdin: int, stdout: int, stderr: int) -> NoReturn:
    """Call the function that was asked for, as a new interpreter would."""
    status = 1
    try:
        os.setsid()
        for fd, standard in ((stdin, 0), (stdout, 1), (stderr, 2)):
            os.dup2(fd, standard)
            os.close(fd)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        sys.argv[1:] = []
        module, _, name = request["function"].partition(":")
        getattr(importlib.import_module(module), name)()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
