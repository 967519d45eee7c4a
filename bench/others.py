"""Who is measured by a program of his own: nghttp2's server and client, and what AES alone costs."""

import os
import re
import subprocess
import time

from processes import Failed, stop, wait_for

# Of these programs the figures are what they say themselves; what they do not say is 0.
LARGE = 16 << 20


def cpu_of(pid):
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def peak_kb(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def nghttpd(run):
    """Static files: for w4 one of 144 bytes, for w2 one of 16 MiB."""
    large = run.workload == "w2"
    (run.folder / "f").write_bytes(os.urandom(LARGE if large else 144))
    server = subprocess.Popen(["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", str(run.folder), str(run.port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=run.on_server)
    try:
        wait_for(run.port)
        many = run.arg == "100"
        n = 1 + int(run.secs * (40 if large else 150000 if many else 8000))
        log = run.folder / "log"
        before, began = cpu_of(server.pid), time.time()
        client = subprocess.Popen(["h2load", "-c1", "-t1", f"-m{100 if many else 1}", f"-n{n}", "-w24", "-W24",
                                   f"--log-file={log}", f"http://127.0.0.1:{run.port}/f"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, preexec_fn=run.on_client)
        said = client.stdout.read()
        _, client.returncode, used = os.wait4(client.pid, 0)
        rate = re.search(r"^finished in .*, ([\d.]+) req/s", said, re.M)
        if not rate:
            raise Failed(said)
        rate = float(rate[1])
        row = dict(figure=rate * LARGE / 1e6 if large else rate, unit="MB/s" if large else "streams/s",
                   secs=round(time.time() - began, 3), cpu_server_s=round(cpu_of(server.pid) - before, 3),
                   cpu_client_s=round(used.ru_utime + used.ru_stime, 3), units=n * LARGE // int(run.arg) if large else n,
                   rss_server_kb=peak_kb(server.pid), rss_client_kb=used.ru_maxrss)
        if not large:
            us = sorted(int(x.split("\t")[2]) for x in log.read_text().splitlines())
            for name, share in (("p50_us", .5), ("p99_us", .99), ("p999_us", .999)):
                row[name] = us[min(len(us) - 1, int(share * len(us)))]
        return row
    finally:
        stop([server])


def openssl_speed(run):
    """AES-128-GCM over records of 16 KiB, one way: what any TLS has to pay on each side."""
    seconds = max(1, round(run.secs))
    said = subprocess.run(["openssl", "speed", "-elapsed", "-mr", "-seconds", str(seconds), "-bytes", "16384", "-evp",
                           "aes-128-gcm"], capture_output=True, text=True, preexec_fn=run.on_client).stdout
    rate = re.search(r"^\+F:\d+:[^:]*:([\d.]+)", said, re.M)
    if not rate:
        raise Failed(said)
    rate = float(rate[1])
    return dict(figure=rate / 1e6, unit="MB/s", secs=seconds, cpu_server_s=0, cpu_client_s=seconds,
                units=int(rate * seconds / int(run.arg)), rss_server_kb=0, rss_client_kb=0)
