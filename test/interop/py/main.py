"""Stock grpcio against a running server.  Environment: CHANSERV_GEN is HOST:PORT of `chanserv serve`
with gen, echo and tail; CHANSERV_WITNESS that of witness.c, CHANSERV_PACKED that of one
that compresses; for the others see cells.sh.  PYTHONPATH has the stubs."""
import asyncio
import os
import queue
import random
import threading
import time

import admin  # pylint: disable=unused-import
import cells  # pylint: disable=unused-import
import chanserv_pb2 as pb
import chanserv_pb2_grpc
import grpc
import strangers  # pylint: disable=unused-import
from kit import (CODES, GEN, PACKED, WITNESS, announced, case, channel, ended, ends, frames, gen_frame,
                 open_source, post, run_all, same, seen, stub, together, until)

gen = stub(GEN)
witness = stub(WITNESS)


@case("the services are listed")
def _():
    call = gen.Services(pb.ServicesRequest())
    listed = next(call)
    call.cancel()
    same(sorted(service.name for service in listed.services), ["echo", "gen", "rendezvous", "tail"])
    same(len(listed.instance), 8)


@case("a post announces its sources, and each one can be read")
def _():
    call = post(gen, "gen", "sources=5&frames=3&size=100")
    sources = list(call)
    same(call.code(), grpc.StatusCode.OK)
    same([source.header.decode() for source in sources], [f"source @{i}" for i in range(5)])
    same([source.seq for source in sources], list(range(5)))
    for i, source in enumerate(sources):
        same(frames(open_source(gen, source)), [gen_frame(i, j, 100) for j in range(3)])


@case("rolled over ten times: no call fails, and a source reads on")
def _():
    rolled = stub(os.environ["CHANSERV_ROLLED"])
    until_s = time.monotonic() + 2

    def read_on():
        (source,) = announced(rolled, "gen", "sources=1&frames=150&size=100&delay_ms=10")
        same(len(frames(open_source(rolled, source))), 150)

    def call():
        while time.monotonic() < until_s:
            for source in announced(rolled, "gen", "sources=2&frames=3&size=100"):
                same(len(frames(open_source(rolled, source))), 3)

    together([read_on, call])


@case("a hundred sources are open at once")
def _():
    sources = announced(gen, "gen", "sources=100&frames=20&size=1000")
    everybody = threading.Barrier(100)

    def reader(i):
        call = open_source(gen, sources[i])
        call.initial_metadata()  # it is open
        everybody.wait(20)
        same(frames(call), [gen_frame(i, j, 1000) for j in range(20)])

    together([lambda i=i: reader(i) for i in range(100)])


@case("asyncio reads a hundred sources at once, too")
def _():
    async def reader(server, i, source):
        got = [frame.payload async for frame in server.Open(pb.OpenRequest(ticket=source.ticket))]
        same(got, [gen_frame(i, j, 200) for j in range(10)])

    async def main():
        async with grpc.aio.insecure_channel(GEN) as aio:
            server = chanserv_pb2_grpc.ChanservStub(aio)
            request = pb.PostRequest(service="gen", body=b"sources=100&frames=10&size=200")
            readers = []
            async for source in server.Post(request):
                readers.append(asyncio.ensure_future(reader(server, len(readers), source)))
            same(len(readers), 100)
            await asyncio.gather(*readers)

    asyncio.run(main())


@case("a source is opened before the rest of the master stream is read")
def _():
    master = post(gen, "gen", "sources=2000&frames=1&size=10")
    same(frames(open_source(gen, next(master))), [gen_frame(0, 0, 10)])
    same([source.header.decode() for source in master], [f"source @{i}" for i in range(1, 2000)])


@case("a source dropped half-way leaves the others whole, and its producer hears of it")
def _():
    before = seen(witness)
    calls = [open_source(witness, well) for well in announced(witness, "well", "3 1000")]
    for call in calls:
        for k in range(5):
            assert next(call).payload.startswith(b"%d:" % k)
    calls[1].cancel()
    same(ended(calls[1])[0], "CANCELLED")
    told = before.get("end.client-left", 0) + 1
    said = until(witness, lambda now: now.get("end.client-left", 0) >= told)
    same(said["end.client-left"], told)
    same(said["readers_left"], before["readers_left"] + 1)
    for call in (calls[0], calls[2]):
        for k in range(5, 2000):
            assert next(call).payload.startswith(b"%d:" % k), k
        call.cancel()
    until(witness, lambda now: now["sources_open"] <= before["sources_open"])


@case("a stalled reader stops its own producer and no other", 60)
def _():
    size = 10000
    wells = announced(witness, "well", f"2 {size}")
    stalled, read = [open_source(witness, well) for well in wells]
    next(stalled)  # and no more of it
    for k in range(5000):
        assert next(read).payload.startswith(b"%d:" % k), k
    well = wells[0].header.decode()
    then, before = seen(witness, well)["pulled"], None
    # Stock grpcio opens a window of 4 to 20 MB to whoever sends fast, a step at a time, of all streams.
    for _ in range(50):
        if then == before:
            break
        for k in range(500):
            next(read)
        then, before = seen(witness, well)["pulled"], then
    same(then, before)
    for k in range(1, 3000):  # what had waited is all there, in order
        assert next(stalled).payload.startswith(b"%d:" % k), k
    stalled.cancel()
    read.cancel()


@case("deadlines are met: of a post, of a silent source, of a stalled one")
def _():
    before = seen(witness)
    code, _, sources = ended(post(witness, "quiet", "2", timeout=0.2))
    same((code, len(sources)), ("DEADLINE_EXCEEDED", 2))
    until(witness, lambda now: now["sources_waiting"] <= before["sources_waiting"])
    ends(open_source(witness, sources[0]), "NOT_FOUND", "expired")

    master = post(witness, "quiet", "1")
    same(ended(open_source(witness, next(master), timeout=0.2))[0], "DEADLINE_EXCEEDED")
    (well,) = announced(witness, "well", "1 1000")
    call = open_source(witness, well, timeout=0.3)
    over = threading.Event()
    call.add_callback(over.set)
    next(call)  # and no more
    assert over.wait(5)
    same(call.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    until(witness, lambda now: now["sources_open"] <= before["sources_open"])
    master.cancel()


@case("a producer's error comes after its frames, with its UTF-8 message")
def _():
    for code in CODES[1:]:
        body = f"sources=2&frames=2&size=50&status={code.value[0]}"
        call = open_source(gen, announced(gen, "gen", body)[1])
        messages = ends(call, code.name)  # and no reason: the framework did not make it
        same([frame.payload for frame in messages], [gen_frame(1, j, 50) for j in range(2)])
        same(call.details(), "source @1 ends as asked: schön, 好的 ✓")


@case("a source of 64 MiB is whole, in one frame of many parts or in many frames", 90)
def _():
    (source,) = announced(gen, "gen", f"sources=1&frames=1&size={64 << 20}")
    parts = list(open_source(gen, source))
    same([frame.more for frame in parts], [True] * 63 + [False])
    assert max(len(frame.payload) for frame in parts) == 1 << 20
    assert b"".join(frame.payload for frame in parts) == gen_frame(0, 0, 64 << 20)

    (source,) = announced(gen, "gen", "sources=1&frames=65536&size=1024")
    for j, frame in enumerate(open_source(gen, source)):
        assert frame.payload.startswith(b"0:%d:" % j) and len(frame.payload) == 1024, j
    same(j, 65535)


@case("an empty frame is a frame, and a gap says how many were dropped")
def _():
    messages = ends(open_source(witness, *announced(witness, "odd")), "OK")
    same([(frame.WhichOneof("what"), frame.payload, frame.gap.count) for frame in messages],
         [("payload", b"", 0), ("payload", b"a", 0), ("gap", b"", 7), ("payload", b"", 0),
          ("payload", b"z", 0)])


@case("metadata travels both ways, bytes too")
def _():
    raw = bytes(random.randrange(256) for _ in range(61))
    for some in (raw, raw[:60], raw[:59], b"\0"):
        call = post(witness, "mirror", "12345",
                    metadata=(("x-word", "spoken, with a comma"), ("x-raw-bin", some)))
        (source,) = call
        same(source.header, b"5")
        for where in (dict(call.initial_metadata()), dict(call.trailing_metadata())):
            same(where["y-word"], "spoken, with a comma")
            same(where["y-raw-bin"], some)
        assert "chanserv-instance" in dict(call.initial_metadata())


@case("an unknown method is UNIMPLEMENTED, an unknown service NOT_FOUND")
def _():
    for method in ("/chanserv.v1.Chanserv/Nothing", "/nobody.Here/Post"):
        ends(channel(GEN).unary_stream(method)(b""), "UNIMPLEMENTED")
    ends(post(gen, "nobody"), "NOT_FOUND", "no-service")


@case("bad requests say so")
def _():
    for name in ("", "a b", "ä", "x" * 256):
        ends(post(gen, name), "INVALID_ARGUMENT", "bad-request")
    ends(gen.Open(pb.OpenRequest(ticket=b"x" * 31)), "INVALID_ARGUMENT", "bad-request")
    raw = channel(GEN).unary_stream("/chanserv.v1.Chanserv/Post")
    for some in (b"\xff", b"\x0a\x05", b"\x0a\x04g", b"\x08"):
        ends(raw(some), "INVALID_ARGUMENT", "bad-request")
    call = post(gen, "gen", "sources=many")
    ends(call, "INVALID_ARGUMENT")  # the service said it, so there is no reason
    assert "sources" in call.details()


@case("a ticket is used once; a wrong one opens nothing")
def _():
    (source,) = announced(gen, "gen", "sources=1&frames=1&size=10")
    wrong = bytearray(source.ticket)
    wrong[-1] ^= 1
    ends(gen.Open(pb.OpenRequest(ticket=bytes(wrong))), "NOT_FOUND", "unknown-ticket")
    ends(open_source(witness, source), "FAILED_PRECONDITION", "other-instance")
    calls = [open_source(gen, source) for _ in range(8)]
    got = sorted(ended(call)[:2] for call in calls)
    same(got, [("ALREADY_EXISTS", "claimed")] * 7 + [("OK", "")])


@case("a cancelled post takes along what nobody opened, and leaves the open source")
def _():
    master = post(witness, "quiet", "2")
    silent = [next(master), next(master)]
    call = open_source(witness, silent[0])
    call.initial_metadata()  # claimed
    before = seen(witness)
    master.cancel()
    told = before.get("end.post-cancelled", 0) + 1
    said = until(witness, lambda now: now.get("end.post-cancelled", 0) >= told)
    same(said["end.post-cancelled"], told)
    same(said["posts"], before["posts"] - 1)
    same(said["sources_open"], before["sources_open"])
    ends(open_source(witness, silent[1]), "NOT_FOUND", "expired")
    call.cancel()
    same(ended(call)[0], "CANCELLED")


@case("a thousand cancels in a row on one connection")
def _():
    before = seen(witness)
    server = stub(WITNESS)
    for n, well in enumerate(announced(server, "well", "1000 1000")):
        call = open_source(server, well)
        if n % 2:
            next(call)
        else:
            call.initial_metadata()
        call.cancel()
    same(frames(open_source(server, *announced(server, "eager"))), [b"first", b"second"])
    said = until(witness, lambda now: now["sources_open"] <= before["sources_open"])
    same(said["readers_left"], before["readers_left"] + 1000)


@case("a client that vanishes takes along what was its own")
def _():
    before = seen(witness)
    own = channel(WITNESS)
    server = chanserv_pb2_grpc.ChanservStub(own)
    master = post(server, "quiet", "3")
    sources = [next(master) for _ in range(3)]
    open_source(server, sources[0]).initial_metadata()
    own.close()
    until(witness, lambda now: all(now[what] == before[what] for what in (
        "posts", "sources_open", "sources_waiting", "connections")))


@case("a client's keepalive is answered, also while nothing is said")
def _():
    server = stub(WITNESS, keepalive_time_ms=100, keepalive_timeout_ms=2000,
                  http2_min_ping_interval_without_data_ms=100, http2_max_pings_without_data=0)
    same(ended(post(server, "quiet", timeout=1.5))[0], "DEADLINE_EXCEEDED")


@case("two clients read at once, on connections of their own")
def _():
    def client():
        server = stub(GEN)
        for _ in range(50):
            (source,) = announced(server, "gen", "sources=1&frames=2&size=20")
            same(frames(open_source(server, source)), [gen_frame(0, 0, 20), gen_frame(0, 1, 20)])

    together([client, client])


@case("a body of 3 MiB arrives, one of 5 MiB is refused")
def _():
    same(announced(witness, "mirror", b"x" * (3 << 20))[0].header, b"%d" % (3 << 20))
    ends(post(witness, "mirror", b"x" * (5 << 20)), "RESOURCE_EXHAUSTED", "too-large")


@case("the lines of a file are frames")
def _():
    sources = announced(gen, "tail", "*.txt?follow=0")
    read = {source.header.decode(): frames(open_source(gen, source)) for source in sources}
    same(read, {"empty.txt": [],
                "lines.txt": [b"one\n", "zwei ✓\n".encode(), b"\n", b"no newline"]})


def up(payload, more=False):
    return pb.Up(frame=pb.Frame(payload=payload, more=more))


@case("a source that listens is spoken to, both ways in order, until either's last word")
def _():
    (source,) = announced(witness, "talk")
    assert source.uplink
    heard = queue.Queue()  # what we sent is answered before we send more

    def says():
        yield pb.Up(open=pb.OpenRequest(ticket=source.ticket))
        for i in range(50):
            yield up(b"frame %d" % i)
            same(heard.get(timeout=10), b"%d:frame %d" % (i, i))
        yield up(b"x" * (1 << 20), more=True)
        yield up(b"x" * 5)

    call = witness.Talk(says())
    got = []
    for frame in call:
        got.append(frame.payload)
        heard.put(frame.payload)
    same(got[50:], [b"51:1048581 bytes", b"bye"])
    same(call.code(), grpc.StatusCode.OK)
    (source,) = announced(witness, "talk")
    said = iter([pb.Up(open=pb.OpenRequest(ticket=source.ticket)), up(b"enough")])
    same(ends(witness.Talk(said), "OK"), [])


@case("a talk that begins with a frame is refused, and so is one with a source that does not listen")
def _():
    ends(witness.Talk(iter([up(b"a")])), "INVALID_ARGUMENT", "bad-request")
    (source,) = announced(witness, "odd")
    said = iter([pb.Up(open=pb.OpenRequest(ticket=source.ticket))])
    ends(witness.Talk(said), "INVALID_ARGUMENT", "bad-request")


def packed_cases(which, addr, packs):
    client = stub(addr, default_compression_algorithm=int(grpc.Compression.Gzip))

    @case(f"a compressed request is understood by a server {which}")
    def _():
        before = seen(client)
        (source,) = announced(client, "mirror", "x" * 1000000)
        same(source.header, b"1000000")
        grown = seen(client)["bytes_in"] - before["bytes_in"]
        assert grown < 20000, f"{grown} bytes"

    @case(f"frames of a server {which} come as they were")
    def _():
        before = seen(client)
        (well,) = announced(client, "well", "1 20000")
        call = open_source(client, well)
        for k in range(50):
            same(next(call).payload, (b"%d:" % k).ljust(20000, b"."))
        call.cancel()
        now = seen(client)
        if packs:
            assert now["messages_gzipped"] >= before["messages_gzipped"] + 50, now
        else:
            same(now["messages_gzipped"], 0)

    @case(f"a bomb is too large for a server {which}, and it serves on")
    def _():
        ends(post(client, "mirror", bytes(5 << 20)), "RESOURCE_EXHAUSTED", "too-large")
        same(len(announced(client, "mirror", "x")), 1)


packed_cases("that compresses", PACKED, True)
packed_cases("that does not", WITNESS, False)

run_all()
