"""The machine a figure was measured on, in one line: figures of two machines cannot be compared."""

import os
import platform
import re
import subprocess
from pathlib import Path

from conveyor.servicekit.nats_process import server_binary


def described() -> str:
    """Return processor, cores, load, system, Python and nats-server."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    server = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load}; {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, {server}"
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return found.group(1) if found else platform.machine()
