"""Another revision of the user's repository, checked out in a folder of its own for as long as it is measured."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from archcheck.errors import UsageError

# The variables that `git rev-parse --local-env-vars` lists, except for configuration: git sets these for its hooks, and
# each would lead the commands below to another repository or index.
_REPOSITORY_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of a repository, with the folder that it is checked out in.

    name: the revision as the user gave it. commit: the full hash.
    working_tree: the user's own. checkout: that of the revision. Both are top-level folders, resolved.
    """

    name: str
    commit: str
    working_tree: Path
    checkout: Path

    @property
    def label(self) -> str:
        """The revision in messages: `main (a1b2c3d)`, or the short hash alone where the name is a hash."""
        short = self.commit[:7]
        return short if self.commit.startswith(self.name.lower()) else f"{self.name} ({short})"

    def path_in_checkout(self, path: Path) -> Path | None:
        """Return the same path in the checkout, whether it exists or not; None for one outside the working tree."""
        relative = _relative(path, self.working_tree)
        return None if relative is None else self.checkout / relative

    def sys_path_in_checkout(self, entries: Sequence[str]) -> list[str]:
        """Return the `sys.path` of a process that imports from the checkout what this one does from the working tree.

        Folders that the revision doesn't have are left out, except for those of the Python environment.
        """
        found = (self._entry_in_checkout(entry or os.getcwd()) for entry in entries)
        return list(dict.fromkeys(entry for entry in found if entry is not None))

    def _entry_in_checkout(self, entry: str) -> str | None:
        relative = _relative(Path(entry), self.working_tree)
        if relative is None:
            return entry
        there = str(self.checkout / relative)
        if os.path.exists(there):
            return there
        return entry if self._is_environment(relative) else None

    def _is_environment(self, relative: Path) -> bool:
        if {"site-packages", "dist-packages"} & set(relative.parts):
            return True
        # A prefix around the repository, such as /usr around /usr/src/app, doesn't make it part of the environment.
        prefixes = (_relative(Path(prefix), self.working_tree) for prefix in (sys.prefix, sys.base_prefix))
        return any(prefix and prefix.parts and relative.is_relative_to(prefix) for prefix in prefixes)


@contextmanager
def checked_out(name: str, start: Path) -> Iterator[Revision]:
    """Check out revision `name` of the repository around `start` in a folder of its own, for the block.

    Index, branches and stash of the user stay as they are, and no hook runs.

    Raises:
        UsageError: there is no git, no repository with a working tree, or no such revision, or git can't check it out.
    """
    here = _toplevel(start)
    commit = _commit(name, here)
    _remove_orphans(here)
    revision = Revision(name, commit, here, _new_folder())
    try:
        _check_out(revision)
        yield revision
    except BaseException:
        with suppress(KeyboardInterrupt), _ctrl_c_deferred():  # the caller gets the exception that ended the block
            _remove(here, revision.checkout)
        raise
    with _ctrl_c_deferred():
        _remove(here, revision.checkout)


def _toplevel(start: Path) -> Path:
    asked = _git(start, "rev-parse", "--show-toplevel")
    if asked.returncode == 0:
        return Path(asked.stdout.removesuffix("\n")).resolve()
    if "not a git repository" in asked.stderr:
        raise UsageError(f"{start}: not in a git repository, so there is no other revision; run it inside one")
    if "must be run in a work tree" in asked.stderr:
        raise UsageError(f"{start}: a bare git repository, with no working tree to compare; run it in a clone")
    raise UsageError(f"{start}: git refuses: {' '.join(_lines(asked.stderr))}")


def _commit(name: str, here: Path) -> str:
    commit = _find_commit(name, here)
    if commit is not None:
        return commit
    unknown = f"{name}: no such revision in {here}"
    if _find_commit(f"refs/remotes/origin/{name}", here):
        raise UsageError(f"{unknown}; there is origin/{name}")
    if _git(here, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        way = "`fetch-depth: 0` of actions/checkout or `git fetch --unshallow` gets the history"
        raise UsageError(f"{unknown}, a shallow clone; {way}")
    raise UsageError(f"{unknown}; give a branch, a tag or a commit, such as main or HEAD~1")


def _find_commit(name: str, here: Path) -> str | None:
    asked = _git(here, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    found = asked.stdout.strip()
    return found if re.fullmatch("[0-9a-f]{40,}", found) else None  # `^main` gives a hash as well, after a ^


def _new_folder() -> Path:
    try:
        # Resolved, as git lists it.
        return Path(
            tempfile.mkdtemp(prefix=_folder_prefix(str(os.getpid())), dir=os.path.realpath(tempfile.gettempdir()))
        )
    except OSError as error:
        raise UsageError(
            f"no folder to check a revision out in: {error.strerror}; TMPDIR names another place"
        ) from None


def _folder_prefix(pid: str) -> str:
    """Return the prefix of a session's folders, with the machine's name: machines share repositories, but not pids."""
    machine = re.sub("[^A-Za-z0-9]", "", platform.node())
    return f"archcheck-against-{pid}-{machine}-"


def _check_out(revision: Revision) -> None:
    there = str(revision.checkout)
    done = _git(revision.working_tree, "worktree", "add", "--detach", "--quiet", there, revision.commit)
    if done.returncode:
        said = (_lines(done.stderr) or [f"exit status {done.returncode}"])[-1]
        place = f"{revision.checkout.parent} (TMPDIR names another place)"
        raise UsageError(f"{revision.name}: git can't check it out below {place}: {said}")


def _remove(here: Path, there: Path) -> None:
    """Remove a worktree, its folder and git's entry, as far as possible; never raises.

    `git worktree prune` would also forget worktrees of the user on a disk that isn't mounted.
    """
    remove = ("worktree", "remove", "--force", "--force", str(there))  # twice: also where `add` was cut short
    with suppress(UsageError):
        if _git(here, *remove).returncode:
            shutil.rmtree(there, ignore_errors=True)
            _git(here, *remove)  # git keeps the entry of a damaged worktree until the folder is gone
    shutil.rmtree(there, ignore_errors=True)


def _remove_orphans(here: Path) -> None:
    """Remove the worktrees that killed sessions have left."""
    listed = _git(here, "worktree", "list", "--porcelain").stdout.splitlines()
    folders = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    for folder in folders[1:]:  # the first is the repository's own
        if folder != here and _is_orphan(folder.name):
            _remove(here, folder)


def _is_orphan(folder_name: str) -> bool:
    match = re.fullmatch(_folder_prefix("([0-9]+)") + "[a-z0-9_]+", folder_name)
    return match is not None and not _is_alive(int(match[1]))


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # a process of another user
    return True


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The file system monitor would outlive the command that started it, and hold the pipe open.
    settings = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
    command = ["git", "-C", str(folder), *settings, *arguments]
    process: subprocess.Popen[bytes] | None = None
    try:
        with _ctrl_c_deferred():  # one in the middle of it would leave git running with nothing to end it
            process = _start(command)
        output, errors = process.communicate()
    except BaseException:
        if process is not None:
            _end(process)
        raise
    return subprocess.CompletedProcess(command, process.returncode, os.fsdecode(output), os.fsdecode(errors))


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    env = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            start_new_session=True,  # out of the terminal's reach: a Ctrl-C goes to this process alone
        )
    except FileNotFoundError:
        raise UsageError("git isn't on the PATH, and checks the other revision out; install it") from None
    except OSError as error:
        raise UsageError(f"git can't be run, and checks the other revision out: {error.strerror}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and the processes that it started, and wait until it has cleaned up."""
    with _ctrl_c_deferred(), process, suppress(OSError):
        if sys.platform == "win32":
            process.terminate()
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def _ctrl_c_deferred() -> Iterator[None]:
    """Defer a Ctrl-C in the block to its end. Outside the main thread, where none arrives, nothing is changed."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    arrived: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if arrived:
            before(arrived[0], None)


def _lines(stderr: str) -> list[str]:
    """Return the lines of git's messages, without prefixes and blank lines."""
    stripped = (re.sub("^(fatal|error): ", "", line.strip()) for line in stderr.splitlines())
    return [line for line in stripped if line]


def _relative(path: Path, folder: Path) -> Path | None:
    """Return `path` relative to `folder`, which is resolved; None for one outside.

    The path is tried unresolved first: a link in the folder that leads out of it is still inside.
    """
    for form in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
        if form.is_relative_to(folder):
            return form.relative_to(folder)
    return None
