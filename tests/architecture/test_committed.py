"""What must not be in the repository: a machine's own paths, package index hosts, tests that patch or sleep."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import repository

MACHINE_PATH = re.compile(r"(?:^|[^\w.-])/(?:work|farm|root|Users)/|\.\./shared\b", re.MULTILINE)
INDEX_HOST = re.compile(
    r"--(?:extra-)?index-url|--find-links|(?:registry|index) = \"https?:|\b(?:url|sdist|wheel)[^#\n]* = \"https?:"
    r"|files\.pythonhosted\.org|pypi\.org/simple"
)
PINS = re.compile(r"requirements|constraints|\.toml$|\.lock$|lock\.json$|Dockerfile|Makefile$|\.cfg$|^\.ci/")
SLEEPERS = {("time", "sleep"), ("asyncio", "sleep"), ("anyio", "sleep"), ("trio", "sleep")}
WAITS = "# waits:"


def texts() -> Iterator[tuple[Path, str]]:
    for path in repository.files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def found(pattern: re.Pattern[str], path: Path, text: str) -> Iterator[str]:
    for match in pattern.finditer(text):
        yield f"{repository.name(path, text.count(chr(10), 0, match.start()) + 1)}: {match.group().strip()}"


def test_no_file_names_a_path_of_one_machine() -> None:
    repository.none(place for path, text in texts() for place in found(MACHINE_PATH, path, text))


def test_no_file_of_pinned_versions_names_an_index_host() -> None:
    """Versions and hashes are pinned; where packages come from is the business of whoever installs."""
    repository.none(
        place for path, text in texts() if PINS.search(repository.name(path)) for place in found(INDEX_HOST, path, text)
    )


def test_every_third_party_package_is_pinned_by_hash() -> None:
    for pins in ("requirements.txt", "requirements-dev.txt"):
        lines = (repository.ROOT / pins).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        packages = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        assert packages, f"{pins} is empty: run `make pin`"
        repository.none(line for line in packages if "==" not in line or "--hash=sha256:" not in line)


def sleeps(path: Path) -> Iterator[str]:
    """The sleeps of a test file that do not say what they wait for; `sleep(0)` is none, it lets others run."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(repository.tree(path)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
            continue
        yields = [argument.value for argument in node.args if isinstance(argument, ast.Constant)] == [0]
        if (called.value.id, called.attr) in SLEEPERS and not yields and WAITS not in lines[node.lineno - 1]:
            yield repository.name(path, node.lineno)


def test_no_test_sleeps_and_hopes() -> None:
    """A wait is for a condition with a deadline; the pause inside such a loop says so with `# waits: <for what>`."""
    repository.none(place for path in repository.python_files("tests/") for place in sleeps(path))


def test_no_test_patches_what_it_tests() -> None:
    """Simulators and real servers instead: a patched call proves that the call was written, not that it works."""
    repository.none(
        f"{repository.name(path, line)}: {module}"
        for path in repository.python_files("tests/")
        for line, module in repository.imports(path)
        if module.split(".")[0] == "mock" or module.startswith("unittest.mock")
    )
