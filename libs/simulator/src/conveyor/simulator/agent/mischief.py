"""What a real agent does to its runner on a bad day: crash, hang, ignore signals, babble, leave children, lie."""

import os
import signal
import sys
import time

from conveyor.simulator.agent.order import Behaviour, Order
from conveyor.simulator.agent.speech import Speech
from conveyor.simulator.agent.work import GOOD, agree, paper_of, write_paper, write_result

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FOREVER_S = 3600.0


def fail(_order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """End with an exit code (1) after an error, having left nothing."""
    text = behaviour.text("text", "Something went wrong.")
    speech.error(text, reason="error_during_execution")
    sys.stderr.write(f"error: {text}\n")
    return int(behaviour.number("exit_code", 1))


def crash(_order: Order, _behaviour: Behaviour, _speech: Speech) -> int:
    """Die of SIGKILL in the middle of a line, as when memory runs out."""
    sys.stdout.write('{"type":"assistant","message":{"content":[{"type":"te')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


def hang(_order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Say nothing for `seconds` (an hour), then end with an error; a signal ends it at once."""
    time.sleep(behaviour.number("seconds", FOREVER_S))
    speech.error("timed out")
    return 1


def stubborn(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Hang and ignore every signal that can be ignored."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return hang(order, behaviour, speech)


def linger(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Do all the work, say the result, and then do not exit for `seconds` (ten minutes)."""
    agree(order, behaviour, speech)
    speech.result("done")
    time.sleep(behaviour.number("seconds", 600))
    return 0


def babble(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Print `lines` (2,000) of noise and one line of `line_bytes` (1 MB), then do the work."""
    for number in range(int(behaviour.number("lines", 2000))):
        sys.stdout.write(f"noise {number} on stdout\n")
        if number % 100 == 0:
            sys.stderr.write(f"noise {number} on stderr\n")
    left = int(behaviour.number("line_bytes", 1_000_000))
    while left > 0:
        sys.stdout.write("x" * min(left, 1 << 20))
        left -= 1 << 20
    sys.stdout.write("\n")
    return _succeed(order, behaviour, speech)


def orphan(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Leave a grandchild in a session of its own that lives for `seconds` (an hour), then do the work.

    It holds stdout open unless `quiet` is set, and its process id stands in `.conveyor/orphan-<run id>.pid`.
    """
    child = os.fork()
    if child == 0:
        _become_orphan(order, behaviour)
    os.waitpid(child, 0)
    return _succeed(order, behaviour, speech)


def _become_orphan(order: Order, behaviour: Behaviour) -> None:
    os.setsid()
    if os.fork():
        os._exit(0)
    note = order.cwd / ".conveyor" / f"orphan-{order.run_id}.pid"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{os.getpid()}\n")
    if behaviour.options.get("quiet"):
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
    # A fresh program, so that the process holds nothing of this one's memory.
    seconds = str(behaviour.number("seconds", FOREVER_S))
    program = [sys.executable, "-c", "import sys, time; time.sleep(float(sys.argv[1]))", seconds]
    os.execv(sys.executable, program)  # noqa: S606 - becoming another program without a shell is the point


def rate_limit(_order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Report that the provider refuses (429), with `resets_at` (epoch seconds) or `retry_after_s` if given; exit 1."""
    speech.retry(1, 10, "rate_limit", 429)
    if "resets_at" in behaviour.options:
        speech.limit_event(int(behaviour.number("resets_at", 0)))
    hint = behaviour.options.get("retry_after_s")
    text = behaviour.text("text", "API Error: Request rejected (429) · This request would exceed your rate limit")
    speech.error(text + ("" if hint is None else f" · retry after {hint} seconds"), status=429, kind="rate_limit")
    return 1


def overload(_order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Report that the provider is overloaded (529); exit 1."""
    speech.error(behaviour.text("text", "API Error: Repeated 529 Overloaded errors"), status=529, kind="overloaded")
    return 1


def lie(_order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Claim success and leave nothing at all."""
    speech.say(behaviour.text("text", "I have made all changes and all tests pass."))
    speech.result("All done.")
    return 0


def foreign_result(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Do the work, but leave a result file of another run."""
    agree(order, behaviour, speech)
    paper = paper_of(order.role, good=True)
    write_result(order, paper, "Left by another run.", [], run_id=behaviour.text("run_id", "run-of-another"))
    speech.result("done")
    return 0


def garble(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Do the work, but leave front matter without its verdict and a result file that is no JSON."""
    agree(order, behaviour, speech)
    paper = GOOD.get(order.role) or paper_of(order.role, good=True)
    write_paper(order, paper, "verdict: APPROVED, status: PASS", speech)
    document = order.docs_dir / paper.name
    document.write_text(document.read_text().replace(f"{paper.key}: {paper.word}\n", f"{paper.key}: certainly\n"))
    order.result_file.write_text('{"schema": "conveyor-result/1", "verdict": ')
    speech.result("done")
    return 0


def mute(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Do the work, but leave no result file."""
    agree(order, behaviour, speech)
    order.result_file.unlink(missing_ok=True)
    speech.result("done")
    return 0


def _succeed(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    agree(order, behaviour, speech)
    speech.result("done")
    return 0
