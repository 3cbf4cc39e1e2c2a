"""What a service on gufo-liftbridge does, against the cluster of the first argument; prints what it saw as JSON."""

import asyncio
import json
import sys

from gufo.liftbridge.client import LiftbridgeClient
from gufo.liftbridge.error import ErrorAlreadyExists, ErrorNotFound
from gufo.liftbridge.types import AckPolicy, StartPosition

STREAM = "gufo"
CURSOR = "reader"
BULK = 5000


async def read(client, count, partition=0, **position):
    """So many messages from a position."""
    messages = []
    async for message in client.subscribe(STREAM, partition=partition, **position):
        messages.append(message)
        if len(messages) == count:
            break
    return messages


async def values(client, count, partition=0, **position):
    return [message.value.decode() for message in await read(client, count, partition, **position)]


async def refused(error, awaitable):
    try:
        await awaitable
    except error as raised:
        return str(raised)
    return "not refused"


async def streams(client, replicas):
    await client.create_stream(
        STREAM,
        subject="gufo.subject",
        partitions=2,
        replication_factor=replicas,
        minisr=1,
        retention_max_age=3600,
        segment_max_bytes=1 << 20,
        wait_for_stream=True,
    )
    await client.create_stream("short-lived")
    before = {one.name for one in (await client.get_metadata()).metadata}
    await client.delete_stream("short-lived")
    after = {one.name for one in (await client.get_metadata()).metadata}
    [stream] = (await client.get_metadata(STREAM)).metadata
    return {
        "again": await refused(ErrorAlreadyExists, client.create_stream(STREAM, subject="gufo.subject")),
        "unknown": await refused(ErrorNotFound, client.delete_stream("nothing")),
        "gone": sorted(before - after),
        "subject": stream.subject,
        "partitions": sorted(stream.partitions),
        "replicas": {len(one.replicas) for one in stream.partitions.values()}.pop(),
        "leaders known": all(one.leader in one.replicas for one in stream.partitions.values()),
    }


async def publishes(client):
    await client.publish(b"one", stream=STREAM, key=b"k", headers={"color": b"red"}, ack_policy=AckPolicy.ALL)
    await client.publish(b"two", stream=STREAM)
    await client.publish(b"three", stream=STREAM, ack_policy=AckPolicy.NONE)
    await client.publish(b"beside", stream=STREAM, partition=1)
    missing = await refused(ErrorNotFound, client.publish(b"x", stream="nothing"))
    requests = (
        client.get_publish_request(str(n).encode(), stream=STREAM, partition=1, correlation_id=f"bulk-{n}")
        for n in range(BULK)
    )
    acks = [one.ack async for one in client.publish_bulk(requests, wait=True)]
    return {
        "missing": missing,
        "bulk offsets": [one.offset for one in acks] == list(range(1, BULK + 1)),
        "bulk ids": [one.correlationId for one in acks] == [f"bulk-{n}" for n in range(BULK)],
    }


async def subscriptions(client):
    first, second, _ = messages = await read(client, 3, start_position=StartPosition.EARLIEST)
    new = asyncio.create_task(values(client, 1))
    while not new.done():
        # "New" begins when the broker has the subscription: what is published before is not for it.
        await client.publish(b"fresh", stream=STREAM)
        await asyncio.wait([new], timeout=0.2)
    bulk = await values(client, BULK, partition=1, start_offset=1)
    return {
        "earliest": [message.value.decode() for message in messages],
        "key": first.key.decode(),
        "headers": {name: value.decode() for name, value in first.headers.items() if name == "color"},
        "subject": first.subject,
        "offsets": [message.offset for message in messages],
        "rising": first.timestamp < second.timestamp,
        "offset": await values(client, 2, start_offset=1),
        "time": await values(client, 1, start_timestamp=second.timestamp / 1e9 + 1e-6),
        "latest": await values(client, 1, start_position=StartPosition.LATEST),
        "new": await new,
        "isr": await values(client, 1, allow_isr=True, start_position=StartPosition.EARLIEST),
        "bulk in order": bulk == [str(n) for n in range(BULK)],
    }


async def cursors(client):
    await client.wait_for_cursors()
    unset = await client.get_cursor(STREAM, 0, CURSOR)
    await client.set_cursor(STREAM, 0, CURSOR, 0)
    return {
        "unset": unset,
        "set": await client.get_cursor(STREAM, 0, CURSOR),
        "resumed": await values(client, 2, start_position=StartPosition.RESUME, cursor_id=CURSOR),
    }


async def partitions(client):
    partition = await client.get_partition_metadata(STREAM, 1)
    return {"newest": partition.newest_offset, "paused": partition.paused, "isr": len(partition.isr)}


async def everything(addresses, replicas):
    async with LiftbridgeClient(addresses) as client:
        return {
            "streams": await streams(client, replicas),
            "publishes": await publishes(client),
            "subscriptions": await subscriptions(client),
            "cursors": await cursors(client),
            "partition": await partitions(client),
        }


async def follow(addresses, count):
    """Reads a stream on, and says what came, line by line."""
    async with LiftbridgeClient(addresses) as client:
        read = 0
        async for message in client.subscribe("followed", partition=0, start_position=StartPosition.EARLIEST):
            print(f"{message.offset} {message.value.decode()}", flush=True)
            read += 1
            if read == count:
                break


command, brokers, number = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
if command == "follow":
    asyncio.run(follow(brokers, number))
else:
    print(json.dumps(asyncio.run(everything(brokers, number))))
