"""Each service answers as a NATS micro service, so that `nats micro ls` shows who is there and how it is."""

from collections.abc import Awaitable, Callable, Mapping

import nats.micro
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, ServiceConfig

from conveyor.servicekit.bus.connection import Bus

Endpoint = Callable[[bytes], Awaitable[bytes]]


async def register(
    bus: Bus,
    name: str,
    version: str,
    endpoints: Mapping[str, Endpoint] | None = None,
) -> Callable[[], Awaitable[None]]:
    """Answer PING, INFO and STATS as `conveyor-<name>`, and each endpoint on `conveyor.<name>.<endpoint>`.

    `version` is semantic (1.2.3). Every instance answers PING; an endpoint's question reaches one instance. Returns
    what ends it.
    """
    await bus.wait_connected()
    config = ServiceConfig(name=f"conveyor-{name}", version=version, description=f"Conveyor's {name}")
    service = await nats.micro.add_service(bus.client, config)
    for endpoint, answer in (endpoints or {}).items():
        await service.add_endpoint(
            EndpointConfig(name=endpoint, subject=f"conveyor.{name}.{endpoint}", handler=_handler(answer))
        )

    async def end() -> None:
        if bus.is_connected:
            await service.stop()

    return end


def _handler(answer: Endpoint) -> Callable[[Request], Awaitable[None]]:
    async def handle(request: Request) -> None:
        await request.respond(await answer(request.data))

    return handle
