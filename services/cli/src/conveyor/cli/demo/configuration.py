"""Writes the demo's configuration as a person would: one TOML file, a pipeline, a script, secrets in files."""

import sys
from importlib.resources import files
from pathlib import Path

from conveyor.cli.demo.world import BOT, CI_CONTEXT, REPOSITORY, DemoWorld
from conveyor.cli.up.plan import LOOPBACK

CONFIGURATION = """\
# Made by `conveyor demo`; a configuration of your own looks just like this.
[nats]
url = "nats://{loopback}:{nats_port}"
data_dir = "nats"

[log]
format = "json"

[plane]
url = "{plane_url}"
workspace = "{workspace}"
api_key_file = "secrets/plane-api-key"
webhook_secret_file = "secrets/plane-webhook"

[gitea]
url = "{gitea_url}"
user = "{bot}"
token_file = "secrets/gitea-token"
webhook_secret_file = "secrets/gitea-webhook"

[[project]]
name = "shop"
tracker_project_id = "{project_id}"
identifier = "SHOP"
repository = "{repository}"
pipeline = "demo"
required_contexts = ["{ci_context}"]

[pipelines]
demo = "pipeline.toml"

[agents.scripted]
command = ["{python}", "-m", "conveyor.simulator.agent", "--script", "{script}"]
output = "claude-stream-json"

[gateway]
host = "{loopback}"
port = 0

[runner]
name = "demo-runner"
root = "runner"

[runner.sandbox]
readable = ["{script}"]  # where bubblewrap works, agents see little beside their worktree

[reconciler]
interval_s = 2.0  # seconds; 120 in real life
grace_s = 1.0     # seconds; 600 in real life
"""

SCRIPT = """\
# What the scripted agent does: a role's behaviours, one a run, the last repeating.
[[analyst]]
do = "ask"
text = "Should the shop greet people by name, or only say the time of day?"
[[analyst]]
do = "succeed"
text = "The greeting gets the visitor's name; without one it stays as it is."

[[developer]]
do = "succeed"
files = { "src/shop.py" = '''@FIRST@''' }
[[developer]]
do = "succeed"
files = { "src/shop.py" = '''@SECOND@''' }

[[reviewer]]
do = "reject"
text = "An empty name is greeted with a dangling comma. Handle it."
[[reviewer]]
do = "succeed"
text = "The empty name is handled now."
"""
FIRST = '''\
"""The shop."""


def greeting(name: str) -> str:
    """Return what the shop says first."""
    return f"Welcome, {name}!"
'''
SECOND = '''\
"""The shop."""


def greeting(name: str = "") -> str:
    """Return what the shop says first; nobody's name is left out gracefully."""
    return f"Welcome, {name}!" if name else "Welcome!"
'''


def write(folder: Path, world: DemoWorld, nats_port: int) -> Path:
    """Write everything into the folder and return the configuration file."""
    secrets = {
        "plane-api-key": world.bot.api_key,
        "plane-webhook": world.plane_secret,
        "gitea-token": world.bot_token,
        "gitea-webhook": world.gitea_secret,
    }
    (folder / "secrets").mkdir(mode=0o700)
    for name, text in secrets.items():
        (folder / "secrets" / name).write_text(text + "\n")
    default = files("conveyor.contracts").joinpath("default_pipeline.toml").read_text("utf-8")
    pipeline = default.replace('name = "default"', 'name = "demo"').replace('agent = "claude"', 'agent = "scripted"')
    (folder / "pipeline.toml").write_text(pipeline)
    script_file = folder / "script.toml"
    script_file.write_text(script())
    config = folder / "conveyor.toml"
    config.write_text(_configuration(world, script_file, nats_port))
    return config


def script() -> str:
    """Return what the scripted agent does, as TOML."""
    return SCRIPT.replace("@FIRST@", FIRST).replace("@SECOND@", SECOND)


def _configuration(world: DemoWorld, script: Path, nats_port: int) -> str:
    return CONFIGURATION.format(
        loopback=LOOPBACK,
        nats_port=nats_port,
        plane_url=world.plane.url,
        workspace=world.plane.slug,
        gitea_url=world.gitea.url,
        bot=BOT,
        project_id=world.project.id,
        repository=REPOSITORY,
        ci_context=CI_CONTEXT,
        python=sys.executable,
        script=script,
    )
