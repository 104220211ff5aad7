"""The bus: NATS JetStream behind the few words that Conveyor uses. The only package that imports `nats`."""

from conveyor.servicekit.bus.commands import CommandQueue
from conveyor.servicekit.bus.connection import Bus, NoRespondersError, connect
from conveyor.servicekit.bus.consume import consume, consume_by_priority
from conveyor.servicekit.bus.consumer import ConsumerSpec, acknowledged_up_to
from conveyor.servicekit.bus.control import ask, serve
from conveyor.servicekit.bus.dead import DeadLetter, DeadLetters
from conveyor.servicekit.bus.delivery import Delivery, Handler, Lane, Outcome
from conveyor.servicekit.bus.errors import ApiError, Conflict, Leave
from conveyor.servicekit.bus.events import EventLog
from conveyor.servicekit.bus.follow import Start, follow, scan
from conveyor.servicekit.bus.forget import forget
from conveyor.servicekit.bus.group_commit import GroupCommit
from conveyor.servicekit.bus.in_order import InOrder
from conveyor.servicekit.bus.kv import Bucket, Entry
from conveyor.servicekit.bus.lease import Lease, held_until_done, leader
from conveyor.servicekit.bus.micro import register
from conveyor.servicekit.bus.provision import provision, ready
from conveyor.servicekit.bus.tasks import StoredRevision, StoredTask, TaskStore
from conveyor.servicekit.bus.wire import Message, Stored

__all__ = [
    "ApiError",
    "Bucket",
    "Bus",
    "CommandQueue",
    "Conflict",
    "ConsumerSpec",
    "DeadLetter",
    "DeadLetters",
    "Delivery",
    "Entry",
    "EventLog",
    "GroupCommit",
    "Handler",
    "InOrder",
    "Lane",
    "Lease",
    "Leave",
    "Message",
    "NoRespondersError",
    "Outcome",
    "Start",
    "Stored",
    "StoredRevision",
    "StoredTask",
    "TaskStore",
    "acknowledged_up_to",
    "ask",
    "connect",
    "consume",
    "consume_by_priority",
    "follow",
    "forget",
    "held_until_done",
    "leader",
    "provision",
    "ready",
    "register",
    "scan",
    "serve",
]
