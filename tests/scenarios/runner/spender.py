"""An agent that spends as it is told: `spender.py STEPS INPUT_TOKENS [same]`, four messages and calls a second."""

import json
import signal
import sys
import time
from typing import Any

SESSION = "11111111-2222-4333-8444-555555555555"
spent = [0]


def say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event | {"session_id": SESSION}) + "\n")
    sys.stdout.flush()


def end(*asked: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    used = {"m": {"inputTokens": spent[0], "outputTokens": 0, "costUSD": 0}}
    say(type="result", subtype="success", is_error=bool(asked), total_cost_usd=0, modelUsage=used, result="stopped")
    sys.exit(0)


def main(steps: int, tokens: int, same: bool) -> None:
    signal.signal(signal.SIGINT, end)
    sys.stdin.read()
    say(type="system", subtype="init", claude_code_version="2.1.328")
    for number in range(steps):
        command = {"command": f"ls {0 if same else number}"}
        use = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": command}
        usage = {"input_tokens": tokens, "output_tokens": 1}
        spent[0] += tokens
        say(type="assistant", message={"id": f"m{number}", "content": [use], "usage": usage})
        time.sleep(0.25)  # waits: as an agent that works; a runner that is slow stops it before the next message
    end()


main(int(sys.argv[1]), int(sys.argv[2]), "same" in sys.argv)
