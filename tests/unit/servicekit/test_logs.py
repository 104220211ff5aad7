import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from conveyor.servicekit import logs
from conveyor.servicekit.sections import LogSettings


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.reset_defaults()


def test_records_are_json_with_ids_and_service(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"), "runner")
    with logs.bind(task="shop/SHOP-1", trace_id="t"):
        logs.get("loop").info("started", attempt=1)
    record = json.loads(capsys.readouterr().err)
    assert record["event"] == "started"
    assert (record["service"], record["part"], record["task"], record["trace_id"]) == (
        "runner",
        "loop",
        "shop/SHOP-1",
        "t",
    )
    assert record["attempt"] == 1
    assert record["level"] == "info"


def test_secrets_are_masked_in_texts_errors_and_foreign_records(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"), "runner", ["very-secret", "very-secret-indeed"])
    error = ValueError("Authorization: very-secret-indeed")
    logs.get("x").error("failed with very-secret", headers={"token": "very-secret"}, exc_info=error)
    logging.getLogger("httpx").warning("GET /?key=%s", "very-secret")
    shown = capsys.readouterr().err
    assert "very-secret" not in shown
    assert "-indeed" not in shown
    assert shown.count("***") >= 4
    assert [json.loads(line)["level"] for line in shown.splitlines()] == ["error", "warning"]


def test_level_is_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="pretty", level="warning"), "runner")
    logs.get("x").info("quiet")
    logs.get("x").warning("loud")
    shown = capsys.readouterr().err
    assert "quiet" not in shown
    assert "loud" in shown
