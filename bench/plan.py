"""What is measured: the programs, ours and the peers, and the workloads with those that have them."""

import dataclasses
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass
class Program:
    """Has the contract of bench/kit.h.  `workload`, `arg`: what it is told in place of the real one."""
    path: pathlib.Path
    sub: tuple = ()
    workload: str = None
    arg: str = None
    env: dict = dataclasses.field(default_factory=dict)
    broker: object = None  # (port, folder): the command of a process between the two
    only: tuple = ()  # for --also: the workloads that it has; none: all
    run: object = None  # measures in a way of its own: see others.py
    ours: bool = False
    corrupts: bool = True  # BENCH_CORRUPT makes its client fail

    def there(self):
        return bool(shutil.which(str(self.path)))


def ours(build, tls):
    """By workload: the variants, by name."""
    def variant(program="peer", **more):
        return Program(build / "bench" / program, ours=True, **more)

    all_defaults = variant()
    plain = variant(env={"BENCH_RESUME": "-1"})
    inline = variant(env={"BENCH_INLINE": "1"})
    block = variant("block")
    sleeps = variant(env={"BENCH_BUSY_POLL": "-1"})
    secure = variant(env={"BENCH_TLS": str(tls)})
    rate = {"chanserv": all_defaults, "chanserv-plain": plain}
    return {
        "w1": {**rate, "chanserv-block": block, "chanserv-tls": secure},
        "w2": {**rate, "chanserv-block": block, "chanserv-tls": secure},
        "w3": {**rate, "chanserv-block": block, "chanserv-stalled": variant(arg="stalled")},
        "w4": {**rate, "chanserv-sleeps": sleeps},
        "w5": {**rate, "chanserv-inline": inline},
        "w6": rate,
        "w7": {**rate, "chanserv-talk": variant(arg="talk"), "chanserv-block": block, "chanserv-tls": secure,
               "chanserv-sleeps": sleeps},
        "connect": {**rate, "chanserv-inline": inline, "chanserv-block": block, "chanserv-sleeps": sleeps},
        "heavy": {**rate, "chanserv-block": block},
        "flood": {**rate, "chanserv-block": block},
        "beside": {"chanserv": all_defaults},
        "meet": {"chanserv": variant("rendezvous")},
        "loops": {"chanserv": all_defaults, "chanserv-2-loops": variant(env={"BENCH_LOOPS": "2"})},
    }


def nats_broker(port, folder):
    conf = folder / "nats.conf"
    conf.write_text(f'port: {port}\nhost: "127.0.0.1"\nmax_payload: 8388608\nmax_pending: 268435456\n')
    return ["nats-server", "-c", str(conf)]


def redis_broker(port, folder):
    return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(folder), "--client-output-buffer-limit", "pubsub 0 0 0"]


DDS = ('<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo" multicast="false"/>'
       '</Interfaces><AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize></General>'
       '<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address="127.0.0.1"/></Peers>'
       '</Discovery></Domain></CycloneDDS>')


def peers(bin_dir, tls, others):
    """By workload: the peers, by name."""
    def peer(name, *sub, **more):
        return Program(bin_dir / name, sub, **more)

    def some(names):
        return {name: every[name] for name in names.split()}

    every = {
        "raw-tcp": peer("raw"), "zmq": peer("zmq"), "nng": peer("nng"),
        "grpc-cq": peer("grpc", "cq"), "grpc-sync": peer("grpc", "sync"), "grpc-cb": peer("grpc", "cb"),
        "nats": peer("nats", broker=nats_broker), "redis": peer("redis", broker=redis_broker),
        "cyclonedds": peer("dds", env={"CYCLONEDDS_URI": DDS}),
        "nghttpd": Program(pathlib.Path("nghttpd"), run=others.nghttpd, corrupts=False),
        **{name: peer("gopeers", name) for name in ("yamux", "yamux-buf", "smux", "smux-buf", "grpc-go")},
    }
    grpc_tls = peer("grpc", "cq", env={"BENCH_TLS": str(tls)})
    return {
        "w1-64": {"raw-tcp-unbatched": peer("raw", workload="w1one"), "zmq-dealer": peer("zmq", workload="w1d"),
                  "grpc-sync-nohint": peer("grpc", "sync", env={"GRPC_NOHINT": "1"})},
        "w1": {"raw-tcp-tuned": peer("raw", workload="w1t"), **some(
            "raw-tcp zmq nng grpc-cq grpc-sync grpc-cb nats redis yamux yamux-buf smux smux-buf grpc-go cyclonedds")},
        "w2": {"raw-tcp-tuned": peer("raw", workload="w2t"), "grpc-cq-tls": grpc_tls,
               "openssl-speed": Program(pathlib.Path("openssl"), run=others.openssl_speed, corrupts=False), **some(
            "raw-tcp zmq nng grpc-cq grpc-sync nats redis yamux smux grpc-go cyclonedds nghttpd")},
        "w3": some("raw-tcp zmq grpc-cq nats redis yamux yamux-buf smux smux-buf grpc-go"),
        "w4": {"raw-tcp-connect": peer("raw", workload="w4conn"),
               **some("raw-tcp zmq grpc-cq nats yamux smux grpc-go nghttpd")},
        "w5": some("raw-tcp zmq grpc-cq nats yamux smux grpc-go"),
        "w6": {**some("grpc-cq yamux smux grpc-go"), "nats": peer("nats", broker=nats_broker, corrupts=False)},
        "w7": some("raw-tcp zmq nng grpc-cq grpc-sync grpc-cb nats redis yamux smux grpc-go cyclonedds"),
    }


# Workload, argument, placement: see docs/BENCHMARKS.
WORKLOADS = ([("w1", a, "apart") for a in ("64", "16", "1024")]
             + [("w2", a, "apart") for a in ("65536", "1048576")] + [("w3", "", "apart")]
             + [("w4", a, p) for a in ("100", "1") for p in ("apart", "same")]
             + [("w5", "", p) for p in ("apart", "same")] + [("w6", a, "apart") for a in ("10000", "100000")]
             + [("w7", "", p) for p in ("apart", "same")]
             + [(w, "", "apart") for w in ("connect", "heavy", "flood", "beside")]
             + [("meet", a, "apart") for a in ("1", "1000")]
             + [("loops", "", "all")])  # its server has both processors


def key_of(workload, arg):
    return workload + ("-" + arg if arg else "")


def among(words, workload, arg):
    """Does one of them name it, as in "w4" or "w4-100"?  None: all are meant."""
    return not words or workload in words or key_of(workload, arg) in words


def plan(tables, also, wanted, names):
    """[(workload, argument, placement, {name: program})] of those wanted that are there."""
    result = []
    for workload, arg, place in WORKLOADS:
        key = key_of(workload, arg)
        if not among(wanted, workload, arg):
            continue
        programs = {}
        for table in tables:
            for name, entries in table.items():
                if name in (key, workload):
                    programs.update(entries)
        programs = {n: p for n, p in programs.items() if p.there() and (not names or any(x in n for x in names))}
        programs.update({n: p for n, p in also.items() if among(p.only, workload, arg)})
        if programs:
            result.append((workload, arg, place, programs))
    return result


def certificate(folder):
    """cert.pem, which is its own authority, and key.pem, for 127.0.0.1."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                    "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
                   check=True, stderr=subprocess.DEVNULL)
