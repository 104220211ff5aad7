"""YAML front matter of a document, strictly read: the only place in it where a machine verdict counts (SE-9)."""

import yaml

FENCE = "---"
MAX_CHARS = 65_536


def read(text: str, field: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    """Return (value, "") of a front matter field, or ("", why it cannot be read); the value is one of `allowed`."""
    block, problem = _block(text)
    if problem:
        return "", problem
    try:
        found = yaml.load(block, _Loader)  # noqa: S506 # a SafeLoader that also refuses a key said twice
    except (yaml.YAMLError, ValueError) as error:
        return "", f"its front matter is not YAML: {' '.join(str(error).split())[:200]}"
    if not isinstance(found, dict):
        return "", "its front matter is no mapping"
    if field not in found:
        return "", f"its front matter has no `{field}:`"
    value = found[field]
    if value not in allowed:
        return "", f"`{field}: {value}` is not one of {', '.join(allowed)}"
    return str(value), ""


def _block(text: str) -> tuple[str, str]:
    lines = text[:MAX_CHARS].lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != FENCE:
        return "", "it does not begin with YAML front matter (a line `---`)"
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == FENCE:
            return "\n".join(lines[1:number]), ""
    return "", "its front matter is not closed by a line `---`"


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key said twice: two verdicts are none."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"`{twice}` stands more than once")
        return dict(super().construct_mapping(node, deep=deep))
