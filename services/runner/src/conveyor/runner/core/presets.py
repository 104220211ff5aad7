"""The agents that ship ready: how five command lines are started, read and stopped (docs/protocols.md)."""

from collections.abc import Mapping

from msgspec.structs import fields, replace

from conveyor.runner.core.agent import Agent

PRESETS: Mapping[str, Agent] = {
    "claude": Agent(
        command=(
            "claude",
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--permission-mode",
            "acceptEdits",
            "--allowedTools",
            "Bash",
            "--setting-sources",
            "user,project",
            "--strict-mcp-config",
        ),
        resume=("--resume", "{session_id}"),
        output="claude-stream-json",
        env={
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
            "CLAUDE_CODE_MAX_RETRIES": "3",
            "API_TIMEOUT_MS": "300000",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
        pass_env=("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"),
        version=("claude", "--version"),
    ),
    "codex": Agent(
        command=("codex", "exec", "--json", "--skip-git-repo-check", "-s", "workspace-write", "-"),
        output="codex-jsonl",
        pass_env=("OPENAI_API_KEY", "CODEX_API_KEY"),
        version=("codex", "--version"),
    ),
    "gemini": Agent(
        command=("gemini", "--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust"),
        resume=("--resume", "{session_id}"),
        output="gemini-stream-json",
        # It starts itself once more and passes no signal on, unless it is told not to.
        env={"GEMINI_CLI_NO_RELAUNCH": "true"},
        pass_env=("GEMINI_API_KEY",),
        version=("gemini", "--version"),
    ),
    "opencode": Agent(
        command=("opencode", "run", "--format", "json", "--auto"),
        resume=("-s", "{session_id}"),
        output="opencode-json",
        pass_env=("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        version=("opencode", "--version"),
        # It ignores SIGINT: the first signal is SIGTERM to its group.
        stop_signals=(),
    ),
    "aider": Agent(
        command=(
            "aider",
            "--message-file",
            "{prompt_file}",
            "--yes-always",
            "--no-check-update",
            "--no-pretty",
            "--no-stream",
            "--analytics-disable",
            "--no-gitignore",
        ),
        pass_env=("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        version=("aider", "--version"),
    ),
}
"""By the names used in the configuration."""


def completed(agent: Agent) -> Agent:
    """Return the agent with its preset's values wherever it has none of its own; an unknown preset changes nothing."""
    preset = PRESETS.get(agent.preset)
    if preset is None:
        return agent
    own = {field.name: getattr(agent, field.name) for field in fields(Agent)}
    plain = Agent()
    return replace(preset, **{name: value for name, value in own.items() if value != getattr(plain, name)})
