"""A proxy that cuts: cutter.py TARGET BYTES.  Prints its port, hands on what comes to the unix socket
TARGET, and breaks each connection when so many bytes have gone towards the client, by reset or by
end, in turn.  On SIGTERM it says how many it cut."""
import selectors
import signal
import socket
import struct
import sys

target, most = sys.argv[1], int(sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
select = selectors.DefaultSelector()
select.register(listener, selectors.EVENT_READ)
pairs, down, cuts = {}, {}, 0


def tell(*_):
    print(cuts, flush=True)
    sys.exit(0)


def close(one):
    for end in (one, pairs[one]):
        select.unregister(end)
        end.close()
    for end in (one, pairs[one]):
        del pairs[end]
        down.pop(end, None)


def cut(client):
    global cuts
    cuts += 1
    if cuts % 2:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    close(client)


signal.signal(signal.SIGTERM, tell)
while True:
    for key, _ in select.select():
        if key.fileobj is listener:
            client = listener.accept()[0]
            server = socket.socket(socket.AF_UNIX)
            server.connect(target)
            pairs[client], pairs[server], down[client] = server, client, 0
            select.register(client, selectors.EVENT_READ)
            select.register(server, selectors.EVENT_READ)
            continue
        one = key.fileobj
        if one not in pairs:
            continue
        try:
            data = one.recv(16384)
            other = pairs[one]
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            close(one)
        elif other in down:
            down[other] += len(data)
            if down[other] > most:
                cut(other)
