/* secure -- see secure.h; and handshakes that nobody goes on with. */
#include "test/attack/secure.h"

#include "test/attack/attack.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>

/* ---- TLS ------------------------------------------------------------------------------------- */

static SSL *ssl_new(void)
{
    static const unsigned char h2[] = {2, 'h', '2'};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    SSL_CTX_free(ctx);
    if (!ssl || SSL_set_alpn_protos(ssl, h2, sizeof h2) != 0)
        abort();
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* As recv() and send() say it. */
static ssize_t said(SSL *ssl, int n)
{
    int why = SSL_get_error(ssl, n);
    if (n > 0)
        return n;
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

static ssize_t take(struct peer *peer, void *to, size_t size)
{
    return said(peer->secure, SSL_read(peer->secure, to, (int)size));
}

static ssize_t give(struct peer *peer, const void *bytes, size_t len)
{
    return said(peer->secure, SSL_write(peer->secure, bytes, (int)len));
}

static void done(struct peer *peer)
{
    SSL_free(peer->secure);
}

bool peer_secure(struct peer *peer)
{
    int64_t until = now_ms() + PEER_PATIENCE_MS;
    SSL *ssl = peer->secure = ssl_new();
    int n;
    peer->take = take;
    peer->give = give;
    peer->done = done;
    SSL_set_fd(ssl, peer->fd);
    while ((n = SSL_do_handshake(ssl)) != 1 && said(ssl, n) < 0 && errno == EAGAIN &&
           now_ms() < until) {
        struct pollfd p = {.fd = peer->fd, .events = POLLIN};
        poll(&p, 1, PEER_PATIENCE_MS);
    }
    return n == 1;
}

size_t secure_hello(uint8_t *to, size_t size)
{
    SSL *ssl = ssl_new();
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    int n;
    SSL_set_bio(ssl, in, out);
    SSL_do_handshake(ssl);
    n = BIO_read(out, to, (int)size);
    SSL_free(ssl);
    return n > 0 ? (size_t)n : 0;
}

/* ---- Half of it ------------------------------------------------------------------------------ */

/* Not a word, half a hello, or a whole one and nothing behind it. */
static void half_handshakes(struct attack *attack)
{
    uint8_t hello[1024];
    size_t len = secure_hello(hello, sizeof hello);
    EXPECT(attack, len > 100, "no hello");
    for (size_t i = 0; i < 300; i++) {
        struct peer *peer = attack_dial(attack);
        peer->rude = true;
        peer_bytes(peer, hello, len * (i % 3) / 2);
        peer_flush(peer);
    }
}

/* A hello that comes a byte at a time. */
static void slow_handshakes(struct attack *attack)
{
    uint8_t hello[1024];
    size_t len = secure_hello(hello, sizeof hello);
    for (int i = 0; i < 100; i++)
        attack_dial(attack)->rude = true;
    for (size_t at = 0; at < len && attack->work.cuts < 100; at++) {
        for (int i = 0; i < 100; i++) {
            peer_bytes(attack->peers[i], hello + at, 1);
            peer_flush(attack->peers[i]);
        }
        attack_hear(attack);
        nap_ms(20);
    }
    EXPECT(attack, attack->work.cuts >= 100, "a hello may take for ever");
}

const struct scenario attack_secure[] = {{.name = "half-handshakes",
                                          .limit = "handshake_timeout_ms",
                                          .counter = "handshake_timeouts",
                                          .moves = 300,
                                          .least = 300,
                                          .options = "--handshake-timeout 1s",
                                          .run = half_handshakes,
                                          .secure = true},
                                         {.name = "slow-handshakes",
                                          .limit = "handshake_timeout_ms",
                                          .counter = "handshake_timeouts",
                                          .moves = 100,
                                          .least = 100,
                                          .options = "--handshake-timeout 1s",
                                          .run = slow_handshakes,
                                          .secure = true},
                                         {.name = NULL}};
