"""One run: a server, its client, and what the client said.  And rounds of them, in random order."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

from plan import key_of
from processes import Failed, free_port, pin, stop, wait_for

MAX_S = 60  # a process ends by itself after so long


class Run:
    """What a run knows.  `free`: not pinned; `env`: for all its processes."""

    def __init__(self, program, workload, arg, place, secs, free=False, env=None):
        self.program, self.workload, self.arg, self.secs = program, workload, arg, secs
        both, free = [0] if place == "same" else [0, 1], free or place == "all"
        self.on_server, self.on_client, self.on_broker = (pin(c, free) for c in ([0], both[-1:], both))
        self.env = {**os.environ, "BENCH_SECS": str(secs), "BENCH_WARM": "0.2", "BENCH_MAX": str(MAX_S),
                    **program.env, **(env or {})}
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench."))

    def start(self, command, before, **more):
        return subprocess.Popen(command, stderr=subprocess.PIPE if self.program.ours else subprocess.DEVNULL,
                                env=self.env, text=True, preexec_fn=before, **more)

    def measure(self):
        """The line of the client, or Failed."""
        try:
            if self.program.run:
                row = self.program.run(self)
            else:
                row = self.pair()
            row["workload"] = key_of(self.workload, self.arg)
            return row
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pair(self):
        procs, p = [], self.program
        tail = [str(self.port), p.workload or self.workload, self.arg if p.arg is None else p.arg]
        try:
            if p.broker:
                procs.append(self.start(p.broker(self.port, self.folder), self.on_broker, stdout=subprocess.DEVNULL))
                wait_for(self.port)
            server = self.start([p.path, "server", *p.sub, *tail], self.on_server, stdout=subprocess.PIPE)
            procs.append(server)
            if server.stdout.readline().strip() != "ready":
                raise Failed("the server did not start")
            self.env["BENCH_PIDS"] = ",".join(str(q.pid) for q in procs)
            client = subprocess.run([p.path, "client", *p.sub, *tail], capture_output=True, env=self.env, text=True,
                                    timeout=MAX_S, preexec_fn=self.on_client)
            if client.returncode:
                raise Failed(f"the client ended with {client.returncode}: {client.stderr.strip()[-2000:]}")
            row = json.loads(client.stdout.splitlines()[-1])
        except (subprocess.TimeoutExpired, IndexError, ValueError) as e:
            raise Failed(f"no line of the client: {e}") from e
        finally:
            stop(procs)
        if p.ours and server.returncode:
            raise Failed(f"the server ended with {server.returncode}: {server.stderr.read()[-2000:]}")
        return row


def rounds(plan, count, secs, free, out):
    """All of the plan, in turn: each round in an order of its own, so that noise falls on everybody.
    Each line goes to `out` when it is there."""
    rows = []
    began = int(time.time())  # so that the rounds of several calls stay apart
    for n in range(count):
        for workload, arg, place, programs in plan:
            if (workload == "w6" and n >= 3) or (free and place == "same"):  # memory does not vary
                continue
            order = list(programs.items())
            random.shuffle(order)
            for name, program in order:
                try:
                    row = Run(program, workload, arg, place, secs, free).measure()
                except Failed as e:
                    print(f"failed: {name} {key_of(workload, arg)}: {e}", file=sys.stderr)
                    continue
                row.update(peer=name, place="free" if free else place, round=f"{began}.{n}")
                out.write(json.dumps(row) + "\n")
                out.flush()
                rows.append(row)
        print(f"round {n + 1} of {count} done", file=sys.stderr)
    return rows


# Counts that make a run short, for those that are long otherwise.
UNITS = {"w2": 50, "heavy": 50, "beside": 100}


def check(plan):
    """TAP: every program is right, and notices it when the other side is not.  True: all of them."""
    count = bad = 0

    def say(good, name, why=""):
        nonlocal count, bad
        count += 1
        bad += not good
        for line in why.splitlines() if not good else ():
            print("#", line)
        print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)

    def attempt(program, workload, arg, **env):
        env["BENCH_UNITS"] = str(UNITS.get(workload, 2000))
        return Run(program, workload, "1000" if workload == "w6" else arg, "", 0.1, True, env).measure()

    seen = set()
    for workload, arg, _, programs in plan:
        for name, program in programs.items():
            what = f"{name} {key_of(workload, arg)}"
            if what in seen or (workload == "w6" and arg == "100000"):
                continue
            seen.add(what)
            try:
                say(attempt(program, workload, arg)["figure"] > 0, f"{what} is right")
            except Failed as e:
                say(False, f"{what} is right", str(e))
            if not program.corrupts:
                continue
            try:
                attempt(program, workload, arg, BENCH_CORRUPT="1")
                say(False, f"{what} notices a wrong byte")
            except Failed as e:
                say("the client ended with" in str(e), f"{what} notices a wrong byte", str(e))
    print(f"1..{count}")
    return count > 0 and bad == 0
