"""`pytest --archcheck`: what is collected, how it is selected, what is reported."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.integration.project import SMALL, Project


def test_a_true_spec_passes_with_an_item_for_every_promise(project: Project) -> None:
    project.spec()
    result = project.run("-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        [
            "specs/small.arch.yaml::spec PASSED*",
            "specs/small.arch.yaml::shapes PASSED*",
            "specs/small.arch.yaml::parameters PASSED*",
            "specs/small.arch.yaml::compute PASSED*",
            "specs/small.arch.yaml::health PASSED*",
        ]
    )


def test_the_run_ends_with_one_table(project: Project) -> None:
    project.spec()
    project.broken("11_926", "11_927", name="wrong")
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "spec * build * parameters * MACs * spec * shapes * parameters * compute * health * time*",
            "specs/wrong.arch.yaml * nets:small * 11_926 * 129 k * ok * ok * FAILED * ok * ok *",
            "specs/small.arch.yaml * nets:small * 11_926 * 129 k * ok * ok * ok * ok * ok *",
            "2 specs: 1 failed, 1 ok",
        ]
    )


def test_the_table_is_as_wide_as_columns_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    project.broken("11_926", "11_927", name="wrong")
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "spec * parameters * MACs * s h p c e * time",
            "specs/wrong.arch.yaml * 11_926 * 129 k * . . F . . *",
            "checks: s spec, h shapes, p parameters, c compute, e health",
            "marks:  . ok, F failed",
        ]
    )
    table = result.outlines[result.outlines.index(next(line for line in result.outlines if " archcheck ===" in line)) :]
    assert max(map(len, table[1:5])) <= 70


def test_a_log_has_whole_paths_and_colours_are_as_pytest_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    path = f"specs/{'x' * 90}.arch.yaml"
    project.broken("11_926", "11_927", name="x" * 90)
    assert f"\n{path}  " in project.run().stdout.str()
    assert f"\n\x1b[31m{path}  " in project.run("--color=yes").stdout.str()


def test_of_many_specs_only_what_is_not_ok_is_listed(project: Project) -> None:
    text = "build: nets:small\ninput: [B, 1, 28, 28]\noutput: [B, 10]\nfunction: off\nhealth: off\n"
    for i in range(41):
        project.spec(f"net{i}", text)
    project.spec("wrong", text.replace("[B, 10]", "[B, 11]"))
    result = project.run()
    table = [line.split()[0] for line in result.outlines if line.startswith("specs/") and line.endswith(" ms")]
    assert table == ["specs/wrong.arch.yaml"]
    result.stdout.fnmatch_lines(["42 specs: 1 failed, 41 ok; -v lists all"])
    assert "-v lists all" not in project.run("-v").stdout.str()


def test_only_what_the_spec_promises_and_health_are_collected(project: Project) -> None:
    text = "build: nets:small\ninput: [B, 1, 28, 28]\nmacs: 129.4 k\n"
    project.spec(text=text)
    project.run("-v").assert_outcomes(passed=3, skipped=1)
    project.spec(text=f"{text}health: off\n")
    project.run("-v").assert_outcomes(passed=2, skipped=1)


def test_without_the_flag_specs_are_left_alone(project: Project) -> None:
    project.spec()
    project.pytester.makepyfile("def test_one(): pass")
    project.pytest().assert_outcomes(passed=1)


def test_without_paths_ordinary_tests_are_left_alone(project: Project) -> None:
    project.spec()
    project.pytester.makepyfile("def test_one(): pass")
    project.run().assert_outcomes(passed=5)


def test_explicit_paths_collect_specs_and_tests_alike(project: Project) -> None:
    project.spec()
    project.pytester.makepyfile(test_one="def test_one(): pass")
    project.run(".").assert_outcomes(passed=6)


def test_the_ini_key_says_where_specs_are(project: Project) -> None:
    project.pytester.makefile(".ini", pytest="[pytest]\narchcheck_paths = models/specs other\ntestpaths = tests\n")
    project.write("models/specs/a.arch.yaml", project.spec().read_text())
    (project.path / "specs" / "small.arch.yaml").unlink()
    project.write("other/b.arch.yaml", "build: nets:small\ninput: [B, 1, 28, 28]\noutput: [B, 10]\n")
    project.run().assert_outcomes(passed=8, skipped=1)


def test_no_spec_anywhere_is_a_usage_error(project: Project) -> None:
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no spec file (*.arch.yaml) in specs; write one: archcheck new *"])


def test_other_yaml_files_are_not_claimed(project: Project) -> None:
    project.spec()
    project.write("specs/config.yaml", "some: thing\n")
    project.run(".").assert_outcomes(passed=5)


def test_started_from_another_directory_paths_are_shown_from_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    (project.path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(project.path / "deep" / "down")
    result = project.run("--rootdir", str(project.path), "-c", str(project.path / "pytest.ini"))
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["../../specs/small.arch.yaml:5: pool: output shape differs"])


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        (["-k", "shapes"], {"passed": 1, "deselected": 4}),
        (["-m", "archcheck_parameters or archcheck_compute"], {"passed": 2, "deselected": 3}),
        (["specs/small.arch.yaml::compute"], {"passed": 1}),
        (["specs"], {"passed": 5}),
        (["specs/small.arch.yaml"], {"passed": 5}),
    ],
)
def test_items_are_selected_as_tests_are(project: Project, arguments: list[str], outcomes: dict[str, int]) -> None:
    project.spec()
    project.run(*arguments).assert_outcomes(**outcomes)


@pytest.mark.parametrize(
    ("spec", "check", "told"),
    [
        (
            "small",
            "shape",
            "has no check 'shape', but spec, shapes, parameters, compute, health: did you mean 'shapes'?",
        ),
        ("small", "accuracy", "has no check 'accuracy', but spec, shapes, parameters, compute, health"),
        ("broken", "shapes", "can't be read, so that it has no check 'shapes'; specs/broken.arch.yaml::spec tells why"),
    ],
)
def test_a_check_that_a_spec_does_not_have_is_told(project: Project, spec: str, check: str, told: str) -> None:
    project.spec()
    project.spec("broken", "build: nets\n")
    result = project.run("--archcheck", f"specs/{spec}.arch.yaml::{check}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: specs/{spec}.arch.yaml {told}"])


def test_a_check_that_an_update_adds_may_be_named(project: Project) -> None:
    path = project.spec(text=SMALL.replace("macs: 129_360\n", ""))
    project.run("specs/small.arch.yaml::compute", "--archcheck-update=new").assert_outcomes(passed=1)
    assert "macs: 129_360\n" in path.read_text()


def test_collect_only_lists_without_building(project: Project) -> None:
    project.broken("nets:small", "nowhere:at_all")
    result = project.run("--collect-only", "-q")
    assert result.ret == 0
    checks = ("spec", "shapes", "parameters", "compute", "health")
    result.stdout.fnmatch_lines([f"specs/small.arch.yaml::{check}" for check in checks])


def test_a_broken_neighbour_hides_nothing(project: Project) -> None:
    project.spec()
    project.spec("broken", "build: [\n")
    project.spec("unbuildable", "build: nets:raising\ninput: [B, 1]\noutput: [B, 1]\n")
    result = project.run()
    result.assert_outcomes(passed=5, failed=4, skipped=1)
    message = "build: building nets:raising raised ValueError: no such width"
    result.stdout.fnmatch_lines(
        [
            "FAILED specs/broken.arch.yaml::spec - *",
            *(f"FAILED specs/unbuildable.arch.yaml::{check} - {message}" for check in ("spec", "shapes", "health")),
        ]
    )


def test_exitfirst_stops_at_the_first_failure(project: Project) -> None:
    project.broken("11_926", "11_927", name="a")
    project.broken("11_926", "11_928", name="b")
    result = project.run("-x")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "spec * spec * shapes * parameters * compute * health * time*",
            "specs/a.arch.yaml * ok * ok * FAILED * not run * not run *",
            "2 specs: 1 failed, 1 not reached",
        ]
    )


def test_a_spec_that_was_interrupted_is_not_ok(project: Project) -> None:
    for name in ("a", "b", "c"):
        project.spec(name)
    project.write(
        "conftest.py",
        """
        def pytest_runtest_call(item):
            if item.nodeid.endswith("b.arch.yaml::shapes"):
                raise KeyboardInterrupt
        """,
    )
    # In a process of its own: an interrupt inside this one would be taken for the user's.
    result = project.pytest_elsewhere("-p", "archcheck.plugin", "--archcheck")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "specs/b.arch.yaml * ok * not run *",
            "specs/a.arch.yaml * ok * ok *",
            "3 specs: 1 not finished, 1 ok, 1 not reached",
        ]
    )


def test_nothing_is_told_of_what_is_only_collected(project: Project) -> None:
    project.spec()
    assert "not reached" not in project.run("--collect-only").stdout.str()


def test_last_failed_runs_only_what_failed(project: Project) -> None:
    path = project.broken("11_926", "11_927")
    project.pytest("--archcheck").assert_outcomes(passed=4, failed=1)
    path.write_text(path.read_text().replace("11_927", "11_926"))
    project.pytest("--archcheck", "--lf").assert_outcomes(passed=1)


def test_junit_has_message_line_and_counts(project: Project) -> None:
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    project.run("--junitxml=out.xml", "-o", "junit_family=xunit1")
    cases = {case.attrib["name"]: case for case in ET.parse(project.path / "out.xml").getroot().iter("testcase")}
    failure = cases["shapes"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "pool: output shape differs"
    assert cases["shapes"].attrib["file"] == "specs/small.arch.yaml"
    assert cases["shapes"].attrib["line"] == "4"  # pytest counts from 0 here
    properties = {p.attrib["name"]: p.attrib["value"] for p in cases["compute"].iter("property")}
    assert properties == {"archcheck_params": "11926", "archcheck_macs": "129360"}


def test_a_summary_says_what_differs_within_80_columns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("CI", raising=False)  # there pytest cuts nothing off
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]", name="small-with-padding")
    result = project.run()
    result.stdout.fnmatch_lines(["FAILED specs/small-with-padding.arch.yaml::shapes - pool: output shape differs"])


def test_a_failure_in_one_line_has_its_place_once(project: Project) -> None:
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    lines = project.run("--tb=line").stdout.lines
    assert any(line.endswith("specs/small.arch.yaml:5: pool: output shape differs") for line in lines)
    assert not any(line.count("small.arch.yaml:5:") > 1 for line in lines)


def test_github_annotations_sit_on_the_line_of_the_spec(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_github_actions_annotate_failures")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.delenv("PYTEST_RUN_PATH", raising=False)
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    result = project.run()
    result.stderr.fnmatch_lines(["::error file=specs/small.arch.yaml,line=5::*pool: output shape differs*"])


def test_failures_without_a_terminal_and_without_tracebacks(project: Project) -> None:
    project.broken("[B, 6, 14, 14]", "[B, 6, 12, 12]")
    result = project.run("-p", "no:terminal")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for style in ("short", "line", "native", "long"):
        output = project.run(f"--tb={style}").stdout.str()
        assert "specs/small.arch.yaml:5: pool: output shape differs" in output
        assert "Traceback" not in output
        assert "archcheck/pytest_plugin" not in output


def test_a_users_autouse_fixtures_do_no_harm(project: Project) -> None:
    project.spec()
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(autouse=True, scope="module")
        def by_module(request): assert request.module.__name__ == "specs/small.arch.yaml"

        @pytest.fixture(autouse=True)
        def by_function(request): request.node.name
        """,
    )
    project.run().assert_outcomes(passed=5)


def test_a_fixture_that_one_check_is_given_is_no_other_ones(project: Project) -> None:
    project.spec()
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def noted(request): print("NOTED", request.node.name)

        def pytest_itemcollected(item):
            if item.name in ("spec", "compute"): item.fixturenames.append("noted")
        """,
    )
    result = project.run("-s")
    result.assert_outcomes(passed=5)
    assert [line.split("NOTED ")[1] for line in result.outlines if "NOTED" in line] == ["spec", "compute"]


def test_each_spec_has_a_module_of_its_own_to_be_sorted_by(project: Project) -> None:
    for name in ("a", "b"):
        project.spec(name)
    project.write("conftest.py", "def pytest_itemcollected(item): print('MODULE', item.module.__name__)\n")
    lines = project.run("--collect-only", "-q", "-s").stdout.lines
    names = [line.removeprefix("MODULE ") for line in lines if line.startswith("MODULE ")]
    assert names == ["specs/a.arch.yaml"] * 5 + ["specs/b.arch.yaml"] * 5


def test_a_recipe_is_held_against_torch_itself(project: Project) -> None:
    project.spec(
        text="""\
build: nets:small
input: [B, 1, 28, 28]
training:
  dataset: fashion-mnist-mini
  optimizer:
    name: SGD
    lr: 0.1
    momentun: 0.9
  scheduler: {name: StepLRR, step_size: 4}
  quick: {optimizer: {name: Adam, lr: 0.001}, scheduler: {name: StepLR}}
"""
    )
    result = project.run("-k", "spec and not accuracy")
    result.assert_outcomes(passed=1, failed=1, deselected=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "specs/small.arch.yaml:8: optimizer: torch.optim.SGD accepts no argument 'momentun': did you mean *",
            "specs/small.arch.yaml:9: scheduler: torch.optim.lr_scheduler has no 'StepLRR': did you mean 'StepLR'?",
            "specs/small.arch.yaml:10: scheduler: torch.optim.lr_scheduler.StepLR is missing its argument 'step_size'*",
        ]
    )


def test_a_forward_that_dies_is_told_even_where_only_parameters_are_listed(project: Project) -> None:
    project.spec(text="build: nets:small\ninput: [B, 2, 28, 28]\nparameters: 11_926\n")
    result = project.run("-rs")
    result.assert_outcomes(passed=1, failed=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["specs/small.arch.yaml:1: conv: forward stopped here", "  actual    2 channels in, 1 expected"]
    )
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] specs/small.arch.yaml:1: the forward stopped under fixed weights: *"])


def test_no_summary_is_no_table(project: Project) -> None:
    project.spec()
    assert "nets:small" not in project.run("--no-summary").stdout.str()


def test_a_long_table_that_is_wrong_throughout_stays_readable(project: Project) -> None:
    project.write(
        "many.py", "from torch import nn\ndef net(): return nn.Sequential(*[nn.ReLU() for _ in range(300)])\n"
    )
    rows = "".join(f"  {i}: [B, 5]\n" for i in range(300))
    project.spec(text=f"build: many:net\ninput: [B, 4]\nlayers:\n{rows}")
    output = project.run("-k", "shapes", "-vv").stdout.str()
    assert output.count("expected  [B, 5]") == 20
    assert "specs/small.arch.yaml:53: 49: output shape differs" in output
    assert "specs/small.arch.yaml: and 100 more" in output


def test_specs_of_one_name_in_two_folders_are_two_specs(project: Project) -> None:
    project.spec("a/small", project.spec().read_text())
    project.run().assert_outcomes(passed=10)


def test_checks_that_a_marker_or_a_fixture_skips_are_skipped_in_the_table(project: Project) -> None:
    project.spec()
    project.write(
        "conftest.py",
        """\
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name in ("shapes", "compute"):
                    item.add_marker(pytest.mark.skip(reason="not today"))

        @pytest.fixture(autouse=True)
        def machine(request):
            if request.node.name == "parameters":
                pytest.skip("not here")
        """,
    )
    result = project.run()
    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.re_match_lines([r"spec +build .* spec +shapes +parameters +compute +health", r"-+"])
    result.stdout.re_match_lines([r"specs/small\.arch\.yaml .* ok +skipped +skipped +skipped +ok"])
    project.run("--archcheck-changed").assert_outcomes(passed=2, skipped=3)
    again = project.run("--archcheck-changed", "-rs")
    again.assert_outcomes(skipped=3, deselected=2)
