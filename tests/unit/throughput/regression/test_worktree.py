"""Another revision is checked out beside the user's tree, and nothing of it is left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from archcheck.errors import UsageError
from archcheck.throughput.regression.worktree import Revision, checked_out

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@dataclass
class Repo:
    """A repository of two commits: `width.txt` says 1 in the first, tagged v1, and 2 in the second."""

    path: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.rstrip("\n")

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def state(self) -> list[str]:
        """All that a user could miss something in."""
        asked = ("status --porcelain", "stash list", "worktree list", "branch --all", "tag", "symbolic-ref HEAD")
        return [self.git(*command.split()) for command in asked]


@pytest.fixture(autouse=True)
def _git_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git without the settings of whoever runs the tests, or of a hook they run in."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Background jobs of a shell ignore Ctrl-C, and so would this process in one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary ones."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "repo")


def make_repo(path: Path) -> Repo:
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.write("width.txt", "1")
    repo.write("src/net.py", "WIDTH = 1\n")
    repo.commit("first")
    repo.git("tag", "v1")
    repo.write("width.txt", "2")
    repo.commit("second")
    return repo


def width(revision: Revision) -> str:
    return (revision.checkout / "width.txt").read_text()


def put_git_first(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `git` that does something before it is the real one; `$PPID` is the process under test."""
    folder.mkdir()
    wrapper = folder / "git"
    wrapper.write_text(f'#!/bin/sh\n{script}\nexec {shutil.which("git")} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


# ---- the checkout ----


@pytest.mark.parametrize("name", ["v1", "HEAD~1", "main^", "refs/tags/v1"])
def test_the_revision_is_there_and_the_users_tree_stays(repo: Repo, name: str) -> None:
    with checked_out(name, repo.path) as revision:
        assert width(revision) == "1"
        assert revision.working_tree == repo.path.resolve()
        assert revision.commit == repo.git("rev-parse", "v1")
        assert revision.name == name
        assert (repo.path / "width.txt").read_text() == "2"


def test_nothing_is_left_and_nothing_of_the_users_has_changed(repo: Repo, temporary: Path) -> None:
    repo.write("width.txt", "3")
    repo.git("stash")
    repo.git("branch", "other")
    repo.write("width.txt", "4")
    repo.write("staged.txt", "")
    repo.git("add", "staged.txt")
    repo.write("untracked.txt", "")
    before = repo.state()
    with checked_out("v1", repo.path) as revision:
        (revision.checkout / "output.txt").write_text("")
        (revision.checkout / "width.txt").write_text("5")
        assert width(revision) == "5"
    assert repo.state() == before
    assert list(temporary.iterdir()) == []
    assert not (repo.path / ".git/worktrees").exists()
    assert (repo.path / "width.txt").read_text() == "4"


def test_the_folders_name_tells_whose_it_is(repo: Repo, temporary: Path) -> None:
    with checked_out("v1", repo.path) as revision:
        assert revision.checkout.parent == temporary.resolve()
        assert re.fullmatch(rf"archcheck-against-{os.getpid()}-\w*-\w+", revision.checkout.name)


def test_a_worktree_that_the_block_has_damaged_goes_too(repo: Repo, temporary: Path) -> None:
    before = repo.state()
    with checked_out("v1", repo.path) as revision:
        repo.git("worktree", "lock", str(revision.checkout))  # as git leaves one when it is killed
    with checked_out("v1", repo.path) as revision:
        (revision.checkout / ".git").unlink()
    with checked_out("v1", repo.path) as revision:
        shutil.rmtree(revision.checkout)
    assert repo.state() == before
    assert list(temporary.iterdir()) == []


def test_a_worktree_of_the_users_on_a_disk_that_is_away_is_not_forgotten(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "disk"))
    shutil.rmtree(tmp_path / "disk")
    before = repo.state()
    with checked_out("v1", repo.path):
        pass
    assert repo.state() == before


def test_no_hook_runs(repo: Repo, tmp_path: Path) -> None:
    hook = repo.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    with checked_out("v1", repo.path):
        pass
    assert not (tmp_path / "ran").exists()
    repo.git("checkout", "--quiet", "--detach")
    assert (tmp_path / "ran").exists()


def test_within_a_git_hook_it_is_still_the_repository_asked_for(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repo(tmp_path / "other")
    in_hooks = other.git("rev-parse", "--local-env-vars").split()
    for name in in_hooks:
        if not name.startswith("GIT_CONFIG"):
            monkeypatch.setenv(name, str(other.path / ".git"))
    with checked_out("v1", repo.path) as revision:
        assert width(revision) == "1"
        assert revision.working_tree == repo.path.resolve()


def test_settings_in_the_environment_hold(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COUNT": "1", "KEY_0": "core.autocrlf", "VALUE_0": "true"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    with checked_out("v1", repo.path) as revision:
        assert (revision.checkout / "src/net.py").read_bytes() == b"WIDTH = 1\r\n"


def test_from_a_folder_within_the_repository(repo: Repo) -> None:
    with checked_out("v1", repo.path / "src") as revision:
        assert revision.working_tree == repo.path.resolve()
        assert revision.path_in_checkout(repo.path / "src") == revision.checkout / "src"


def test_from_a_linked_worktree(repo: Repo, tmp_path: Path) -> None:
    linked = Repo(tmp_path / "linked")
    repo.git("worktree", "add", "--quiet", "-b", "feature", str(linked.path))
    linked.write("width.txt", "3")
    linked.commit("third")
    before = linked.state()
    with checked_out("HEAD~1", linked.path) as revision:
        assert revision.working_tree == linked.path.resolve()
        assert width(revision) == "2"
    assert linked.state() == before


def test_paths_with_spaces_and_letters_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "für später"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    repo = make_repo(tmp_path / "mes réseaux 网络")
    with checked_out("v1", repo.path) as revision:
        assert width(revision) == "1"
        assert revision.working_tree == repo.path.resolve()
        assert revision.checkout.parent == temporary.resolve()
    assert list(temporary.iterdir()) == []


def test_a_repository_reached_by_a_link(repo: Repo, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(repo.path)
    with checked_out("v1", link) as revision:
        assert revision.path_in_checkout(link / "src/net.py") == revision.checkout / "src/net.py"
        assert revision.sys_path_in_checkout([str(link / "src")]) == [str(revision.checkout / "src")]


def test_the_revision_checked_out_already_can_be_compared_with(repo: Repo) -> None:
    repo.write("width.txt", "changed and not committed")
    with checked_out("main", repo.path) as revision:
        assert width(revision) == "2"


def test_two_at_once(repo: Repo) -> None:
    with checked_out("v1", repo.path) as old, checked_out("main", repo.path) as new:
        assert (width(old), width(new)) == ("1", "2")


# ---- what can't be ----


@pytest.mark.parametrize("name", ["no-such", "", "--help", "-h", "--all", "^main", "v1..main", "HEAD:width.txt"])
def test_an_unknown_revision(repo: Repo, name: str) -> None:
    message = (
        f"^{re.escape(name)}: no such revision in .*repo; give a branch, a tag or a commit, such as main or HEAD~1$"
    )
    with pytest.raises(UsageError, match=message), checked_out(name, repo.path):
        pass


def test_a_tag_that_is_no_commit(repo: Repo) -> None:
    repo.git("tag", "picture", repo.git("rev-parse", "HEAD:width.txt"))
    with (
        pytest.raises(UsageError, match=r"^picture: no such revision in .*repo; give"),
        checked_out("picture", repo.path),
    ):
        pass


def test_a_shallow_clone_says_where_the_history_is(repo: Repo, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repo.git("clone", "--quiet", "--depth=1", repo.path.as_uri(), str(clone))
    message = (
        r"^v1: no such revision in .*clone, a shallow clone; "
        r"`fetch-depth: 0` of actions/checkout or `git fetch --unshallow` gets the history$"
    )
    with pytest.raises(UsageError, match=message), checked_out("v1", clone):
        pass


def test_a_branch_that_only_the_remote_has(repo: Repo, tmp_path: Path) -> None:
    clone = Repo(tmp_path / "clone")
    repo.git("branch", "feature", "v1")
    repo.git("clone", "--quiet", str(repo.path), str(clone.path))
    message = r"^feature: no such revision in .*clone; there is origin/feature$"
    with pytest.raises(UsageError, match=message), checked_out("feature", clone.path):
        pass
    with checked_out("origin/feature", clone.path) as revision:
        assert width(revision) == "1"


def test_a_repository_without_commits(tmp_path: Path) -> None:
    Repo(tmp_path).git("init", "--quiet")
    with pytest.raises(UsageError, match=r"^HEAD: no such revision in "), checked_out("HEAD", tmp_path):
        pass


def test_outside_of_a_repository(tmp_path: Path) -> None:
    message = f"^{re.escape(str(tmp_path))}: not in a git repository, so there is no other revision; run it inside one$"
    with pytest.raises(UsageError, match=message), checked_out("main", tmp_path):
        pass


def test_a_bare_repository(repo: Repo, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(bare))
    message = r"bare\.git: a bare git repository, with no working tree to compare; run it in a clone$"
    with pytest.raises(UsageError, match=message), checked_out("main", bare):
        pass


def test_a_repository_that_git_does_not_trust(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container with the host's files
    message = r"^.*repo: git refuses: .*dubious ownership.* git config --global --add safe\.directory \S+$"
    with pytest.raises(UsageError, match=message), checked_out("main", repo.path):
        pass


def test_without_git(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"^git isn't on the PATH, and checks the other revision out; install it$"
    with pytest.raises(UsageError, match=message), checked_out("main", repo.path):
        pass


def test_git_can_not_write(repo: Repo, temporary: Path) -> None:
    (repo.path / ".git/worktrees").write_text("")  # root may write to a read-only folder, not to a file's inside
    message = r"^main: git can't check it out below .*temporary \(TMPDIR names another place\): .*\.git/worktrees"
    with pytest.raises(UsageError, match=message), checked_out("main", repo.path):
        pass
    assert list(temporary.iterdir()) == []


def test_a_checkout_that_fails_half_way_leaves_nothing(repo: Repo, temporary: Path) -> None:
    repo.write(".gitattributes", "width.txt filter=away")
    repo.commit("filter")
    repo.git("config", "filter.away.required", "true")
    repo.git("config", "filter.away.clean", "cat")
    repo.git("config", "filter.away.smudge", "false")
    before = repo.state()
    message = r"^main: git can't check it out below .*: width\.txt: smudge filter away failed$"
    with pytest.raises(UsageError, match=message), checked_out("main", repo.path):
        pass
    assert repo.state() == before
    assert list(temporary.iterdir()) == []


def test_no_place_for_temporary_folders(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    message = r"^no folder to check a revision out in: No such file or directory; TMPDIR names another place$"
    with pytest.raises(UsageError, match=message), checked_out("main", repo.path):
        pass


# ---- the end ----

# It sleeps for longer than Python gives a child process that has had the same Ctrl-C.
INTERRUPT_REMOVAL = 'case "$*" in *"worktree remove"*) kill -INT $PPID; sleep 0.6;; esac'


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_exception_passes_and_leaves_nothing(repo: Repo, temporary: Path, error: type[BaseException]) -> None:
    before = repo.state()
    with pytest.raises(error, match=r"^of the block$"), checked_out("v1", repo.path):
        raise error("of the block")
    assert repo.state() == before
    assert list(temporary.iterdir()) == []


def test_ctrl_c_during_the_checkout_ends_it(repo: Repo, temporary: Path, tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    repo.write(".gitattributes", "width.txt filter=slow")
    repo.commit("filter")
    repo.git("config", "filter.slow.smudge", f"exec 9>'{held}'; kill -INT {os.getpid()}; exec sleep 100")
    before = repo.state()
    with open(os.open(held, os.O_RDONLY | os.O_NONBLOCK), "rb") as pipe:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt, match=r"^$"), checked_out("main", repo.path):
            pytest.fail("checked out")
        assert ends(pipe)
        assert time.monotonic() - started < 50
    assert repo.state() == before
    assert list(temporary.iterdir()) == []


def ends(pipe: IO[bytes]) -> bool:
    """Whether nobody has it open for writing, soon."""
    for _ in range(100):
        if pipe.read() == b"":  # None while somebody has
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_during_the_cleanup_comes_after_it(
    repo: Repo, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = repo.state()
    put_git_first(INTERRUPT_REMOVAL, tmp_path / "bin", monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), checked_out("v1", repo.path):
        pass
    assert repo.state() == before
    assert list(temporary.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_the_cleanup_hides_no_exception(
    repo: Repo, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = repo.state()
    put_git_first(INTERRUPT_REMOVAL, tmp_path / "bin", monkeypatch)
    with pytest.raises(ValueError, match=r"^of the block$"), checked_out("v1", repo.path):
        raise ValueError("of the block")
    assert repo.state() == before
    assert list(temporary.iterdir()) == []


def test_a_cleanup_without_git_hides_no_exception(
    repo: Repo, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_git_and_fail() -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        raise ValueError("of the block")

    with pytest.raises(ValueError, match=r"^of the block$"), checked_out("v1", repo.path):
        lose_git_and_fail()
    assert list(temporary.iterdir()) == []


# ---- what killed sessions have left ----

HOLD = """
import sys
from pathlib import Path
from archcheck.throughput.regression.worktree import checked_out
with checked_out("v1", Path(sys.argv[1])) as revision:
    print(revision.checkout, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def session(repo: Repo) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the revision checked out."""
    command = [sys.executable, "-c", HOLD, str(repo.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def first_line(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().rstrip("\n"))


def test_what_a_killed_session_has_left_goes(repo: Repo, session: subprocess.Popen[str], temporary: Path) -> None:
    before = repo.state()
    orphan = first_line(session)
    session.kill()
    session.wait()
    assert width(Revision("v1", "", repo.path, orphan)) == "1"
    with checked_out("v1", repo.path):
        assert not orphan.exists()
        assert orphan.name not in repo.git("worktree", "list")
    assert repo.state() == before
    assert list(temporary.iterdir()) == []


def test_what_a_session_before_a_reboot_has_left_goes(repo: Repo, session: subprocess.Popen[str]) -> None:
    before = repo.state()
    orphan = first_line(session)
    session.kill()
    session.wait()
    shutil.rmtree(orphan)
    with checked_out("v1", repo.path):
        pass
    assert repo.state() == before


def test_a_running_session_keeps_its_tree(repo: Repo, session: subprocess.Popen[str]) -> None:
    theirs = first_line(session)
    with checked_out("v1", repo.path) as revision:
        assert revision.checkout != theirs
    assert (theirs / "width.txt").read_text() == "1"
    assert theirs.name in repo.git("worktree", "list")


def test_a_tree_of_another_machine_stays(repo: Repo, session: subprocess.Popen[str], temporary: Path) -> None:
    """Nodes of a cluster share repositories, and a pid means nothing on the next node."""
    pid, name = session.pid, first_line(session).name
    session.kill()
    session.wait()
    theirs = temporary / f"archcheck-against-{pid}-othernode-{name[-8:]}"
    repo.git("worktree", "add", "--quiet", "--detach", str(theirs))
    with checked_out("v1", repo.path):
        assert theirs.exists()
    assert theirs.exists()


def test_worktrees_of_the_users_stay(repo: Repo, tmp_path: Path) -> None:
    for name in ("mine", "archcheck-against-main", "archcheck-against-1"):
        repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / name))
    before = repo.state()
    with checked_out("v1", repo.path):
        pass
    assert repo.state() == before
    assert (tmp_path / "archcheck-against-main/width.txt").exists()


# ---- names and paths ----

COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("main", "main (a1b2c3d)"),
        ("HEAD~1", "HEAD~1 (a1b2c3d)"),
        ("a1b2c3d", "a1b2c3d"),
        ("A1B2", "a1b2c3d"),
        (COMMIT, "a1b2c3d"),
    ],
)
def test_the_label(name: str, label: str) -> None:
    assert Revision(name, COMMIT, Path("/here"), Path("/there")).label == label


@pytest.fixture
def trees(tmp_path: Path) -> Revision:
    """Two folders for a revision's, each with a `src`."""
    here, there = tmp_path.resolve() / "here", tmp_path.resolve() / "there"
    for folder in (here, there):
        (folder / "src").mkdir(parents=True)
    return Revision("main", COMMIT, here, there)


def test_counterparts(trees: Revision, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trees.working_tree / "src")
    assert trees.path_in_checkout(trees.working_tree) == trees.checkout
    assert trees.path_in_checkout(trees.working_tree / "new/net.py") == trees.checkout / "new/net.py"
    assert trees.path_in_checkout(Path("net.py")) == trees.checkout / "src/net.py"
    assert trees.path_in_checkout(Path("../src/../a")) == trees.checkout / "a"
    assert trees.path_in_checkout(trees.working_tree.parent) is None
    assert trees.path_in_checkout(trees.working_tree.parent / "hereafter") is None


def test_a_link_inside_that_leads_out_has_a_counterpart(trees: Revision, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (trees.working_tree / "data").symlink_to(tmp_path / "disk")
    assert trees.path_in_checkout(trees.working_tree / "data/x.npz") == trees.checkout / "data/x.npz"


def test_the_path_of_a_process_of_that_tree(trees: Revision, tmp_path: Path) -> None:
    (trees.working_tree / "tests").mkdir()
    entries = [
        "/usr/lib/python3.11",
        f"{trees.working_tree}/src",
        f"{trees.working_tree}/tests",
        f"{tmp_path}/elsewhere",
        str(trees.working_tree),
    ]
    expected = ["/usr/lib/python3.11", f"{trees.checkout}/src", f"{tmp_path}/elsewhere", str(trees.checkout)]
    assert trees.sys_path_in_checkout(entries) == expected


def test_the_current_directory_and_doubles(trees: Revision, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trees.working_tree / "src")
    entries = ["", f"{trees.working_tree}/src", "/usr/lib", f"{trees.working_tree}/src/", "/usr/lib", "."]
    assert trees.sys_path_in_checkout(entries) == [f"{trees.checkout}/src", "/usr/lib"]


def test_an_environment_inside_the_repository_stays(trees: Revision, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = trees.working_tree / ".venv"
    monkeypatch.setattr(sys, "prefix", str(environment))
    entries = [f"{environment}/lib/python3.11/site-packages", f"{environment}/src/timm", f"{trees.working_tree}/build"]
    assert trees.sys_path_in_checkout(entries) == entries[:2]


def test_packages_of_an_environment_that_is_not_this_one_stay(trees: Revision) -> None:
    entries = [
        f"{trees.working_tree}/other/lib/python3.11/site-packages",
        f"{trees.working_tree}/usr/lib/python3/dist-packages",
    ]
    assert trees.sys_path_in_checkout(entries) == entries


@pytest.mark.parametrize("prefix", ["", ".."])
def test_a_prefix_around_the_repository_makes_it_no_environment(
    trees: Revision, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as /usr around /usr/src/app, or a `python -m venv .`."""
    monkeypatch.setattr(sys, "prefix", str((trees.working_tree / prefix).resolve()))
    assert trees.sys_path_in_checkout([f"{trees.working_tree}/build"]) == []
