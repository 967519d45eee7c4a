"""Processes and their ports."""

import os
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """A run came to nothing; says why."""


def free_port():
    """Nobody's at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pin(cpus, free):
    """Where a process runs: of these CPUs those that there are, or anywhere."""
    have = os.sched_getaffinity(0)
    return (lambda: None) if free else (lambda: os.sched_setaffinity(0, set(cpus) & have or have))


def stop(procs):
    """Asks all to go, and makes them."""
    for p in procs:
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
    for p in procs:
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def wait_for(port, seconds=5.0):
    """Until somebody listens there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed("the broker did not start")
