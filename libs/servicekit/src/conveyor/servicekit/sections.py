"""The sections of the configuration that services share; each service's Settings has those it needs as fields."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.pipelines import default_pipeline, pipeline_from
from conveyor.servicekit.secret import Secret


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every section is: frozen, and deaf to no misspelt key."""


class NatsSettings(Section, frozen=True, kw_only=True):
    """`[nats]`: the bus."""

    url: str = "nats://127.0.0.1:4222"
    """One server or several, separated by commas."""
    replicas: Literal[1, 3, 5] = 1
    """Copies of every stream: 1 on one server, 3 on a cluster of three."""
    embedded: bool = True
    """`conveyor up` only: start a nats-server of our own at `url`; false when one runs there already."""
    data_dir: str = ".conveyor/nats"
    """Embedded server only: the folder that holds its data, relative to the configuration file."""
    sync: Literal["always", "default"] = "always"
    """Embedded server only: `always` writes every message to disk before it is acknowledged."""
    monitor_port: int = -1
    """Embedded server only: its HTTP monitoring port; -1 for none, 0 for a free one."""
    user: str = ""
    """The user at the server; empty for none."""
    password: Secret = Secret("")
    """The user's password."""
    nkey_seed: Secret = Secret("")
    """The seed of an NKey, for servers that know users by key."""
    credentials: str = ""
    """Path of a NATS credentials file; empty for none."""
    connect_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """How long a service waits for its first connection before it gives up."""


class LogSettings(Section, frozen=True, kw_only=True):
    """`[log]`: what a service prints."""

    format: Literal["auto", "json", "pretty"] = "auto"
    """`auto`: pretty on a terminal, JSON elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """What is less important than this is not printed."""


class HttpSettings(Section, frozen=True, kw_only=True):
    """Where a service answers HTTP: its health and figures; each service nests it as it likes."""

    host: str = "127.0.0.1"
    """The address it listens on; 0.0.0.0 for all of this machine's."""
    port: int = 0
    """0 takes a free port, which the log names."""


class PlaneSettings(Section, frozen=True, kw_only=True):
    """`[plane]`: the tracker."""

    url: str = ""
    """Where Plane answers, such as https://plane.example.org."""
    workspace: str = ""
    """The workspace's slug, as it stands in Plane's URLs."""
    api_key: Secret = Secret("")
    """An API key of the bot's account; nobody else may work under that account."""
    polling_api_key: Secret = Secret("")
    """A second key for the reconciler's polling, with a rate limit of its own; empty: it shares `api_key`."""
    reserve_per_minute: int = 20
    """How many calls a minute polling leaves to everything else while it shares `api_key` (Plane allows 60)."""
    webhook_secrets: tuple[Secret, ...] = ()
    """All are accepted, the newest first, so that one can follow the other; `webhook_secret` names a single one."""
    bot_user_id: str = ""
    """The account whose own changes are ignored; empty: the owner of the API key."""


class GiteaSettings(Section, frozen=True, kw_only=True):
    """`[gitea]`: the forge."""

    url: str = ""
    """Where Gitea or Forgejo answers, such as https://git.example.org."""
    token: Secret = Secret("")
    """A token of the bot's account with the scopes write:repository and read:user."""
    webhook_secrets: tuple[Secret, ...] = ()
    """All are accepted, the newest first, so that one can follow the other; `webhook_secret` names a single one."""
    bot_login: str = ""
    """The account whose own changes are ignored; empty: the owner of the token."""
    user: str = ""
    """The name that goes with the token when git asks for one; empty: the owner of the token."""


class NotifySettings(Section, frozen=True, kw_only=True):
    """`[notify]`: where people are told. Nothing set: notifications stand in the log alone."""

    telegram_token: Secret = Secret("")
    """The token of a Telegram bot."""
    telegram_chat_id: str = ""
    """The chat it writes to; the bot must be a member."""
    webhook_url: Secret = Secret("")
    """Where a JSON message is posted; the URL is a secret, since who knows it may post."""
    webhook_template: str = "generic"
    """What is posted: generic, slack, mattermost or matrix, or a JSON text of one's own in whose strings {message},
    {text}, {link} and {level} are filled in."""


PipelineFiles = dict[str, str]
"""`[pipelines]`: a pipeline's name and the TOML file that holds it, relative to the configuration file."""


def pipelines_of(settings: PipelineFiles, where: Path | None) -> dict[str, Pipeline]:
    """Return every pipeline by name, `default` always among them; SettingsError says which one cannot run and why.

    `where` is the configuration file or its folder; None stands for the working directory.
    """
    folder = Path() if where is None else where if where.is_dir() else where.parent
    found = {"default": default_pipeline()}
    for name, file in settings.items():
        try:
            found[name] = pipeline_from(folder / file)
        except SettingsError as error:
            raise SettingsError(f"pipelines.{name}: {error}") from error
    return found
