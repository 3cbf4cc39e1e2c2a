"""Calls a server through grpcio with raw bytes, and prints what came back as JSON."""

import json
import sys

import grpc


def raw(data):
    return data


def outcome(call):
    try:
        return call()
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}


def main(address):
    with grpc.insecure_channel(address) as channel:
        path = "/proto.API/"
        unary = channel.unary_unary(path + "FetchMetadata", raw, raw)
        failing = channel.unary_unary(path + "CreateStream", raw, raw)
        slow = channel.unary_unary(path + "Publish", raw, raw)
        nowhere = channel.unary_unary(path + "Nope", raw, raw)
        stream = channel.unary_stream(path + "Subscribe", raw, raw)
        duplex = channel.stream_stream(path + "PublishAsync", raw, raw)
        numbers = [str(i).encode() for i in range(2000)]
        result = {
            "unary": unary(b"abc").decode(),
            "large": len(unary(b"x" * 3_000_000)),
            "too large": outcome(lambda: unary(b"x" * 5_000_000)),
            "failing": outcome(lambda: failing(b"")),
            "deadline": outcome(lambda: slow(b"", timeout=0.2)),
            "unknown": outcome(lambda: nowhere(b"")),
            "stream": sum(len(message) for message in stream(b"")),
            "duplex": list(duplex(iter(numbers))) == numbers,
        }
        print(json.dumps(result))


main(sys.argv[1])
