"""Runs the simulated Plane alone: `python -m conveyor.simulator.plane --port 0` prints one JSON line and serves."""

import argparse
import asyncio
import json
import sys

from conveyor.simulator.plane.server import PlaneOptions, PlaneServer


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A simulated Plane with one project, for trying things out.")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--slug", default="acme", help="the workspace's slug")
    parser.add_argument("--project", default="DEMO", help="identifier of the project to make")
    parser.add_argument("--webhook", default="", help="URL to tell of changes")
    parser.add_argument("--rate-limit", type=int, default=60, help="requests a minute and key; 0 sets no limit")
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)


async def _serve(chosen: argparse.Namespace) -> None:
    plane = PlaneServer(PlaneOptions(chosen.slug, chosen.port, chosen.rate_limit or None))
    project = plane.create_project(chosen.project, chosen.project)
    bot = plane.add_user("conveyor", is_bot=True)
    told = {"slug": plane.slug, "project_id": project.id, "owner_key": plane.owner.api_key, "bot_key": bot.api_key}
    if chosen.webhook:
        told["webhook_secret"] = plane.add_webhook(chosen.webhook).secret
    async with plane:
        sys.stdout.write(json.dumps({"url": plane.url, **told}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
