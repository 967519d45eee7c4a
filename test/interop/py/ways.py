"""How a client comes to the servers of the matrix (cells.sh), and as whom."""
import os

import chanserv_pb2_grpc
import grpc
from kit import channel, stub

CELLS = [line.split() for line in os.environ["CHANSERV_CELLS"].splitlines()]


def read(name):
    with open(os.path.join(os.environ["CHANSERV_CERTS"], name), "rb") as opened:
        return opened.read()


TOKEN = read("token").decode().strip()


def trusting(authority="ca.pem"):
    return grpc.ssl_channel_credentials(read(authority))


def showing(name):
    return grpc.ssl_channel_credentials(read("ca.pem"), read(name + ".key"), read(name + ".pem"))


class InPlainText(grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Call credentials want TLS; in plain text a token is metadata like any other."""

    @staticmethod
    def intercept(call, details, request):
        return call(details._replace(metadata=(("authorization", "Bearer " + TOKEN),)), request)

    intercept_unary_stream = intercept_stream_stream = intercept


def known(cell, addr, **options):
    """One who may use gen, of one of the two servers of a cell."""
    if cell == "h2c":
        return chanserv_pb2_grpc.ChanservStub(
            grpc.intercept_channel(channel(addr, **options), InPlainText()))
    credentials = {
        "unix": lambda: None,
        "tls": lambda: grpc.composite_channel_credentials(
            trusting(), grpc.access_token_call_credentials(TOKEN)),
        "mtls": lambda: showing("client"),
    }[cell]()
    return stub(addr, credentials, **options)


def unknown(cell, addr):
    """One who may not.  (Another user of the unix socket: test/tools/serve.sh.)"""
    credentials = {"h2c": lambda: None, "tls": trusting, "mtls": lambda: showing("visitor")}
    return stub(addr, credentials[cell]())
