"""aiohttp: a handler that keeps the body of every request, to be on the safe side.

Question: the server grows with every request; what is kept, and by which handler?
"""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession, web

recent: list[bytes] = []


async def upload(request: web.Request) -> web.Response:
    """Take a file. The list was meant to be a deque(maxlen=10)."""
    body = await request.read()
    recent.append(body)
    return web.Response(text=str(len(body)))


async def serve(requests: int) -> None:
    """Start the server, and be its client."""
    application = web.Application()
    application.router.add_post("/", upload)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = runner.addresses[0]
    async with ClientSession() as client:
        for _ in range(requests):
            async with client.post(f"http://127.0.0.1:{address[1]}/", data=b"x" * 100_000) as answer:
                await answer.text()
    await runner.cleanup()


asyncio.run(serve(200))
