"""The runner's root folder: made, closed to others, and ours alone while the process lives."""

import fcntl
from pathlib import Path

from conveyor.contracts.errors import SettingsError
from conveyor.servicekit.lifecycle import Service


def take_root(service: Service, configured: str) -> Path:
    """Return the runner's root, a path relative to the configuration file.

    SettingsError when another runner has it, which would sweep our runs away.
    """
    folder = service.config_path.parent if service.config_path else Path()
    root = (folder / configured).resolve()
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)  # an agent may leave programs there that run as we do
    lock = (root / "lock").open("w")
    service.resources.callback(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SettingsError(f"runner.root: {root} is in use by another runner; give each a root of its own") from error
    return root
