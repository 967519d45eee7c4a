#!/usr/bin/env python3
"""Posts to a service and prints every frame of every source it announces.  Nothing of chanserv's
is needed but its .proto file:
    python3 -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. chanserv.proto
    python3 consumer.py localhost:5555 SERVICE BODY
"""
import sys
from concurrent.futures import ThreadPoolExecutor

import chanserv_pb2 as pb
import chanserv_pb2_grpc
import grpc


def read(source):
    payload = b""
    for frame in server.Open(pb.OpenRequest(ticket=source.ticket)):
        payload += frame.payload
        if not frame.more:  # a large frame comes in parts
            print(f"{source.header.decode()}: {payload.decode(errors="replace")}")
            payload = b""


addr, service, body = (sys.argv[1:] + [""])[:3]
server = chanserv_pb2_grpc.ChanservStub(grpc.insecure_channel(addr))
try:
    with ThreadPoolExecutor(max_workers=1000) as threads:  # all at once, each at its own pace
        post = server.Post(pb.PostRequest(service=service, body=body.encode()))
        readers = [threads.submit(read, source) for source in post]
    for reader in readers:
        reader.result()
except grpc.RpcError as error:
    sys.exit(f"{error.code().name}: {error.details()}")
