"""Circles among tasks that wait for each other (SE-15). Pure."""


def circle_of(key: str, depends_on: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the keys of a circle that leads from this task back to itself, in order, or nothing when there is none."""
    paths: list[tuple[str, ...]] = [(key,)]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        for following in depends_on.get(path[-1], ()):
            if following == key:
                return (*path, key)
            if following not in seen:
                seen.add(following)
                paths.append((*path, following))
    return ()
