"""Talks to a NATS server with nats-py and prints what it saw as one line of JSON."""

import asyncio
import json
import sys

import nats
from nats.errors import MaxPayloadError, NoRespondersError


async def main(url):
    client = await nats.connect(url, name="python")
    worker = await nats.connect(url)
    seen = {"max_payload": client.max_payload}

    literal = await client.subscribe("py.a.b")
    star = await client.subscribe("py.*.b")
    rest = await client.subscribe("py.>")
    await client.publish("py.a.b", b"one", headers={"Color": "red", "Size": "9"})
    seen["literal"] = await text(literal)
    seen["star"] = await text(star)
    message = await rest.next_msg(timeout=5)
    seen["rest"] = [message.subject, message.data.decode(), message.headers]

    async def answer(request):
        await request.respond(b"re:" + request.data)

    await worker.subscribe("py.service", queue="workers", cb=answer)
    await client.subscribe("py.service", queue="workers", cb=answer)
    await worker.flush()
    replies = [(await client.request("py.service", str(n).encode(), timeout=5)).data.decode() for n in range(20)]
    seen["replies"] = replies
    try:
        await client.request("without.subscriber.py", b"", timeout=5)
        seen["unanswered"] = "answered"
    except NoRespondersError:
        seen["unanswered"] = "no responders"
    try:
        await client.publish("py.big", bytes(client.max_payload + 1))
        seen["big"] = "sent"
    except MaxPayloadError:
        seen["big"] = "max payload"

    limited = await client.subscribe("py.limited")
    await limited.unsubscribe(limit=2)
    for n in range(4):
        await client.publish("py.limited", str(n).encode())
    seen["limited"] = [(await limited.next_msg(timeout=5)).data.decode() for _ in range(2)]
    await client.flush()
    seen["broker"] = (await client.request("broker.service", b"ping", timeout=5)).data.decode()
    # Draining waits for every message to be read: only the worker reads all of its own.
    await worker.drain()
    await client.close()
    print(json.dumps(seen))


async def text(subscription):
    return (await subscription.next_msg(timeout=5)).data.decode()


asyncio.run(main(sys.argv[1]))
