"""What the documents show works when it is copied, and what they link to is there."""

import re
from pathlib import Path

import pytest

from conveyor.contracts.pipeline import Pipeline, Stage
from conveyor.contracts.pipeline_check import CHECKS, load_pipeline
from conveyor.contracts.streams import BUCKETS, STREAMS
from conveyor.gateway.settings import Settings
from conveyor.servicekit.settings import load
from tests.architecture import repository

ROOT = repository.ROOT
DOCUMENTS = [path for path in repository.files() if path.suffix == ".md" and "prompts" not in path.parts]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def rows(document: str, heading: str) -> set[str]:
    """The names in the first column of the table below a heading."""
    section = (ROOT / document).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {name for line in section.splitlines() if line.startswith("| `") for name in names(line)}


def names(line: str) -> list[str]:
    return re.findall(r"`(\w+)`", line.split("|")[1])


def test_the_configuration_in_the_readme_loads(tmp_path: Path) -> None:
    (tmp_path / "conveyor.toml").write_text(blocks("README.md", "toml")[0], encoding="utf-8")
    secrets = {"CONVEYOR_PLANE__API_KEY": "k", "CONVEYOR_PLANE__WEBHOOK_SECRET": "s"}
    settings = load(Settings, tmp_path / "conveyor.toml", environment=secrets)
    assert settings.project[0].name == "shop"
    assert settings.plane.api_key.reveal() == "k"
    assert [secret.reveal() for secret in settings.plane.webhook_secrets] == ["s"]


def test_the_pipeline_in_the_documents_loads() -> None:
    (example,) = (block for block in blocks("docs/pipeline.md", "toml") if "[[stages]]" in block)
    assert load_pipeline(example.encode(), "docs/pipeline.md").name == "quick"


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("Fields of the pipeline", set(Pipeline.__struct_fields__)),
        ("Fields of a stage", set(Stage.__struct_fields__)),
        ("Gates and checks", set(CHECKS)),
    ],
)
def test_the_pipeline_document_speaks_of_everything_there_is(heading: str, wanted: set[str]) -> None:
    assert rows("docs/pipeline.md", heading) == wanted


def test_the_architecture_document_speaks_of_every_stream_and_bucket() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert not [spec.name for spec in (*STREAMS, *BUCKETS) if f"`{spec.name}`" not in text]


@pytest.mark.parametrize("document", DOCUMENTS, ids=repository.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert not [link for link in links if not (document.parent / link).exists()]


def test_every_dependency_has_its_reason() -> None:
    """CONTRIBUTING.md says why each package is here."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("\n## Dependencies\n")[1]
    wanted = [
        line.strip()
        for pins in ("requirements.in", "requirements-dev.in")
        for line in (ROOT / pins).read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith(("#", "-r"))
    ]
    explained = text.replace(
        "pytest, -asyncio, -timeout, -xdist", "pytest, pytest-asyncio, pytest-timeout, pytest-xdist"
    )
    assert not [package for package in wanted if package not in explained]
