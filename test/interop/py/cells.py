"""What every client does, in each cell of the matrix: plain text, unix socket, TLS, mutual TLS."""
import queue

import chanserv_pb2 as pb
import grpc
from kit import (announced, case, ended, ends, frames, gen_frame, open_source, post, same, seen,
                 until)
from ways import CELLS, known, unknown


def proves(cell, name, addr):
    """What the decorated function proves of one of the two servers, with a client of its own."""
    return lambda function: case(f"{cell}: {name}")(lambda: function(known(cell, addr)))


def refused_in_words(client):
    call = client.Services(pb.ServicesRequest())
    same([service.name for service in next(call).services], ["gen"])
    call.cancel()
    call = post(client, "secret")
    ends(call, "PERMISSION_DENIED", "denied")
    same(call.details(), "you are known, but not allowed to use secret")


def is_told_so(cell, addr):
    call = post(unknown(cell, addr), "gen")
    if cell == "mtls":
        ends(call, "PERMISSION_DENIED", "denied")
        assert call.details().startswith("no name of your certificate"), call.details()
    else:
        ends(call, "UNAUTHENTICATED", "denied")
        assert call.details().startswith("who are you? send a token"), call.details()


def every_byte(client):
    sources = announced(client, "gen", "sources=5&frames=3&size=5000")
    calls = [open_source(client, source) for source in sources]
    same([frames(call) for call in calls],
         [[gen_frame(i, j, 5000) for j in range(3)] for i in range(5)])


def parts(client):
    (source,) = announced(client, "gen", f"sources=1&frames=2&size={2 << 20}")
    got = list(open_source(client, source))
    same([part.more for part in got], [True, False, True, False])
    for j in range(2):
        assert got[2 * j].payload + got[2 * j + 1].payload == gen_frame(0, j, 2 << 20)


def error(client):
    (source,) = announced(client, "gen", "sources=1&frames=1&size=9&status=9")
    call = open_source(client, source)
    same(len(ends(call, "FAILED_PRECONDITION")), 1)
    same(call.details(), "source @0 ends as asked: schön, 好的 ✓")


def hears(client):
    before = seen(client)
    (well,) = announced(client, "well", "1 1000")
    call = open_source(client, well)
    for k in range(5):
        assert next(call).payload.startswith(b"%d:" % k)
    call.cancel()
    same(ended(call)[0], "CANCELLED")
    told = before.get("end.client-left", 0) + 1
    until(client, lambda now: now.get("end.client-left", 0) == told)


def conversation(client):
    (source,) = announced(client, "talk")
    heard = queue.Queue()  # what we sent is answered before we send more

    def says():
        yield pb.Up(open=pb.OpenRequest(ticket=source.ticket))
        for i, word in enumerate((b"eins", b"zwei", b"drei")):
            yield pb.Up(frame=pb.Frame(payload=word))
            same(heard.get(timeout=10), b"%d:%s" % (i, word))

    call = client.Talk(says())
    for frame in call:
        last = frame.payload
        heard.put(last)
    same((call.code(), last), (grpc.StatusCode.OK, b"bye"))


def packed(witness):
    client = known("tls", witness, default_compression_algorithm=int(grpc.Compression.Gzip))
    before = seen(client)
    same(announced(client, "mirror", "x" * 1000000)[0].header, b"1000000")
    call = open_source(client, *announced(client, "well", "1 20000"))
    for k in range(20):
        same(next(call).payload, (b"%d:" % k).ljust(20000, b"."))
    call.cancel()
    now = seen(client)
    assert now["messages_gzipped"] >= before["messages_gzipped"] + 20, now
    assert now["bytes_in"] < before["bytes_in"] + 50000, now


for _cell, _gen, _witness in CELLS:
    proves(_cell, "the list has what we may use, the rest is refused in words", _gen)(refused_in_words)
    if _cell != "unix":
        case(f"{_cell}: who may do nothing here is told so")(lambda a=(_cell, _gen): is_told_so(*a))
    proves(_cell, "five sources, and every byte of them", _gen)(every_byte)
    proves(_cell, "a frame of 2 MiB comes in parts", _gen)(parts)
    proves(_cell, "an error comes behind the frames, with its words", _gen)(error)
    proves(_cell, "a producer hears that we left", _witness)(hears)
    proves(_cell, "a conversation, to the last words of both", _witness)(conversation)
    if _cell == "tls":
        case("tls: compressed both ways")(lambda addr=_witness: packed(addr))
