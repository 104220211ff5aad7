"""Where pipelines come from: the one that ships, and those a configuration names."""

from importlib.resources import files
from pathlib import Path

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.pipeline_check import load_pipeline


def default_pipeline() -> Pipeline:
    """Return the pipeline that ships with Conveyor."""
    return load_pipeline(files("conveyor.contracts").joinpath("default_pipeline.toml").read_bytes(), "default pipeline")


def pipeline_from(path: Path) -> Pipeline:
    """Return the pipeline in a TOML file; SettingsError names the file, the path in it and what was expected."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the pipeline: {error.strerror}") from error
    return load_pipeline(text, str(path))
