#!/usr/bin/env python3
"""Posts and prints like consumer.py, and goes on when its connection breaks: every frame comes once
and in order, and the service's function runs once.  docs/WIRE has the rules ("Sessions").
    python3 session.py localhost:5555 SERVICE BODY
Left out: uplinks, skipping, frames inside announcements (it does not ask for them), deadlines.
"""
import asyncio
import os
import sys
import time
from collections import deque

import chanserv_pb2 as pb
import chanserv_pb2_grpc
import grpc

OPTIONS = [
    ("grpc.keepalive_time_ms", 20000),  # notices a peer that went without a word
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
]
BREAKS = (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE,
          grpc.StatusCode.UNKNOWN)


# A status that the server made has a reason: of a channel these two say that our request is of an
# attempt that is not the session's, and of the Session call another one that it is to move to
# another connection.
LATE, MOVES = ("superseded", "no-session"), ("draining",)


def broke(error, reasons):
    """Did the stream end, and not what it carries?"""
    reason = error.trailing_metadata() and error.trailing_metadata().get("chanserv-reason")
    return reason in reasons if reason else error.code() in BREAKS


class Session:
    def __init__(self, addr):
        self.channel = grpc.aio.insecure_channel(addr, options=OPTIONS)
        self.server = chanserv_pb2_grpc.ChanservStub(self.channel)
        self.id, self.attempt = os.urandom(16), 1
        self.numbers = 0  # of channels: each has one, never used twice
        self.acks = {}  # not said yet
        self.dones = deque(maxlen=1000)  # nobody confirms them, so the last ones are said again
        self.error = None
        self.standing, self.something = asyncio.Event(), asyncio.Event()
        self.closing = False
        self.holder = asyncio.create_task(self.hold())

    async def hold(self):
        """A Session call, and when it breaks the next attempt."""
        known, linger, since = False, 30, time.monotonic()
        while not self.closing and not self.error:
            if not known:  # nothing is of it yet
                self.id, self.attempt = os.urandom(16), 1
            try:
                async for down in self.server.Session(self.words()):
                    if not known:  # the first message: it stands
                        known, linger = True, down.linger_ms / 1000
                    self.standing.set()
            except grpc.aio.AioRpcError as error:  # if that is no break: "lost"
                if self.standing.is_set():
                    since = time.monotonic()
                if not broke(error, MOVES) or time.monotonic() > since + linger:
                    self.error = error
            self.standing.clear()
            if not self.closing and not self.error:
                await asyncio.sleep(0.05)
                self.attempt += 1
        self.standing.set()  # nobody need wait any more

    async def words(self):
        """What a Session call says; its end is good-bye."""
        attempt = self.attempt
        yield pb.SessionUp(session=self.id, attempt=attempt)
        for number in self.dones:
            self.say(number, done=True)
        while not self.closing or self.acks:
            await self.something.wait()
            await asyncio.sleep(0.01)  # what comes at about the same time is said together
            await self.standing.wait()
            if attempt != self.attempt:
                return  # this call has broken, and the next one says it
            self.something.clear()
            acks, self.acks = list(self.acks.values()), {}
            for at in range(0, len(acks), 200):
                yield pb.SessionUp(acks=acks[at:at + 200])

    def say(self, number, **ack):
        self.acks.setdefault(number, pb.Ack()).MergeFrom(pb.Ack(number=number, **ack))
        self.something.set()

    def done(self, number, reason="the reader left"):
        self.dones.append(number)
        self.say(number, done=True, reason=reason)

    async def messages(self, number, ask):
        """The messages of a channel, over any number of streams: each is asked for from the first
        one on that we have not got."""
        at = tries = attempt = 0
        while True:
            await self.standing.wait()
            if self.error:
                raise self.error
            if attempt != self.attempt:
                attempt, tries = self.attempt, 0
            if at > 0:
                self.say(number, next=at)  # perhaps it was lost, and is waited for
            channel = pb.Channel(session=self.id, attempt=attempt, number=number)
            try:
                async for message in ask({"channel": channel, "from": at}):
                    if isinstance(message, pb.Announcement) or message.HasField("payload"):
                        at += 1
                    elif message.HasField("gap"):
                        at += message.gap.count  # and a heartbeat does not count
                    self.say(number, next=at)
                    tries = 0
                    yield message
                return
            except grpc.aio.AioRpcError as error:
                tries += 1  # one that breaks alone, again and again, is no accident
                if not broke(error, LATE) or tries > 3:
                    raise
                await asyncio.sleep(0.05 * tries)

    async def post(self, service, body=""):
        """Yields the announcements.  It is done when the session is: it takes with it what is not
        open yet."""
        self.numbers += 1
        async for source in self.messages(self.numbers, lambda where: self.server.Post(
                pb.PostRequest(service=service, body=body.encode(), **where))):
            yield source

    async def read(self, source):
        """Yields the frames of a source."""
        self.numbers += 1
        number, payload = self.numbers, b""
        try:
            async for frame in self.messages(number, lambda where: self.server.Open(
                    pb.OpenRequest(ticket=source.ticket, **where))):
                payload += frame.payload  # a large one comes in parts, which outlive a break
                if frame.HasField("payload") and not frame.more:
                    yield payload
                    payload = b""
        finally:
            self.done(number)

    async def close(self):
        """Good-bye: what is still open ends."""
        self.closing = True
        self.something.set()
        await self.holder
        await self.channel.close()


async def show(session, source):
    async for frame in session.read(source):
        print(f"{source.header.decode()}: {frame.decode(errors='replace')}", flush=True)


async def main(addr, service, body=""):
    session, readers = Session(addr), []
    try:
        async for source in session.post(service, body):  # each is read at its own pace
            readers.append(asyncio.create_task(show(session, source)))
    finally:
        ends = await asyncio.gather(*readers, return_exceptions=True)
        await session.close()
    for end in ends:
        if end:
            raise end


try:
    asyncio.run(main(*sys.argv[1:]))
except grpc.RpcError as error:
    sys.exit(f"{error.code().name}: {error.details()}")
