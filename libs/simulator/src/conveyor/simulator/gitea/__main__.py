"""Runs the simulated Gitea alone: `python -m conveyor.simulator.gitea --port 0` prints one JSON line and serves."""

import argparse
import asyncio
from pathlib import Path

from conveyor.simulator import standing
from conveyor.simulator.gitea.server import GiteaServer
from conveyor.simulator.gitea.world import Token, World

SETTLE_S = 5.0
"""How long a stop waits for checks, CI and webhooks that are under way."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A simulated Gitea with one repository, for trying things out.")
    standing.add_arguments(parser)
    parser.add_argument("--root", type=Path, default=None, help="folder of the repositories; default: a passing one")
    parser.add_argument("--repository", default="acme/demo", help="the repository to make, as owner/name")
    parser.add_argument("--bot", default="conveyor-bot", help="login of the bot, a collaborator")
    parser.add_argument("--bot-token", default="", help="the bot's access token; default: a new one")
    parser.add_argument("--ci-context", default="ci/test", help="what CI calls itself; empty: there is no CI")
    parser.add_argument("--ci-delay-s", type=float, default=0.2, help="how long CI takes")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(chosen: argparse.Namespace) -> None:
    gitea = GiteaServer(chosen.root, port=chosen.port)
    world: World | None = standing.kept(chosen.state)
    if world is None:
        await _furnish(gitea, chosen)
    else:
        gitea.forge.adopt(world)
    if chosen.ci_context:
        gitea.enable_ci(chosen.repository, context=chosen.ci_context, delay_s=chosen.ci_delay_s)
    token = next(iter(gitea.forge.world.user(chosen.bot).tokens))
    told = {"repository": chosen.repository, "bot": chosen.bot, "bot_token": token}

    async def last() -> World:
        await standing.at_most(SETTLE_S, gitea.settled())
        return gitea.forge.world

    await standing.stand(gitea, chosen, told, last)


async def _furnish(gitea: GiteaServer, chosen: argparse.Namespace) -> None:
    """Make the owner, the bot, the repository and its webhook, with the secrets that were given."""
    gitea.create_user(chosen.repository.partition("/")[0])
    bot = gitea.create_user(chosen.bot)
    if chosen.bot_token:
        bot.tokens[chosen.bot_token] = Token(gitea.forge.world.next_id("token"), "given", frozenset({"all"}))
    else:
        gitea.create_token(chosen.bot)
    await gitea.create_repo(chosen.repository)
    gitea.add_collaborator(chosen.repository, chosen.bot)
    if chosen.webhook:
        gitea.add_hook(chosen.repository, chosen.webhook, chosen.webhook_secret)


if __name__ == "__main__":
    main()
