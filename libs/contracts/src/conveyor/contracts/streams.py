"""Streams and key-value buckets as data; servicekit creates, verifies and migrates what stands here."""

from msgspec import Struct

DAY_S = 86_400
MIB = 1024 * 1024


class StreamSpec(Struct, frozen=True, kw_only=True):
    """One stream; durations in seconds, sizes in bytes, 0 for no limit."""

    name: str
    subjects: tuple[str, ...]
    description: str
    max_age_s: int = 0
    max_bytes: int = 0
    duplicate_window_s: int = 120
    schedules: bool = False
    """Whether messages may be scheduled (`Nats-Schedule`)."""
    batches: bool = False
    """Whether several messages may be stored as one (`Nats-Batch-Id`), with one sync of the disk."""
    compressed: bool = False


class BucketSpec(Struct, frozen=True, kw_only=True):
    """One key-value bucket; `ttl_s` 0 keeps entries for ever."""

    name: str
    description: str
    ttl_s: int = 0
    history: int = 1


EVENTS = StreamSpec(
    name="EVENTS",
    subjects=("event.>", "timer.>"),
    description="Facts, one task each; the message id is the event's content",
    max_age_s=90 * DAY_S,
    duplicate_window_s=7 * DAY_S,
    schedules=True,
    batches=True,
)
TASKS = StreamSpec(
    name="TASKS",
    subjects=("task.>",),
    description="Every revision of every task: cause, decision, commands and the whole task after it",
)
COMMANDS = StreamSpec(
    name="COMMANDS",
    subjects=("command.>",),
    description="Work, each command on a subject of its own that refuses its twin",
    max_age_s=30 * DAY_S,
)
LOGS = StreamSpec(
    name="LOGS",
    subjects=("log.>",),
    description="What agents print, chunk by chunk",
    max_age_s=14 * DAY_S,
    max_bytes=4096 * MIB,
    compressed=True,
)
DEAD = StreamSpec(
    name="DEAD",
    subjects=("dead.>",),
    description="Messages nobody could process, with the error and how to replay them",
    max_age_s=30 * DAY_S,
)
STREAMS = (EVENTS, TASKS, COMMANDS, LOGS, DEAD)

LOOKUP = BucketSpec(name="lookup", description="issue id -> key, commit -> key", ttl_s=90 * DAY_S)
RUNS = BucketSpec(name="runs", description="Who took which run and how it ended", ttl_s=30 * DAY_S, history=5)
RUNNERS = BucketSpec(name="runners", description="Which runners are there; entries expire", ttl_s=30)
LEASES = BucketSpec(name="leases", description="Who owns what may have one owner", ttl_s=0)
EFFECTS = BucketSpec(name="effects", description="How far effects got that must not be done twice", ttl_s=30 * DAY_S)
BREAKERS = BucketSpec(name="breakers", description="Circuit breakers of agent accounts")
SPEND = BucketSpec(name="spend", description="Money per project and day", ttl_s=400 * DAY_S)
RECONCILER = BucketSpec(name="reconciler", description="Watermarks and the last pass")
BUCKETS = (LOOKUP, RUNS, RUNNERS, LEASES, EFFECTS, BREAKERS, SPEND, RECONCILER)
