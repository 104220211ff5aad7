"""The measure of P1: a FastAPI POST that does nothing, on the gateway's own uvicorn settings. `… noop PORT`."""

import asyncio
import signal
import sys

import uvloop
from fastapi import FastAPI, Request

from conveyor.servicekit.health import HttpServer
from conveyor.servicekit.sections import HttpSettings

app = FastAPI()


@app.post("/webhook/plane")
async def take(request: Request) -> dict[str, str]:
    """Read the body and say so."""
    await request.body()
    return {"status": "ok"}


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "ready"}


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = HttpServer(app, HttpSettings(port=port))
    await server.start()
    await stopping.wait()
    await server.stop()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
