"""One TOML file and the environment to a service's frozen Settings; a mistake names file, path and expectation.

The only place that reads the environment.
"""

import os
import re
import tomllib
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from conveyor.contracts.errors import SettingsError
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.settings_fields import field_types, is_secret, is_secrets, struct_of

S = TypeVar("S", bound=msgspec.Struct)
Raw = dict[str, Any]

SECTIONS = (
    "nats",
    "log",
    "plane",
    "gitea",
    "project",
    "pipelines",
    "gateway",
    "engine",
    "runner",
    "agents",
    "reconciler",
    "notify",
    "demo",
)
"""Every section that one configuration file may hold, for all services together."""

_ENVIRONMENT = re.compile(r"CONVEYOR_([A-Z]+)__([A-Z0-9_]+)")
_PATH = re.compile(r"(?P<what>.*) - at `\$\.?(?P<path>.*)`", re.DOTALL)


def load(
    kind: type[S],
    path: Path | None,
    *,
    sections: Collection[str] = SECTIONS,
    environment: Mapping[str, str] | None = None,
) -> S:
    """Return the Settings of one service; SettingsError names file, path and expectation.

    Sections in `sections` that this service has no field for are somebody else's and are skipped. A variable
    CONVEYOR_<SECTION>__<KEY> (deeper: another `__`) outranks the file. Beside a secret field `x`, `x_file` names a
    file that holds it, relative to the configuration file. `environment` is the process's own unless given.
    """
    where = str(path) if path else "environment"
    raw = _read(path)
    given = os.environ if environment is None else environment  # noqa: TID251 - this file owns the environment
    types = field_types(kind)
    unknown = [name for name in raw if name not in types and name not in sections]
    if unknown:
        raise SettingsError(f"{where}: {unknown[0]}: unknown section; known: {', '.join(sorted({*sections, *types}))}")
    own = {name: value for name, value in raw.items() if name in types}
    _override(own, types, given, sections)
    folder = path.parent if path else Path()
    for name, value in own.items():
        own[name] = _resolve(value, types[name], folder, f"{where}: {name}")
    try:
        return msgspec.convert(own, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), where, kind)) from error


def environment_with(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with these variables set, for a service started as a child."""
    return {**os.environ, **overrides}  # noqa: TID251 - this file owns the environment


def _read(path: Path | None) -> Raw:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: expected UTF-8 text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error


def _decode(kind: type, value: object) -> object:
    if kind is Secret:
        if isinstance(value, str):
            return Secret(value)
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    raise NotImplementedError(f"settings hold no {kind}")


def _override(own: Raw, types: dict[str, Any], environment: Mapping[str, str], sections: Collection[str]) -> None:
    for variable in sorted(environment):
        match = _ENVIRONMENT.fullmatch(variable)
        if match is None:
            continue
        section, keys = match.group(1).lower(), match.group(2).lower().split("__")
        if section not in types:
            if section not in sections:
                raise SettingsError(f"{variable}: there is no section {section!r}; known: {', '.join(sections)}")
            continue
        _put(own, types[section], [section, *keys], (variable, environment[variable]))


def _put(own: Raw, kind: Any, path: list[str], given: tuple[str, str]) -> None:
    """Set the value of one variable in the raw configuration, turned into what its field holds."""
    variable, text = given
    place = own
    for name in path[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise SettingsError(f"{variable}: {name} is not a table, it cannot be set by a variable")
    section = kind
    for name in path[1:-1]:
        section = field_types(struct_of(section)).get(name)
    wanted = field_types(struct_of(section)).get(path[-1], str)
    place[path[-1]] = _from_text(text, wanted, variable)


def _from_text(text: str, wanted: Any, variable: str) -> object:
    if wanted is str or is_secret(wanted):
        return text
    if is_secrets(wanted):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        plain = text if wanted in (int, float, bool) else _as_json(text, wanted)
        return msgspec.to_builtins(msgspec.convert(plain, wanted, strict=False))
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise SettingsError(f"{variable}: {error}") from error


def _as_json(text: str, wanted: Any) -> object:
    """Return JSON as it reads, and anything else as text: for a list, what stands between commas."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        is_list = typing.get_origin(wanted) is tuple
        return [part.strip() for part in text.split(",") if part.strip()] if is_list else text


def _resolve(value: Any, wanted: Any, folder: Path, place: str) -> Any:
    """Resolve the secrets of a Struct, or of every Struct in a table or list of them."""
    section = struct_of(wanted)
    if section is None:
        return value
    if isinstance(value, list):
        return [_resolve(item, section, folder, f"{place}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if typing.get_origin(wanted) is dict:
        return {name: _resolve(item, section, folder, f"{place}.{name}") for name, item in value.items()}
    return _with_secrets(value, section, folder, place)


def _with_secrets(raw: Raw, kind: type[msgspec.Struct], folder: Path, place: str) -> Raw:
    """Resolve `x_file` and, for `xs`, the singular `x`, for every secret field of this section and those inside it."""
    found = dict(raw)
    for name, wanted in field_types(kind).items():
        if is_secret(wanted):
            _take_file(found, name, folder, place)
        elif is_secrets(wanted):
            single = name.removesuffix("s")
            for key in (single, name):
                _take_file(found, key, folder, place)
            one = found.pop(single, None)
            if one is not None:
                found[name] = [*(one if isinstance(one, list) else [one]), *found.get(name, [])]
            elif isinstance(found.get(name), str):
                found[name] = found[name].splitlines()
        elif name in found:
            found[name] = _resolve(found[name], wanted, folder, f"{place}.{name}")
    return found


def _take_file(found: Raw, key: str, folder: Path, place: str) -> None:
    file = found.pop(f"{key}_file", None)
    if file is None:
        return
    if found.get(key):
        raise SettingsError(f"{place}.{key}: set either {key} or {key}_file, not both")
    try:
        found[key] = (folder / str(file)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{place}.{key}_file: cannot read {file}: {error}") from error


def _explain(text: str, where: str, kind: type[msgspec.Struct]) -> str:
    match = _PATH.fullmatch(text)
    what, path = (match.group("what"), match.group("path")) if match else (text, "")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what)
    missing = re.fullmatch(r"Object missing required field `(.*)`", what)
    if unknown:
        known = _known(kind, path)
        return f"{where}: {_join(path, unknown.group(1))}: unknown key" + (f"; known: {known}" if known else "")
    if missing:
        return f"{where}: {_join(path, missing.group(1))}: missing; this service cannot start without it"
    return f"{where}: {path or 'configuration'}: {what}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _known(kind: Any, path: str) -> str:
    for name in re.findall(r"[a-z_0-9]+", path):
        kind = struct_of(field_types(struct_of(kind)).get(name))
    found = struct_of(kind)
    return ", ".join(field_types(found)) if found else ""
