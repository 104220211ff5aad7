import pytest

from conveyor.adapters.gitea import combine
from conveyor.contracts.observed import CiState


@pytest.mark.parametrize(
    ("contexts", "required", "state"),
    [
        ({}, (), CiState.NONE),
        ({}, ("ci/*",), CiState.NONE),
        ({"a": "success"}, (), CiState.GREEN),
        ({"a": "success", "b": "skipped"}, (), CiState.GREEN),
        ({"a": "success", "b": "pending"}, (), CiState.PENDING),
        ({"a": "failure", "b": "pending"}, (), CiState.RED),
        ({"a": "error"}, (), CiState.RED),
        ({"a": "success", "b": "warning"}, (), CiState.RED),
        ({"a": "bogus"}, (), CiState.PENDING),
        ({"ci/a": "success", "lint": "failure"}, ("ci/*",), CiState.GREEN),
        ({"lint": "success"}, ("ci/*",), CiState.PENDING),
        ({"ci/a": "success"}, ("ci/*", "deploy"), CiState.PENDING),
        ({"ci/a": "failure"}, ("ci/*", "deploy"), CiState.RED),
        ({"ci/a": "success", "ci/b": "pending"}, ("ci/*",), CiState.PENDING),
        ({"ci.yml / test [x] (push)": "success"}, (), CiState.GREEN),
    ],
)
def test_a_commits_state_is_combined_from_its_contexts(
    contexts: dict[str, str], required: tuple[str, ...], state: CiState
) -> None:
    assert combine(contexts, required) is state
