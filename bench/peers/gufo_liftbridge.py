"""gufo-liftbridge, measured like the other peers: rounds as JSON lines on standard input, costs on standard output."""

import asyncio
import json
import resource
import sys
import time

from gufo.liftbridge.client import LiftbridgeClient
from gufo.liftbridge.types import StartPosition


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e6


async def run(address: str) -> None:
    loop = asyncio.get_running_loop()
    async with LiftbridgeClient([address]) as client:
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            given = json.loads(line)
            before, started = cpu(), time.perf_counter()
            if given["kind"] == "publish":
                value = b"v" * given["size"]
                one = client.get_publish_request(value, stream=given["stream"])
                async for _ in client.publish_bulk((one for _ in range(given["messages"])), wait=True):
                    pass
            else:
                read = 0
                async for _ in client.subscribe(given["stream"], partition=0, start_position=StartPosition.EARLIEST):
                    read += 1
                    if read == given["messages"]:
                        break
            cost = {"cpu": cpu() - before, "wall": (time.perf_counter() - started) * 1000}
            print(json.dumps(cost), flush=True)


asyncio.run(run(sys.argv[1]))
