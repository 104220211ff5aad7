"""What an agent must be able to read to run at all: its own program, wherever that is installed, and what it needs."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

_BINARIES = ("bin", ".bin", "sbin")
_TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM = tuple(map(Path, ("/usr", "/opt", "/nix/store", *_TOP)))


def system_links() -> tuple[tuple[str, str], ...]:
    """Return the system's links into /usr as (path, target)."""
    return tuple((path, str(Path(path).readlink())) for path in _TOP if Path(path).is_symlink())


def system_folders() -> tuple[str, ...]:
    """Return the top folders of systems that do not link them into /usr."""
    return tuple(path for path in _TOP if Path(path).is_dir() and not Path(path).is_symlink())


def of_program(program: str, search_path: str) -> tuple[str, ...]:
    """Return what to make readable for a program: its installation, or the file alone where that is a HOME's.

    A virtual environment brings the Python it was made of and the folders it is linked to.
    """
    found = shutil.which(program, path=search_path)
    if found is None:
        return ()
    folders = {folder for step in _steps(Path(found)) for folder in _installation(step)}
    folders |= {linked for folder in set(folders) for linked in _of_environment(folder)}
    return tuple(sorted(str(folder) for folder in folders if not _is_of_system(folder)))


def of_python() -> tuple[str, ...]:
    """Return what our own Python needs, to run a small program inside."""
    return tuple(
        sorted({str(folder) for folder in (Path(sys.base_prefix), Path(sys.prefix)) if not _is_of_system(folder)})
    )


def _steps(path: Path) -> Iterator[Path]:
    """Yield a path and whatever it links to, link by link."""
    for _ in range(20):
        yield path
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / path.readlink()))
    yield path.resolve()


def _installation(program: Path) -> Iterator[Path]:
    folder = program.parent.parent if program.parent.name in _BINARIES else program
    yield program if _is_too_much(folder) else folder


def _is_too_much(folder: Path) -> bool:
    """Whether a folder holds more than programs: a HOME, what programs keep there, or the whole system."""
    homes = (Path("/root"), Path.home(), *(Path(entry) for entry in _homes()))
    return folder == Path("/") or any(folder in (home, home / ".local", *home.parents) for home in homes)


def _homes() -> list[str]:
    try:
        return [entry.path for entry in os.scandir("/home")]
    except OSError:
        return []


def _of_environment(folder: Path) -> Iterator[Path]:
    """Yield what a Python virtual environment refers to outside itself."""
    try:
        lines = (folder / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return
    for name, _, value in (line.partition("=") for line in lines):
        if name.strip() == "home":
            yield from _installation(Path(value.strip()) / "python3")
            yield from _installation((Path(value.strip()) / "python3").resolve())
    for listing in folder.glob("lib/python*/site-packages/*.pth"):
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("/") and Path(line).is_dir():
                yield Path(line)


def _is_of_system(folder: Path) -> bool:
    return any(folder.is_relative_to(top) for top in _SYSTEM)
