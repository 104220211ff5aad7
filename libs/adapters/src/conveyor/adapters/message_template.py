"""The JSON that a notification's receiver wants, as a text with placeholders; pure. Ready ones for known receivers."""

import json
import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from conveyor.contracts.errors import SettingsError

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NAMES = ("message", "text", "link", "level")
_PROBE = 'a"b\\c\n{text}'
"""A value that breaks a template whose placeholder does not stand inside quotes."""


def _plain(text: str) -> str:
    return text


def _for_slack(text: str) -> str:
    """Take the force out of Slack's own marks: a title such as `<!channel>` must not call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class MessageTemplate(Struct, frozen=True):
    """A JSON text with {text}, {link}, {level} and {message} (text, then link on a line of its own) inside its strings.

    `spell` says how the receiver wants text spelt before it becomes JSON.
    """

    body: str
    spell: Callable[[str], str] = _plain

    def render(self, level: str, text: str, link: str = "") -> bytes:
        """Return the body for one message. What stands in the values is never read as a placeholder or as JSON."""
        values = {"text": self.spell(text), "link": link, "level": level}
        values["message"] = f"{values['text']}\n{link}" if link else values["text"]

        def put(match: re.Match[str]) -> str:
            return json.dumps(values[match[1]])[1:-1] if match[1] in values else match[0]

        return _PLACEHOLDER.sub(put, self.body).encode()


READY: Mapping[str, MessageTemplate] = {
    "generic": MessageTemplate('{"text": "{message}", "level": "{level}", "link": "{link}"}'),
    "slack": MessageTemplate('{"text": "{message}"}', _for_slack),
    "mattermost": MessageTemplate('{"text": "{message}", "username": "Conveyor"}'),
    "matrix": MessageTemplate('{"text": "{message}", "username": "Conveyor"}'),
}
"""By name: `matrix` is what the bridge matrix-hookshot takes at its generic webhooks."""


def template_of(setting: str) -> MessageTemplate:
    """Return a ready template by its name, or the one that the setting spells out.

    SettingsError when it is neither a known name nor a JSON object whose placeholders stand inside strings.
    """
    if setting in READY:
        return READY[setting]
    if not setting.lstrip().startswith("{"):
        raise SettingsError(f"webhook template {setting!r} is not known; expected {', '.join(READY)} or a JSON object")
    if unknown := [name for name in _PLACEHOLDER.findall(setting) if name not in _NAMES]:
        raise SettingsError(f"webhook template: no placeholder {{{unknown[0]}}}; known are {', '.join(_NAMES)}")
    template = MessageTemplate(setting)
    try:
        json.loads(template.render(_PROBE, _PROBE, _PROBE))
    except ValueError as error:
        raise SettingsError(f"webhook template: not JSON once filled in ({error}); quote each placeholder") from error
    return template
