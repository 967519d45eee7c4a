#!/usr/bin/env python3
"""Posts to a service and prints every frame of every source it announces.  Nothing of chanserv's
is needed but its .proto file:
    pip install grpcio-tools
    python3 -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. chanserv.proto
    python3 consumer.py localhost:5555 SERVICE BODY
"""
import asyncio
import sys

import chanserv_pb2 as pb
import chanserv_pb2_grpc
import grpc


async def read(server, source):
    payload = b""
    async for frame in server.Open(pb.OpenRequest(ticket=source.ticket)):
        payload += frame.payload
        if not frame.more:  # else it is a large frame, which comes in parts
            print(f"{source.header.decode()}: {payload.decode(errors='replace')}", flush=True)
            payload = b""


async def main(addr, service, body=""):
    async with grpc.aio.insecure_channel(addr) as channel:
        server = chanserv_pb2_grpc.ChanservStub(channel)
        readers = []  # the sources are read at once, each at its own pace
        async for source in server.Post(pb.PostRequest(service=service, body=body.encode())):
            readers.append(asyncio.create_task(read(server, source)))
        await asyncio.gather(*readers)


try:
    asyncio.run(main(*sys.argv[1:]))
except grpc.RpcError as error:
    sys.exit(f"{error.code().name}: {error.details()}")
