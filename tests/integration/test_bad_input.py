"""Malformed specs: one failing item each, `FILE:LINE:` first, no traceback, and every neighbour still runs."""

from __future__ import annotations

import re

import pytest

from tests.integration.project import SMALL, Project, lock_of

# name -> (text of the file, line of the first message, a pattern of what it says)
MALFORMED: dict[str, tuple[bytes, int, str]] = {
    "syntax": (b"build: nets:small\ninput: [B, 1\nlayers: {}\n", 3, "."),
    "tab": (b"build: nets:small\n\tinput: [B]\n", 2, "tab"),
    "duplicate": (SMALL.encode() + b"macs: 12\n", 11, "duplicate key 'macs', first on line 9"),
    "duplicate-layer": (SMALL.replace("  pool:", "  conv:").encode(), 5, "duplicate key 'conv', first on line 4"),
    "unknown": (SMALL.replace("macs:", "mac:").encode(), 9, "unknown key 'mac'; did you mean macs?"),
    "unknown-in-layer": (
        SMALL.replace("parameters: 156", "params: 156").encode(), 4, "unknown key 'params'; did you mean parameters?",
    ),
    "wrong-type": (SMALL.replace("11_926", "many").encode(), 8, "parameters: expected a whole number.*found 'many'"),
    "wrong-shape": (SMALL.replace("[B, 6, 14, 14]", "[B, 6, 1.5, 14]").encode(), 5, "expected a size or a dimension"),
    "bad-arithmetic": (SMALL.replace("[B, 6, 14, 14]", "[B, 6, B**2, 14]").encode(), 5, re.escape("B**2")),
    "unknown-dimension": (SMALL.replace("[B, 6, 14, 14]", "[B, 6, H/2, 14]").encode(), 5, "unknown dimension H in H/2"),
    "no-sizes": (SMALL.replace("1, 28, 28]", "1, H, 28]", 1).encode(), 2, "free dimension H has no sizes"),
    "fraction": (
        b"build: nets:small\ninput: [B, 1, H, H]\nsizes: {H: [30]}\noutput: [B, H/4]\n", 4, "H/4 .*whole.* H=30",
    ),
    "unzipped": (
        b"build: nets:small\ninput: [B, 1, H, W]\nsizes: {H: [28, 14], W: [28]}\n", 3, "one length: H has 2, W has 1",
    ),
    "no-build": (b"input: [B, 1, 28, 28]\n", 1, "missing key `build`"),
    "no-input": (b"build: nets:small\n", 1, "missing key `input`"),
    "bad-target": (b"build: small\ninput: [B]\n", 1, "module:callable"),
    "encoding": ("build: nets:small\ninput: [B]\n# café\n".encode("latin-1"), 3, "UTF-8"),
    "utf16": ("build: nets:small\n".encode("utf-16"), 1, "UTF-8"),
    "tag": (b"build: !!python/object/apply:os.system ['touch owned']\ninput: [B]\n", 1, "tags are not allowed"),
    "bomb": (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(8)),
        0, "alias|values",
    ),
    "deep": (b"build: " + b"[" * 5000, 1, "nest|deep"),
    "deep-block": (b"".join(b" " * i + b"a:\n" for i in range(300)), 0, "nest|deep"),
    "empty": (b"", 1, "empty"),
    "comment-only": (b"# nothing\n", 0, "empty"),
    "list": (b"- build\n", 1, "expected a map"),
    "two-documents": (SMALL.encode() + b"---\n" + SMALL.encode(), 0, "document"),
    "control": (b"build: nets:small\x00\n", 1, "."),
    "huge-number": (b"build: nets:small\ninput: [B]\nparameters: " + b"9" * 5000 + b"\n", 3, "."),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(project: Project, name: str) -> None:
    content, line, pattern = MALFORMED[name]
    path = project.spec("aaa")
    path.write_bytes(content)
    project.spec("good")
    result = project.run()
    result.assert_outcomes(passed=5, failed=1)
    output = result.stdout.str()
    message = next(text for text in output.splitlines() if text.startswith("specs/aaa.arch.yaml:"))
    found = re.fullmatch(r"specs/aaa\.arch\.yaml:(\d+): (.+)", message)
    assert found is not None, message
    assert re.search(pattern, found[2], re.IGNORECASE), message
    assert line in (0, int(found[1])), message
    assert "Traceback" not in output
    assert "/archcheck/" not in output
    assert not (project.path / "owned").exists()


# what breaks in the build: (old text, new text, line, what is said)
UNBUILDABLE = {
    "missing-module": ("nets:small", "nowhere:small", 1, "nowhere"),
    "missing-callable": ("nets:small", "nets:smal", 1, "did you mean 'small'"),
    "missing-file": ("nets:small", "../models/nets.py:small", 1, "nets.py"),
    "raises": ("nets:small", "nets:raising", 1, "ValueError: no such width"),
    "not-a-network": ("nets:small", "nets:OrderedDict", 1, "OrderedDict.*Module"),
    "not-callable": ("nets:small", "nets:__name__", 1, "callable|str"),
    "torchvision": ("nets:small", "torchvision:resnet19", 1, "did you mean .*resnet"),
}


@pytest.mark.parametrize("name", UNBUILDABLE)
def test_a_failed_build_fails_every_item_with_one_message(project: Project, name: str) -> None:
    old, new, line, pattern = UNBUILDABLE[name]
    project.broken(old, new)
    result = project.run()
    result.assert_outcomes(failed=5)
    output = result.stdout.str()
    messages = [text for text in output.splitlines() if re.match(r"specs/small\.arch\.yaml:\d+: build: ", text)]
    assert len(messages) == 5, output
    assert len(set(messages)) == 1
    assert messages[0].startswith(f"specs/small.arch.yaml:{line}: ")
    assert re.search(pattern, messages[0]), messages[0]
    assert "Traceback" not in output


def test_a_rejected_argument_is_told_at_its_own_line(project: Project) -> None:
    project.broken("nets:small\n", "nets:small\nargs:\n  channels: 6\n  chanels: 7\n")
    result = project.run("-k", "shapes")
    result.stdout.fnmatch_lines(["specs/small.arch.yaml:4: build: *chanels*did you mean *channels*"])


def test_all_problems_of_a_file_are_told_at_once(project: Project) -> None:
    project.spec(text=SMALL.replace("macs:", "mac:").replace("11_926", "many").replace("[B, 10]\n", "[B, ten!]\n"))
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "specs/small.arch.yaml:7: *ten!*",
            "specs/small.arch.yaml:8: parameters: *",
            "specs/small.arch.yaml:9: unknown key 'mac'*",
            "FAILED specs/small.arch.yaml::spec - *(and 2 more)",
        ]
    )


def test_an_unmatched_layer_names_its_neighbours(project: Project) -> None:
    project.broken("  fc: ", "  fcc: ")
    result = project.run("-k", "shapes")
    result.stdout.fnmatch_lines(
        ["specs/small.arch.yaml:6: fcc: no such module", "  note      it is fc now: everything fits *"]
    )


def test_an_unmatched_glob_fails_shapes_only(project: Project) -> None:
    project.broken("  fc: ", "  head.*: ")
    result = project.run()
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["specs/small.arch.yaml:6: head.[*]: no module matches"])


def test_a_package_that_exits_on_import_doesnt_end_the_run(project: Project) -> None:
    project.write("exiting.py", "import sys\nsys.exit(3)\n")
    project.broken("nets:small", "exiting:small", name="aaa")
    project.spec()
    result = project.run()
    result.assert_outcomes(passed=5, failed=5)
    result.stdout.fnmatch_lines(["specs/aaa.arch.yaml:1: build: *exit*"])


def test_a_link_to_nothing_fails_and_hides_no_other(project: Project) -> None:
    (project.spec("good").parent / "bad.arch.yaml").symlink_to("gone.arch.yaml")
    result = project.run()
    result.assert_outcomes(passed=5, failed=1)
    told = "specs/bad.arch.yaml:1: a link to gone.arch.yaml, which isn't there: restore that, or remove the link"
    result.stdout.fnmatch_lines([told])
    project.run("--ignore", "specs/bad.arch.yaml").assert_outcomes(passed=5)


def test_a_link_to_a_spec_is_a_spec(project: Project) -> None:
    (project.path / "specs").mkdir()
    (project.path / "specs" / "small.arch.yaml").symlink_to(project.write("elsewhere/one.arch.yaml", SMALL))
    project.run("specs").assert_outcomes(passed=5)


def test_a_lock_that_is_a_link_to_nothing_is_told(project: Project) -> None:
    path = project.spec("small", SMALL.replace("function: off\n", ""))
    lock_of(path).symlink_to("gone.arch.lock")
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1, deselected=5)
    result.stdout.fnmatch_lines(["specs/small.arch.lock:1: a link to gone.arch.lock, which isn't there: *"])


def test_the_rootdir_that_a_module_needs_is_named(project: Project) -> None:
    specs = project.spec("inner/small").parent
    (project.path / "pytest.ini").unlink()
    options = ("-p", "archcheck.plugin", "--archcheck", str(specs))
    result = project.pytest_elsewhere(*options, cwd=project.path.parent)
    result.stdout.fnmatch_lines(
        [f"*: no module named 'nets' in *, but in {project.path}: make that pytest's rootdir *"]
    )
    assert result.ret == 1
    root = ("--rootdir", str(project.path))
    assert project.pytest_elsewhere(*options, *root, cwd=project.path.parent).ret == 0
