"""TLS that must not come about: the caller hears UNAVAILABLE, the server counts it and serves on."""
import os

from kit import announced, case, ends, post, same, seen, stub, until
from ways import CELLS, known, showing, trusting


def met(said, options):
    """How many the server has turned away.  A name is compared behind the handshake, which went well."""
    return said["tls_handshakes_failed"] + (said["tls_connections_total"] if options else 0)


def refused(cell, addr, credentials, options):
    good = known(cell, addr)
    before = seen(good)
    ends(post(stub(addr, credentials, **options), "mirror"), "UNAVAILABLE")
    if cell != "h2c":
        until(good, lambda now: met(now, options) > met(before, options))
    same(len(announced(good, "mirror")), 1)


WITNESS = {cell: witness for cell, _, witness in CELLS}
for _what, _cell, _credentials, _options in (
        ("a certificate for somebody else", "tls", trusting(),
         {"ssl_target_name_override": "wrong.example"}),
        ("an unknown authority", "tls", trusting("other-ca.pem"), {}),
        ("no certificate of the client", "mtls", trusting(), {}),
        ("an unknown authority of the client's", "mtls", showing("stranger"), {}),
        ("plain text to a port with TLS", "tls", None, {}),
        ("TLS to a port in plain text", "h2c", trusting(), {}),
):
    case(f"{_what} is UNAVAILABLE, and the server serves on")(
        lambda a=(_cell, WITNESS[_cell], _credentials, _options): refused(*a))


@case("a certificate that expired is UNAVAILABLE")
def _():
    ends(post(stub(os.environ["CHANSERV_EXPIRED"], trusting()), "gen"), "UNAVAILABLE")
