"""The bus: NATS JetStream behind the few words that Conveyor uses. The only package that imports `nats`."""

from conveyor.servicekit.bus.commands import CommandQueue
from conveyor.servicekit.bus.connection import Bus, NoRespondersError, connect
from conveyor.servicekit.bus.errors import ApiError, Conflict, Leave
from conveyor.servicekit.bus.events import EventLog
from conveyor.servicekit.bus.follow import Start, follow, scan
from conveyor.servicekit.bus.provision import provision, ready
from conveyor.servicekit.bus.tasks import StoredRevision, StoredTask, TaskStore
from conveyor.servicekit.bus.wire import Message, Stored

__all__ = [
    "ApiError",
    "Bus",
    "CommandQueue",
    "Conflict",
    "EventLog",
    "Leave",
    "Message",
    "NoRespondersError",
    "Start",
    "Stored",
    "StoredRevision",
    "StoredTask",
    "TaskStore",
    "connect",
    "follow",
    "provision",
    "ready",
    "scan",
]
