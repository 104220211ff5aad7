"""One child process from birth to its one result; knows nothing of agents, tasks or the bus."""

from conveyor.runner.process.execution import Guard, execute
from conveyor.runner.process.keeper import conceal
from conveyor.runner.process.lines import LineSplitter
from conveyor.runner.process.spec import Ladder, Limits, ProcessExit, ProcessSpec, Shell, Stop, StopSwitch, Timers
from conveyor.runner.process.sweep import probe_id, sweep

__all__ = [
    "Guard",
    "Ladder",
    "Limits",
    "LineSplitter",
    "ProcessExit",
    "ProcessSpec",
    "Shell",
    "Stop",
    "StopSwitch",
    "Timers",
    "conceal",
    "execute",
    "probe_id",
    "sweep",
]
