"""The part of kustomize that our manifests use, so that they can be checked where no kustomize is installed.

Whatever it does not know in a kustomization it refuses, so that a check never looks at less than is applied.
"""

import copy
import re
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "components", "configMapGenerator", "images", "patches"),
}
WITHOUT_NAMESPACE = {"Namespace"}


def rendered(folder: Path, *components: Path) -> list[Object]:
    """Return the objects of this kustomization, `components` added; names of generated ConfigMaps carry no hash."""
    objects = _of(folder, [])
    for component in components:
        objects = _of(component, objects)
    return objects


def _of(folder: Path, objects: list[Object]) -> list[Object]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    unknown = set(kustomization) - KNOWN
    assert not unknown, f"{folder}: {sorted(unknown)} is not understood here: teach tests/rigs/kustomize.py"
    for name in kustomization.get("resources", ()):
        path = folder / name
        objects += _of(path, []) if path.is_dir() else documents(path)
    for generator in kustomization.get("configMapGenerator", ()):
        _generate(generator, folder, objects)
    for name in kustomization.get("components", ()):
        objects = _of(folder / name, objects)
    for patch in kustomization.get("patches", ()):
        _apply(patch, folder, objects)
    for image in kustomization.get("images", ()):
        _retag(image, objects)
    _settle(kustomization.get("namespace", ""), objects)
    return objects


def _settle(namespace: str, objects: list[Object]) -> None:
    for one in objects:
        if namespace and one["kind"] not in WITHOUT_NAMESPACE:
            one["metadata"]["namespace"] = namespace


def documents(path: Path) -> list[Object]:
    """Return the objects of a file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def _generate(generator: Object, folder: Path, objects: list[Object]) -> None:
    assert set(generator) <= {"name", "files", "behavior"}, generator
    data = {key: (folder / name).read_text(encoding="utf-8") for key, name in map(_key_and_file, generator["files"])}
    replaced = [one for one in objects if _named(one) == ("ConfigMap", generator["name"])]
    if generator.get("behavior") == "replace":
        replaced[0]["data"] = data
        return
    assert not replaced, generator
    metadata = {"name": generator["name"]}
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _named(one: Object) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]


def _apply(patch: Object, folder: Path, objects: list[Object]) -> None:
    text = (folder / patch["path"]).read_text(encoding="utf-8") if "path" in patch else patch["patch"]
    content = yaml.safe_load(text)
    if isinstance(content, dict):
        targets = [one for one in objects if _named(one) == _named(content)]
    else:
        wanted = patch["target"]
        targets = [one for one in objects if _named(one) == (wanted["kind"], wanted["name"])]
    assert len(targets) == 1, f"{folder}: {len(targets)} targets of {text}"
    if isinstance(content, dict):
        _merge(targets[0], {name: part for name, part in content.items() if name not in ("apiVersion", "kind")})
        return
    for operation in content:
        _operate(targets[0], operation)


def _merge(place: Object, patch: Object) -> None:
    """A strategic merge: tables deeply, lists of named things by name, other lists as a whole."""
    for name, part in patch.items():
        there = place.get(name)
        if isinstance(part, dict) and isinstance(there, dict):
            _merge(there, part)
        elif isinstance(part, list) and isinstance(there, list) and all("name" in one for one in part):
            for one in part:
                same = [old for old in there if old["name"] == one["name"]]
                if same:
                    _merge(same[0], one)
                else:
                    there.append(copy.deepcopy(one))
        elif isinstance(part, list) and isinstance(there, list) and all("mountPath" in one for one in part):
            there += copy.deepcopy(part)
        else:
            place[name] = copy.deepcopy(part)


def _operate(one: Object, operation: Object) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place: Any = one
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    match operation["op"], place:
        case "add", list():
            assert last == "-", operation
            place.append(operation["value"])
        case "add", dict():
            place[last] = operation["value"]
        case "replace", dict():
            assert last in place, operation
            place[last] = operation["value"]
        case _:
            raise AssertionError(f"not understood here: {operation}")


def _retag(image: Object, objects: list[Object]) -> None:
    for container in (container for one in objects for container in containers(one)):
        name = re.split(r":(?!.*/)", container["image"])[0]
        if name == image["name"]:
            container["image"] = f"{image.get('newName', name)}:{image['newTag']}"


def pod(one: Object) -> Object | None:
    """Return the specification of the pods that an object makes."""
    template = one.get("spec", {}).get("template")
    return template["spec"] if template else None


def containers(one: Object) -> list[Object]:
    """Return the containers of an object's pods."""
    spec = pod(one)
    return [*spec["containers"], *spec.get("initContainers", ())] if spec else []


def _key_and_file(entry: str) -> tuple[str, str]:
    """Return under which key a file's content lies: `key=file`, or the file's own name."""
    key, is_named, name = entry.partition("=")
    return (key, name) if is_named else (Path(entry).name, entry)
