"""A pipeline is checked when it is loaded; one that could get stuck or run for ever is refused, in words that help."""

from pathlib import Path

import pytest

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.pipeline import Edge, Pipeline, Stage
from conveyor.contracts.pipeline_check import CHECKS, load_pipeline, problems_of
from conveyor.contracts.pipelines import default_pipeline, pipeline_from

SMALL = """
name = "small"
[[stages]]
name = "build"
status = "development"
role = "developer"
gate = ["has_changes", "ci_green"]
edges = [{ on = "ci_green", to = "build", cap = 2 }]
[[stages]]
name = "check"
status = "code_review"
role = "reviewer"
gate = ["reviewer_verdict"]
edges = [{ on = "reviewer_verdict", to = "build", cap = 3 }]
[[stages]]
name = "ship"
status = "deploying"
role = "deployer"
entry = "merge"
gate = ["deploy_status"]
edges = [{ on = "merge", to = "build", cap = 1 }]
"""


def test_the_small_pipeline_of_these_tests_is_sound() -> None:
    """Each refusal below changes one thing of it."""
    assert [stage.name for stage in load_pipeline(SMALL.encode(), "small.toml").stages] == ["build", "check", "ship"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SMALL[SMALL.index("[[") :], "stages = []", "stages: expected at least one [[stages]]"),
        ('name = "build"', 'name = "done"', "stages: 'done' is a reserved name; call the stage otherwise"),
        ('name = "build"', 'name = "cancelled"', "stages: 'cancelled' is a reserved name"),
        ('name = "ship"', 'name = "check"', "stages: 'check' stands more than once; names must differ"),
        ('name = "small"', 'name = "small"\ndocs_dir = "docs"', "docs_dir: expected {key} in it, or tasks overwrite"),
        ('name = "small"', 'name = "small"\nfailure_attempts = 0', "failure_attempts, transient_attempts: expected at"),
        ('name = "small"', 'name = "small"\ntransient_attempts = 0', "failure_attempts, transient_attempts: expected"),
        ('gate = ["deploy_status"]', "gate = []", "stages.ship.gate: a stage without a gate is a dead end; name at"),
        ('gate = ["deploy_status"]', 'gate = ["vibes"]', "stages.ship.gate: unknown check 'vibes'; known: analysis_"),
        ('entry = "merge"', 'entry = "rebase"', "stages.ship.entry: expected 'merge' or nothing, it is 'rebase'"),
        ('entry = "merge"', 'entry = "merge"\ntimeout_s = 0', "stages.ship.timeout_s: expected at least 1 second, it"),
        ('entry = "merge"', 'entry = "merge"\nmonitor_s = -1', "stages.ship.monitor_s: expected 0 or more seconds"),
        (
            'status = "deploying"',
            'status = "shipping"',
            "stages.ship.status: 'shipping' is no logical status; name one",
        ),
        ('status = "deploying"', "", "stages.ship.status: 'ship' is no logical status; name one of: to_analyse, "),
        ("cap = 3 }]", 'cap = 3, status = "x" }]', "check.edges.reviewer_verdict.status: 'x' is no logical status"),
        ('entry = "merge"', 'entry = "merge"\nrejected_to = "x"', "stages.ship.rejected_to: no stage is called 'x'"),
        (
            'role = "developer"',
            'role = "developer"\nrejected_to = "ship"',
            "build.rejected_to: 'ship' comes later; the",
        ),
        ('to = "build", cap = 3', 'to = "x", cap = 3', "check.edges.reviewer_verdict.to: no stage is called 'x'"),
        ('to = "build", cap = 3', 'to = "ship", cap = 3', "check.edges.reviewer_verdict.to: 'ship' comes later; the"),
        ('on = "reviewer_verdict"', 'on = "ci_green"', "check.edges.ci_green: this stage's gate has no such check"),
        ('on = "reviewer_verdict"', 'on = "merge"', "check.edges.merge: this stage's gate has no such check"),
        (
            "cap = 3 }]",
            "cap = 0 }]",
            "check.edges.reviewer_verdict.cap: expected 1 to 100, so that the loop ends; it is 0",
        ),
        ("cap = 3 }]", "cap = 101 }]", "check.edges.reviewer_verdict.cap: expected 1 to 100, so that the loop ends"),
        (
            "cap = 3 }]",
            'cap = 3 }, { on = "reviewer_verdict", to = "build", cap = 1 }]',
            "check.edges.reviewer_verdict: stands more than once; a rejection has one way back",
        ),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_with_its_reason(old: str, new: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_pipeline(SMALL.replace(old, new, 1).encode(), "small.toml")
    assert "small.toml: pipeline 'small' cannot run:\n  - " in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('role = "developer"', "", "Object missing required field `role` - at `$.stages[0]`"),
        ('role = "developer"', 'role = "developer"\nrolle = "x"', "Object contains unknown field `rolle`"),
        ('name = "small"', 'name = "small"\nretries = 3', "Object contains unknown field `retries`"),
        ("cap = 3 }]", 'cap = "three" }]', "Expected `int`, got `str` - at `$.stages[1].edges[0].cap`"),
        ('on = "reviewer_verdict", ', "", "Object missing required field `on`"),
        ("cap = 3 }]", "}]", "small.toml: not a pipeline: "),
        (", cap = 3 }]", " }]", "Object missing required field `cap`"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_the_place(old: str, new: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_pipeline(SMALL.replace(old, new, 1).encode(), "small.toml")
    assert "small.toml: not a pipeline: " in str(refused.value)
    assert words in str(refused.value)


def test_every_problem_is_told_at_once() -> None:
    stage = Stage(name="created", role="r", gate=("vibes",), entry="x", edges=(Edge(on="y", to="z", cap=0),))
    assert len(list(problems_of(Pipeline(name="bad", stages=(stage,), docs_dir="docs")))) == 8


def test_a_registry_with_fewer_checks_refuses_what_it_cannot_look_at() -> None:
    """The engine passes its own list, so that an unknown gate is found at start and not at run time (SE-8)."""
    checks = tuple(check for check in CHECKS if check != "deploy_status")
    with pytest.raises(SettingsError, match="unknown check 'deploy_status'"):
        load_pipeline(SMALL.encode(), "small.toml", checks)


def test_the_default_pipeline_runs_and_is_the_one_that_is_promised() -> None:
    pipeline = default_pipeline()
    assert [(stage.name, stage.role) for stage in pipeline.stages] == [
        ("analysis", "analyst"),
        ("architecture", "architect"),
        ("development", "developer"),
        ("review", "reviewer"),
        ("testing", "tester"),
        ("deploy", "deployer"),
    ]
    assert not list(problems_of(pipeline))


def test_every_rollback_of_the_default_pipeline_is_capped_at_three() -> None:
    assert {edge.cap for stage in default_pipeline().stages for edge in stage.edges} == {3}


def test_a_pipeline_knows_its_order() -> None:
    pipeline = load_pipeline(SMALL.encode(), "small.toml")
    build, check, ship = pipeline.stages
    assert (pipeline.before("check"), pipeline.before("build")) == (build, build)
    assert (pipeline.after("created"), pipeline.after("check"), pipeline.after("ship")) == (build, ship, None)
    assert pipeline.stage("check") is check
    assert pipeline.stage("done") is None
    assert [pipeline.index(name) for name in ("created", "build", "ship", "done")] == [-1, 0, 2, 3]
    assert pipeline.documents_of("SHOP-12") == "docs/tasks/SHOP-12"


def test_a_pipeline_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    assert pipeline_from(tmp_path / "small.toml").name == "small"


def test_a_pipeline_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot read the pipeline: No such file or directory"):
        pipeline_from(tmp_path / "none.toml")


def test_text_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = \n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"broken\.toml: not a pipeline: "):
        pipeline_from(tmp_path / "broken.toml")


def test_a_file_in_another_encoding_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('name = "größer"'.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"latin\.toml: not a pipeline: expected UTF-8: .* at byte 10"):
        pipeline_from(path)
