"""A container's health check says by its exit code whether a service answers, and why not."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from conveyor.servicekit.probe import ask


class _Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_well = self.path == "/healthz"
        self.send_response(200 if is_well else 503)
        self.end_headers()
        self.wfile.write(b"{}" if is_well else b"no bus")

    def log_message(self, *_arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def service() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Service)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_well_service_leaves_nothing_to_say(service: str) -> None:
    assert ask(f"{service}/healthz") == ""


def test_an_unready_service_is_told_with_its_reason(service: str) -> None:
    assert ask(f"{service}/readyz") == f"{service}/readyz: 503 no bus"


def test_nobody_there_is_an_answer_too(service: str) -> None:
    assert "refused" in ask("http://127.0.0.1:9/healthz")


@pytest.mark.parametrize(("page", "code"), [("healthz", 0), ("readyz", 1)])
def test_the_exit_code_is_what_a_container_engine_reads(service: str, page: str, code: int) -> None:
    command = [sys.executable, "-m", "conveyor.servicekit.probe", f"{service}/{page}"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == code
