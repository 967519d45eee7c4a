"""What the cases share: a client made of the .proto file alone, and a runner that prints a line a
case.  Nothing here is chanserv's own code."""
import array
import faulthandler
import os
import sys
import threading
import time
import traceback

import chanserv_pb2 as pb
import chanserv_pb2_grpc
import grpc

GEN = os.environ["CHANSERV_GEN"]
WITNESS = os.environ["CHANSERV_WITNESS"]
PACKED = os.environ["CHANSERV_PACKED"]
CODES = list(grpc.StatusCode)


def channel(addr, credentials=None, **options):
    """A connection of its own: channels to one address share theirs unless told not to."""
    options = {"grpc.use_local_subchannel_pool": 1, **{"grpc." + k: v for k, v in options.items()}}
    options = list(options.items())
    if credentials:
        return grpc.secure_channel(addr, credentials, options)
    return grpc.insecure_channel(addr, options)


def stub(addr, credentials=None, **options):
    return chanserv_pb2_grpc.ChanservStub(channel(addr, credentials, **options))


def post(server, service, body=b"", **more):
    call = {key: more.pop(key) for key in ("timeout", "metadata") if key in more}
    body = body.encode() if isinstance(body, str) else body
    return server.Post(pb.PostRequest(service=service, body=body, **more), **call)


def announced(server, service, body=b""):
    return list(post(server, service, body))


def open_source(server, source, **call):
    return server.Open(pb.OpenRequest(ticket=source.ticket), **call)


def frames(call):
    """Whole frames of a source out of their messages."""
    whole, parts = [], b""
    for frame in call:
        parts += frame.payload
        if not frame.more:
            whole.append(parts)
            parts = b""
    assert not parts, "the last frame has no end"
    return whole


def ended(call):
    """The code and the reason of a call that is read to its end, and what came before."""
    messages = []
    try:
        messages.extend(call)
    except grpc.RpcError:
        pass
    reason = dict(call.trailing_metadata() or ()).get("chanserv-reason", "")
    return call.code().name, reason, messages


def ends(call, code, reason=""):
    got = ended(call)
    same(got[:2], (code, reason))
    return got[2]


def same(got, wanted):
    assert got == wanted, f"{str(got)[:300]} is not {str(wanted)[:300]}"


def gen_frame(i, j, size):
    """The bytes of a frame of the service "gen", computed here once more (see tools/gen.h)."""
    seed = ((i + 1) * 0x9E3779B1 ^ (j + 1) * 0x85EBCA77) & 0xFFFFFFFF
    words = array.array("I")
    for o in range((size + 3) // 4):
        word = (seed ^ o) * 0x27D4EB2F & 0xFFFFFFFF
        words.append(word ^ word >> 15)
    if sys.byteorder == "big":
        words.byteswap()
    text = b"%d:%d:" % (i, j)
    return (text + words.tobytes()[len(text):])[:size]


def seen(server, well=""):
    """What the server says it saw: {name: number}; `pulled` is of the well that is named."""
    (source,) = announced(server, "seen", str(well))
    lines = (frame.decode().split() for frame in frames(open_source(server, source)))
    return {name: int(number) for name, number in lines}


def until(server, holds):
    """The server learns of a cancel some time after we sent it: ask until it has.  What was there
    before may be less by now, as the cases before end there, too."""
    while True:
        said = seen(server)
        if holds(said):
            return said


def together(jobs):
    """All at once, each on a thread of its own; the first that fails is what is raised."""
    failures = []

    def run(job):
        try:
            job()
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


CASES = []


def case(name, seconds=30):
    def add(function):
        CASES.append((name, function, seconds))
        return function

    return add


def run_all():
    failed = 0
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, function, seconds in CASES:
        if only not in name:
            continue
        result = []

        def body(function=function, result=result):
            try:
                function()
                result.append("")
            except BaseException:  # pylint: disable=broad-except
                result.append(traceback.format_exc())

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join(seconds)
        why = result[0] if result else f"{seconds} s have passed"
        if not result:
            faulthandler.dump_traceback(sys.stdout)
        failed += 1 if why else 0
        print(f"FAIL python: {name}: {why}" if why else f"ok python: {name}", flush=True)
    # Threads of a case that was too late may hang for ever: no polite goodbye.
    sys.stdout.flush()
    os._exit(3 if failed else 0)  # 3: a line says what failed
