"""Run tasks, a subprocess and a thread pool under asyncio."""

import asyncio
import sys


async def child(number):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"print({number})", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return int(out)


async def main():
    held = await asyncio.gather(*(child(number) for number in range(3)))
    loop = asyncio.get_running_loop()
    held.append(await loop.run_in_executor(None, lambda: len([bytes(10)] * 100)))
    print(held)


asyncio.run(main())
