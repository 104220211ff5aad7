"""A Messages API on loopback that answers as told: for tests with the real Claude command line, never a key."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "dummy-key-of-a-test"
Block = dict[str, Any]
Answer = Callable[[list[dict[str, Any]]], "Block | Refusal"]


class Refusal(Exception):  # noqa: N818 - what the provider says, not an error of ours
    """An error of the provider's: status and headers."""

    def __init__(self, status: int, kind: str, **headers: str) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def tool(name: str, **given: Any) -> Block:
    return {"type": "tool_use", "id": f"toolu_{name.lower()}_{abs(hash(json.dumps(given))) % 10**8}", "name": name} | {
        "input": given
    }


class AnthropicMock:
    """Counts what it is asked and keeps what tools gave back."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests = 0
        self.url = ""
        self.tool_results: list[str] = []

    def take(self, body: dict[str, Any]) -> Block | Refusal:
        """Answer one request for a message."""
        self.requests += 1
        messages = body.get("messages", [])
        results = [
            block
            for message in messages
            if isinstance(message.get("content"), list)
            for block in message["content"]
            if block.get("type") == "tool_result"
        ]
        self.tool_results = [json.dumps(block.get("content")) for block in results]
        return self.answer(results)


def steps(*blocks: Block) -> Answer:
    """Answer with these, one after each tool's result, the last one repeating."""
    return lambda results: blocks[min(len(results), len(blocks) - 1)]


@contextmanager
def anthropic_mock(answer: Answer) -> Iterator[AnthropicMock]:
    """Serve on a free port of loopback until the block ends."""
    mock = AnthropicMock(answer)
    handler = type("Handler", (_Handler,), {"mock": mock})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    mock.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mock
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    mock: AnthropicMock
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
            self._send(200, b'{"input_tokens": 10}')
            return
        found = self.mock.take(body)
        if isinstance(found, Refusal):
            error = {"type": "error", "error": {"type": found.kind, "message": "made up by a test"}}
            self._send(found.status, json.dumps(error).encode(), **found.headers)
        elif body.get("stream"):
            self._send(200, b"".join(_events(found)), **{"Content-Type": "text/event-stream"})
        else:
            self._send(200, json.dumps(_message(found)).encode())

    def do_GET(self) -> None:
        self._send(404, b"{}")

    do_HEAD = do_GET  # noqa: N815 - as above

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Tests print enough."""


def _message(block: Block) -> dict[str, Any]:
    stop = "tool_use" if block["type"] == "tool_use" else "end_turn"
    return {
        "id": "msg_test", "type": "message", "role": "assistant", "model": "claude-opus-4-1", "content": [block],
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 1000, "output_tokens": 50},
    }  # fmt: skip


def _events(block: Block) -> Iterator[bytes]:
    whole = _message(block)
    is_tool = block["type"] == "tool_use"
    begin = {**block, "input": {}} if is_tool else {**block, "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        if is_tool
        else {"type": "text_delta", "text": block["text"]}
    )
    yield _event({"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}})
    yield _event({"type": "content_block_start", "index": 0, "content_block": begin})
    yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _event({"type": "content_block_stop", "index": 0})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 50}})
    yield _event({"type": "message_stop"})


def _event(body: dict[str, Any]) -> bytes:
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()
