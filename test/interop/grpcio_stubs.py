"""Calls every RPC through the stubs that protoc wrote for Python; prints what came back as JSON."""

import json
import queue
import sys

import grpc
from gufo.liftbridge import api_pb2 as api
from gufo.liftbridge.api_pb2_grpc import APIStub


def failure(call, request, **options):
    try:
        call(request, **options)
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]


def publish_async(stub):
    """Two requests in, one good and one not; the answers; then the end by half-close."""
    requests = queue.Queue()
    requests.put(api.PublishRequest(stream="raw", value=b"c", correlationId="good", expectedOffset=-1))
    requests.put(api.PublishRequest(stream="nothing", value=b"d", correlationId="bad", expectedOffset=-1))
    call = stub.PublishAsync(iter(requests.get, None), timeout=10)
    answers = {}
    for _ in range(2):
        answer = next(call)
        code = api.PublishAsyncError.Code.Name(answer.asyncError.code) if answer.HasField("asyncError") else "OK"
        answers[answer.correlationId] = [code, answer.ack.offset]
    requests.put(None)
    answers["end"] = [len(list(call)), call.code().name]
    return answers


def subscription(stub):
    call = stub.Subscribe(api.SubscribeRequest(stream="raw", startPosition=api.StartPosition.EARLIEST))
    first = next(call)
    values = [next(call).value.decode() for _ in range(3)]
    call.cancel()
    return {"first is empty": first.ByteSize() == 0, "values": values, "cancelled": call.code().name}


def group(stub):
    joined = stub.JoinConsumerGroup(
        api.JoinConsumerGroupRequest(groupId="workers", consumerId="one", streams=["raw"])
    )
    fetched = stub.FetchConsumerGroupAssignments(
        api.FetchConsumerGroupAssignmentsRequest(groupId="workers", consumerId="one", epoch=joined.epoch)
    )
    stub.LeaveConsumerGroup(api.LeaveConsumerGroupRequest(groupId="workers", consumerId="one"))
    return {"coordinator": joined.coordinator, "assigned": [[a.stream, list(a.partitions)] for a in fetched.assignments]}


def main(address):
    with grpc.insecure_channel(address) as channel:
        stub = APIStub(channel)
        seen = {}
        stub.CreateStream(api.CreateStreamRequest(subject="raw.subject", name="raw", partitions=1))
        seen["exists"] = failure(stub.CreateStream, api.CreateStreamRequest(subject="raw.subject", name="raw"))
        ack = stub.Publish(api.PublishRequest(stream="raw", value=b"a", expectedOffset=-1), timeout=10).ack
        seen["publish"] = [ack.stream, ack.offset, ack.commitTimestamp > 0]
        ack = stub.PublishToSubject(api.PublishToSubjectRequest(subject="raw.subject", value=b"b"), timeout=10).ack
        seen["to subject"] = [ack.stream, ack.offset]
        seen["async"] = publish_async(stub)
        seen["subscribe"] = subscription(stub)
        seen["group"] = group(stub)
        stub.SetCursor(api.SetCursorRequest(stream="raw", partition=0, cursorId="c", offset=7))
        seen["cursor"] = stub.FetchCursor(api.FetchCursorRequest(stream="raw", partition=0, cursorId="c")).offset
        brokers = stub.FetchMetadata(api.FetchMetadataRequest(streams=["raw"])).brokers
        seen["metadata"] = [f"{broker.host}:{broker.port}" == address for broker in brokers]
        partition = stub.FetchPartitionMetadata(api.FetchPartitionMetadataRequest(stream="raw", partition=0)).metadata
        seen["partition"] = [partition.newestOffset, partition.highWatermark]
        stub.SetStreamReadonly(api.SetStreamReadonlyRequest(name="raw", partitions=[0], readonly=True))
        request = api.PublishRequest(stream="raw", value=b"e", expectedOffset=-1)
        seen["readonly"] = failure(stub.Publish, request)
        stub.SetStreamReadonly(api.SetStreamReadonlyRequest(name="raw", partitions=[0], readonly=False))
        stub.PauseStream(api.PauseStreamRequest(name="raw", partitions=[0]))
        [stream] = stub.FetchMetadata(api.FetchMetadataRequest(streams=["raw"])).streamMetadata
        seen["paused"] = stream.partitions[0].paused
        stub.Publish(request)
        seen["compressed"] = failure(stub.Publish, request, compression=grpc.Compression.Gzip)[0]
        lonely = api.CreateStreamRequest(subject="lonely", name="lonely", partitions=1, replicationFactor=1)
        lonely.minIsr.value = 2
        stub.CreateStream(lonely)
        never = api.PublishRequest(stream="lonely", value=b"f", ackPolicy=api.AckPolicy.ALL, expectedOffset=-1)
        seen["deadline"] = failure(stub.Publish, never, timeout=0.3)[0]
        stub.DeleteStream(api.DeleteStreamRequest(name="raw"))
        seen["deleted"] = failure(stub.Publish, request)
        print(json.dumps(seen))


main(sys.argv[1])
