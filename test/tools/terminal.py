"""chanserv top on a terminal of ours: terminal.py TOOL ADDR.  Says what is wrong, or nothing."""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

tool, addr = sys.argv[1:]


class Top:
    def __init__(self, width, height=24):
        self.master, self.slave = pty.openpty()
        self.resize(width, height)
        self.before = termios.tcgetattr(self.slave)
        self.said = b""
        self.pid = os.fork()
        if self.pid == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in 0, 1, 2:
                os.dup2(self.slave, fd)
            os.execv(tool, [tool, "top", "--interval", "50ms", addr])

    def resize(self, width, height):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))

    def until(self, pattern, what):
        """Reads until the pattern is there, and forgets all up to it."""
        end = time.monotonic() + 30
        while not (found := re.search(pattern, self.said, re.S)):
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"{what}: {self.said[-2000:]}")
            self.said += os.read(self.master, 65536)
        self.said = self.said[found.end():]
        return found

    def key(self, key):
        os.write(self.master, key)

    def ends(self, code, what):
        self.until(rb"\x1b\[\?25h\x1b\[\?1049l", what + ": the screen is left, and the cursor is back")
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if status != code:
            sys.exit(f"{what}: ends with {status}, not {code}")
        if termios.tcgetattr(self.slave) != self.before:
            sys.exit(f"{what}: the terminal is not as it was")
        os.close(self.master)
        os.close(self.slave)


def lines(found):
    return re.sub(rb"\x1b\[K", b"", found[1]).split(b"\r\n")


SCREEN = rb"\x1b\[H((?:(?!\x1b\[H).)*?)\x1b\[J"

top = Top(100)
top.until(rb"^\x1b\[\?1049h\x1b\[\?25l", "it takes the other screen")
wide = lines(top.until(SCREEN, "a screen"))
assert b"BYTES/s" in wide[1] and b"NUMBER" in wide[1], wide
assert b"by bytes" in top.until(SCREEN, "a second screen")[1]
if termios.tcgetattr(top.slave)[3] & (termios.ECHO | termios.ICANON):
    sys.exit("keys are echoed")
top.key(b"s")
top.until(rb"by frames", "s sorts by something else")
first = lines(top.until(SCREEN, "a screen by frames"))
assert first[2].startswith(b"source"), first
top.resize(40, 6)
top.until(rb"\x1b\[J", "the last wide one")
top.until(rb"\x1b\[J", "and one that was on its way")
narrow = lines(top.until(SCREEN, "a narrow screen"))
assert len(narrow) <= 6, narrow
assert all(len(line) <= 40 for line in narrow), narrow
assert any(len(line) == 40 for line in narrow) and b"QUEUED" not in narrow[1], narrow
top.key(b"q")
top.ends(0, "q")

top = Top(100)
top.until(SCREEN, "a screen")
top.key(b"\x03")
top.ends(130, "Ctrl-C")

top = Top(100)
top.until(SCREEN, "a screen")
os.kill(top.pid, signal.SIGTERM)
top.ends(143, "SIGTERM")
