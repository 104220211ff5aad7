"""Services' lines in files, and what went wrong according to them."""

from pathlib import Path

from conveyor.cli.up.output import LogFiles, last_errors


def test_the_last_error_of_each_service_is_found(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path / "logs")
    logs("runner", b'{"event": "first", "level": "error"}')
    logs("runner", b'{"event": "fell", "level": "error", "exception": "Traceback\\n  ...\\nValueError: no"}')
    logs("runner", b"not JSON at all")
    logs("gateway", b'{"event": "listening", "level": "info"}')
    logs("engine", b'{"event": "cannot start", "level": "error", "reason": "no bus"}')
    logs.close()
    assert list(last_errors(logs.directory)) == ["engine: cannot start: no bus", "runner: fell: ValueError: no"]
