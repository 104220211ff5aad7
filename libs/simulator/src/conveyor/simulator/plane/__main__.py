"""Runs the simulated Plane alone: `python -m conveyor.simulator.plane --port 0` prints one JSON line and serves."""

import argparse
import asyncio
import dataclasses

from conveyor.simulator import standing
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import Project, World

BOT = "conveyor"


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A simulated Plane with one project, for trying things out.")
    standing.add_arguments(parser)
    parser.add_argument("--slug", default="acme", help="the workspace's slug")
    parser.add_argument("--project", default="DEMO", help="identifier of the project to make")
    parser.add_argument("--project-id", default="", help="the project's id; default: a new one")
    parser.add_argument("--owner-key", default="", help="API key of the owner; default: a new one")
    parser.add_argument("--bot-key", default="", help="API key of the bot; default: a new one")
    parser.add_argument("--rate-limit", type=int, default=60, help="requests a minute and key; 0 sets no limit")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(chosen: argparse.Namespace) -> None:
    options = PlaneOptions(chosen.slug, chosen.port, chosen.rate_limit or None)
    world: World | None = standing.kept(chosen.state)
    plane = PlaneServer(dataclasses.replace(options, world=world))
    if world is None:
        _furnish(plane, chosen)
    project = next(iter(plane.world.projects.values()))
    bot = next(user for user in plane.world.users.values() if user.is_bot)
    told = {"slug": plane.slug, "project_id": project.id, "owner_key": plane.owner.api_key, "bot_key": bot.api_key}
    if chosen.webhook:
        told["webhook_secret"] = plane.add_webhook(chosen.webhook, secret=chosen.webhook_secret or None).secret

    async def last() -> World:
        plane.release_history()
        return plane.world

    await standing.stand(plane, chosen, told, last)


def _furnish(plane: PlaneServer, chosen: argparse.Namespace) -> None:
    """Make the project and the bot, with the ids and keys that were given."""
    project = plane.create_project(chosen.project, chosen.project)
    bot = plane.add_user(BOT, is_bot=True)
    plane.owner.api_key = chosen.owner_key or plane.owner.api_key
    bot.api_key = chosen.bot_key or bot.api_key
    if chosen.project_id:
        _rename(plane.world, project, chosen.project_id)


def _rename(world: World, project: Project, project_id: str) -> None:
    states = world.states_of(project.id)
    del world.projects[project.id]
    project.id = project_id
    world.projects[project_id] = project
    for state in states:
        state.project_id = project_id


if __name__ == "__main__":
    main()
