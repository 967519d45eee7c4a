/* The link itself, and our two sides against OpenSSL: versions, ciphers, alerts, odd timing. */
#include "mux/mux__in.h"
#include "test/mux/secure.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <stdio.h>

TestSuite(tls_link, .init = secure_begin, .fini = secure_end);

static struct foreign f; /* outlives a test that fails */

static const uint8_t alpn_h2[] = {2, 'h', '2'};

static const struct mux_stats *server_stats(void)
{
    return mux_handlers_stats(secure.handlers);
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *len,
                     const unsigned char *in, unsigned in_len, void *user)
{
    (void)ssl;
    (void)in;
    (void)in_len;
    (void)user;
    *out = alpn_h2 + 1;
    *len = 2;
    return SSL_TLSEXT_ERR_OK;
}

/* A foreign server before our client. */
static void dial_foreign(SSL_CTX *ctx)
{
    struct mux_tls client = secure_client();
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(ends[0], &client, "localhost");
    foreign_begin(&f, ends[1], ctx, true);
}

/* A foreign client before our server. */
static void accept_foreign(SSL_CTX *ctx, const struct mux_tls *tls)
{
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_accept(ends[1], tls);
    foreign_begin(&f, ends[0], ctx, false);
}

static SSL_CTX *server_of_version(int version)
{
    SSL_CTX *ctx = foreign_ctx(true, "server");

    SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    return ctx;
}

static SSL_CTX *client_of_version(int version)
{
    SSL_CTX *ctx = foreign_ctx(false, NULL);

    SSL_CTX_set_alpn_protos(ctx, alpn_h2, sizeof alpn_h2);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    return ctx;
}

/* ---- Versions and ciphers ------------------------------------------------------------------- */

static void speaks_with_a_server(int version)
{

    dial_foreign(server_of_version(version));
    talk_settle(&secure);
    cr_assert_str_eq(mux_conn_errmsg(secure.conn), "");
    cr_assert_eq(mux_conn_stats(secure.conn)->tls_connections_total, 1);
    cr_assert_eq(SSL_version(f.ssl), version);
    cr_assert_eq(strncmp(f.got, "PRI * HTTP/2.0", 14), 0);
    cr_assert_str_eq(SSL_get_servername(f.ssl, TLSEXT_NAMETYPE_host_name), "localhost");
    cr_assert_eq(SSL_CIPHER_get_bits(SSL_get_current_cipher(f.ssl), NULL), 128,
                 "a server without a wish takes our first");
    foreign_end(&f);
}

Test(tls_link, speaks_1_2_with_a_server)
{
    speaks_with_a_server(TLS1_2_VERSION);
}

Test(tls_link, speaks_1_3_with_a_server)
{
    speaks_with_a_server(TLS1_3_VERSION);
}

static void speaks_with_a_client(int version)
{
    struct mux_tls server = secure_server("server");

    accept_foreign(client_of_version(version), &server);
    talk_settle(&secure);
    cr_assert_eq(SSL_version(f.ssl), version);
    cr_assert_geq(f.got_len, 9);
    cr_assert_eq(f.got[3], 4, "SETTINGS come first");
    cr_assert_eq(SSL_CIPHER_is_aead(SSL_get_current_cipher(f.ssl)), 1);
    cr_assert_eq(server_stats()->tls_connections_total, 1);
    foreign_end(&f);
}

Test(tls_link, speaks_1_2_with_a_client)
{
    speaks_with_a_client(TLS1_2_VERSION);
}

Test(tls_link, speaks_1_3_with_a_client)
{
    speaks_with_a_client(TLS1_3_VERSION);
}

/* Indexed: 3 is :method POST, 6 and 7 are :scheme http and https (RFC 7541, A). */
Test(tls_link, the_scheme_of_a_call_is_https)
{
    dial_foreign(server_of_version(TLS1_3_VERSION));
    talk_settle(&secure);
    foreign_send(&f, "\0\0\0\4\0\0\0\0\0", 9);
    talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_lt(f.got_len, sizeof f.got);
    cr_assert_not_null(memmem(f.got, f.got_len, "\x83\x87", 2));
    cr_assert_null(memmem(f.got, f.got_len, "\x83\x86", 2));
    foreign_end(&f);
}

Test(tls_link, refuses_a_server_of_1_1)
{

    dial_foreign(server_of_version(TLS1_1_VERSION));
    secure_refused("dial localhost: tls: the server speaks neither TLS 1.2 nor 1.3");
    foreign_end(&f);
}

static void expect_alert(int alert, const char *log)
{
    char want[400];

    talk_settle(&secure);
    cr_assert(f.is_over);
    cr_assert_eq(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + alert, "%s",
                 ERR_reason_error_string(ERR_peek_error()));
    snprintf(want, sizeof want, "connection of local: tls: %s", log);
    cr_assert_str_eq(secure_log, want);
    cr_assert_eq(server_stats()->tls_handshakes_failed, 1);
    cr_assert_eq(server_stats()->tls_connections_total, 0);
    foreign_end(&f);
}

Test(tls_link, refuses_a_client_of_1_1)
{
    struct mux_tls server = secure_server("server");

    accept_foreign(client_of_version(TLS1_1_VERSION), &server);
    expect_alert(SSL_AD_PROTOCOL_VERSION, "the client speaks neither TLS 1.2 nor 1.3");
}

Test(tls_link, refuses_a_cipher_without_forward_secrecy_or_authentication)
{
    static const char *const bad[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"};
    struct mux_tls server = secure_server("server");

    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *ctx = client_of_version(TLS1_2_VERSION);

        cr_assert_eq(SSL_CTX_set_cipher_list(ctx, bad[i]), 1);
        mux_handlers_stats(secure.handlers)->tls_handshakes_failed = 0;
        accept_foreign(ctx, &server);
        expect_alert(SSL_AD_HANDSHAKE_FAILURE, "the client and we have no cipher in common");
    }
}

/* ---- ALPN ----------------------------------------------------------------------------------- */

Test(tls_link, refuses_a_server_without_alpn)
{

    dial_foreign(foreign_ctx(true, "server"));
    secure_refused("dial localhost: tls: the server does not speak HTTP/2 (ALPN h2)");
    foreign_end(&f);
}

static int choose_nothing(SSL *ssl, const unsigned char **out, unsigned char *len,
                          const unsigned char *in, unsigned in_len, void *user)
{
    (void)choose_h2(ssl, out, len, in, in_len, user);
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

Test(tls_link, understands_a_server_that_refuses_h2)
{
    SSL_CTX *ctx = foreign_ctx(true, "server");

    SSL_CTX_set_alpn_select_cb(ctx, choose_nothing, NULL);
    dial_foreign(ctx);
    secure_refused("dial localhost: tls: the server does not speak HTTP/2 (ALPN h2)");
    foreign_end(&f);
}

Test(tls_link, refuses_a_client_without_alpn)
{
    struct mux_tls server = secure_server("server");

    accept_foreign(foreign_ctx(false, NULL), &server);
    expect_alert(SSL_AD_NO_APPLICATION_PROTOCOL, "the client does not ask for HTTP/2 (ALPN h2)");
}

Test(tls_link, refuses_a_client_of_other_protocols)
{
    static const uint8_t other[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1', 3, 'h', '2', 'c'};
    struct mux_tls server = secure_server("server");
    SSL_CTX *ctx = foreign_ctx(false, NULL);

    SSL_CTX_set_alpn_protos(ctx, other, sizeof other);
    accept_foreign(ctx, &server);
    expect_alert(SSL_AD_NO_APPLICATION_PROTOCOL, "the client does not ask for HTTP/2 (ALPN h2)");
}

Test(tls_link, finds_h2_among_others)
{
    static const uint8_t both[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1', 2, 'h', '2'};
    struct mux_tls server = secure_server("server");
    SSL_CTX *ctx = foreign_ctx(false, NULL);

    SSL_CTX_set_alpn_protos(ctx, both, sizeof both);
    accept_foreign(ctx, &server);
    talk_settle(&secure);
    cr_assert_eq(server_stats()->tls_connections_total, 1, "%s", secure_log);
    foreign_end(&f);
}

/* ---- Certificates that are asked for -------------------------------------------------------- */

Test(tls_link, with_1_2_too_a_missing_certificate_is_named)
{
    SSL_CTX *ctx = server_of_version(TLS1_2_VERSION);

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    dial_foreign(ctx);
    secure_refused("dial localhost: tls: the server demands a client certificate");
    foreign_end(&f);
}

static int sessions;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    (void)session;
    sessions++;
    return 0;
}

static int sessions_of(int version, const struct mux_tls *server)
{
    SSL_CTX *ctx = client_of_version(version);

    cr_assert_eq(SSL_CTX_use_certificate_file(ctx, certs_path("client.pem"), SSL_FILETYPE_PEM), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(ctx, certs_path("client.key"), SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    sessions = 0;
    accept_foreign(ctx, server);
    talk_settle(&secure);
    cr_assert_gt(f.got_len, 0, "%s", secure_log);
    foreign_end(&f);
    return sessions;
}

/* A session that is resumed skips the certificate, which may have expired meanwhile. */
Test(tls_link, who_must_show_a_certificate_shows_it_each_time)
{
    struct mux_tls server = secure_server("server");

    cr_assert_eq(sessions_of(TLS1_2_VERSION, &server), 1);
    cr_assert_eq(sessions_of(TLS1_3_VERSION, &server), 2);
    server.ca_file = certs_path("ca.pem");
    cr_assert_eq(sessions_of(TLS1_3_VERSION, &server), 0);
    cr_assert_eq(sessions_of(TLS1_2_VERSION, &server), 0);
}

/* ---- While it stands ------------------------------------------------------------------------ */

static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                            "\0\0\0\4\0\0\0\0\0"; /* SETTINGS */
static const char ping[] = "\0\0\10\6\0\0\0\0\0pingpong";

/* A ping is answered: 17 bytes, behind whatever came before. */
static void expect_pong(void)
{
    size_t before;

    talk_settle(&secure);
    before = f.got_len;
    foreign_send(&f, ping, sizeof ping - 1);
    talk_settle(&secure);
    cr_assert_eq(f.got_len, before + 17);
    cr_assert_not(f.is_over);
}

Test(tls_link, keys_are_changed_when_the_other_side_likes)
{
    struct mux_tls server = secure_server("server");

    accept_foreign(client_of_version(TLS1_3_VERSION), &server);
    talk_settle(&secure);
    foreign_send(&f, hello, sizeof hello - 1);
    expect_pong();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        expect_pong();
    }
    foreign_end(&f);
}

Test(tls_link, nothing_is_negotiated_again)
{
    struct mux_tls server = secure_server("server");

    accept_foreign(client_of_version(TLS1_2_VERSION), &server);
    talk_settle(&secure);
    foreign_send(&f, hello, sizeof hello - 1);
    talk_settle(&secure);
    cr_assert_eq(SSL_renegotiate(f.ssl), 1);
    (void)SSL_do_handshake(f.ssl);
    foreign_pump(&f);
    talk_settle(&secure);
    cr_assert(f.is_over);
    foreign_end(&f);
}

Test(tls_link, a_record_that_was_tampered_with_breaks_the_connection)
{
    static char record[] = "\x17\x03\x03\x00\x20 0123456789abcdef0123456789abcdef";
    struct iovec iov = {record, sizeof record - 1};
    struct side *c;
    size_t n;

    dial_foreign(server_of_version(TLS1_3_VERSION));
    talk_settle(&secure);
    foreign_send(&f, hello + 24, 9);
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_eq(c->ends, 0);
    cr_assert_eq(mux__link_write(f.link, &iov, 1, &n), CS_OK);
    talk_settle(&secure);
    cr_assert_eq(c->why, CS_EPEER);
    cr_assert_str_eq(c->errmsg, "localhost: tls: decryption failed or bad record mac");
    cr_assert_not(c->never_ran);
    foreign_end(&f);
}

/* ---- The link alone ------------------------------------------------------------------------- */

static struct {
    mux__link *link;
    size_t room, sum, told;
    cs_err last;
    char why[200];
    int shaken;
} r;

/* One read each time it is told, however much there is. */
static void read_a_little(int can, void *user)
{
    char bytes[2048];
    size_t n = 0;

    (void)user;
    r.told++;
    if (!(can & CS_IO_READ) || r.last > CS_AGAIN)
        return;
    r.last = mux__link_read(r.link, bytes, r.room, &n);
    r.sum += n;
    if (r.last > CS_AGAIN)
        mux__link_want(r.link, false, false);
}

static void on_shaken(const char *why, void *user)
{
    (void)user;
    r.shaken++;
    snprintf(r.why, sizeof r.why, "%s", why ? why : "");
    if (why)
        return;
    mux__link_listen(r.link, read_a_little, NULL);
    mux__link_want(r.link, true, false);
}

static void link_to_foreign(size_t room)
{
    struct mux_tls client = secure_client();
    mux__link *ends[2];
    mux__tls *tls;

    memset(&r, 0, sizeof r);
    r.room = room;
    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    cr_assert_eq(mux__tls_new(&client, false, "localhost", &tls, NULL, 0), CS_OK);
    cr_assert_eq(mux__tls_link(tls, ends[0], 1000, on_shaken, NULL, &r.link), CS_OK);
    mux__tls_drop(tls);
    foreign_begin(&f, ends[1], server_of_version(TLS1_3_VERSION), true);
    talk_settle(&secure);
    cr_assert_eq(r.shaken, 1);
    cr_assert_str_eq(r.why, "");
}

/* The socket, or what stands for it, is quiet long before all is read. */
Test(tls_link, what_openssl_holds_is_told_again_until_it_is_read)
{
    static char bytes[40000];

    link_to_foreign(1000);
    foreign_send(&f, bytes, sizeof bytes);
    talk_settle(&secure);
    cr_assert_eq(r.sum, sizeof bytes);
    cr_assert_geq(r.told, 40);
    cr_assert_eq(r.last, CS_AGAIN);
    cs_loop_advance(secure.loop, 5000); /* the limit of the handshake is none of the link */
    cr_assert_eq(r.last, CS_AGAIN);
    foreign_end(&f);
    talk_settle(&secure);
    cr_assert_eq(r.last, CS_DONE);
    mux__link_free(r.link);
}

Test(tls_link, the_last_bytes_come_before_the_end)
{

    link_to_foreign(2048);
    cr_assert_eq(SSL_write(f.ssl, "bye", 3), 3);
    cr_assert_eq(SSL_shutdown(f.ssl), 0);
    foreign_pump(&f);
    talk_settle(&secure);
    cr_assert_eq(r.sum, 3);
    cr_assert_eq(r.last, CS_DONE);
    mux__link_free(r.link);
    foreign_end(&f);
}

Test(tls_link, says_good_bye_when_it_is_freed)
{

    link_to_foreign(2048);
    mux__link_free(r.link);
    talk_settle(&secure);
    cr_assert_eq(SSL_get_shutdown(f.ssl), SSL_RECEIVED_SHUTDOWN);
    foreign_end(&f);
}

Test(tls_link, small_pieces_travel_in_few_records)
{
    static char piece[100];
    struct iovec iov[100];
    size_t n;
    uint64_t records;

    link_to_foreign(2048);
    for (int i = 0; i < 100; i++)
        iov[i] = (struct iovec){piece, sizeof piece};
    records = (uint64_t)BIO_number_read(SSL_get_rbio(f.ssl));
    cr_assert_eq(mux__link_write(r.link, iov, 100, &n), CS_OK);
    cr_assert_eq(n, 100 * sizeof piece);
    talk_settle(&secure);
    cr_assert_eq(f.got_len, n);
    /* A record costs 22 bytes: header, type, tag. */
    cr_assert_eq((uint64_t)BIO_number_read(SSL_get_rbio(f.ssl)) - records, n + 22);
    mux__link_free(r.link);
    foreign_end(&f);
}

/* ---- A link that drips ---------------------------------------------------------------------- */

struct drip {
    mux__link link;
    mux__link *inner;
};

static bool takes_nothing; /* any of them, any more */

static cs_err drip_read(mux__link *link, void *to, size_t room, size_t *ret)
{
    return mux__link_read(CS_CONTAINER(link, struct drip, link)->inner, to, room > 0, ret);
}

static cs_err drip_write(mux__link *link, const struct iovec *iov, int iov_len, size_t *ret)
{
    struct iovec one = {iov[0].iov_base, 1};

    (void)iov_len;
    if (takes_nothing)
        return CS_ESYS;
    return mux__link_write(CS_CONTAINER(link, struct drip, link)->inner, &one, 1, ret);
}

static void drip_want(mux__link *link, bool read, bool write)
{
    mux__link_want(CS_CONTAINER(link, struct drip, link)->inner, read, write);
}

static void drip_free(mux__link *link)
{
    struct drip *drip = CS_CONTAINER(link, struct drip, link);

    mux__link_free(drip->inner);
    cs_free(drip);
}

static void drip_ready(int can, void *user)
{
    struct drip *drip = user;

    drip->link.ready(can, drip->link.user);
}

static mux__link *drip_over(mux__link *inner)
{
    static const struct mux__link_ops ops = {
        .read = drip_read, .write = drip_write, .want = drip_want, .free = drip_free};
    struct drip *drip = cs_zalloc(sizeof *drip);

    drip->link = (mux__link){.ops = &ops, .loop = inner->loop, .peer = inner->peer};
    drip->inner = inner;
    mux__link_listen(inner, drip_ready, drip);
    return &drip->link;
}

static void over_drips(void)
{
    struct mux_tls client = secure_client(), server = secure_server("server");
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(drip_over(ends[0]), &client, "localhost");
    secure_accept(drip_over(ends[1]), &server);
}

Test(tls_link, a_byte_at_a_time_is_enough)
{
    over_drips();
    secure_answers();
    secure_answers();
}

/* Nobody says so on the way back, as a socket would: there is nothing to wait for all the same. */
Test(tls_link, where_nothing_can_be_written_a_handshake_is_over)
{
    takes_nothing = true;
    over_drips();
    secure_refused("dial localhost: tls: the server closed the connection during the handshake");
}

Test(tls_link, where_nothing_can_be_written_a_call_is_over)
{
    struct side *c;

    over_drips();
    secure_answers();
    takes_nothing = true;
    c = talk_open(&secure, 1);
    talk_settle(&secure);
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(c->why, CS_EPEER);
}

/* ---- Where the peer is ----------------------------------------------------------------------- */

static bool is_elsewhere;

static bool below_says(mux__link *link)
{
    (void)link;
    return is_elsewhere;
}

Test(tls_link, asks_the_link_below_where_the_peer_is)
{
    const struct mux_tls client = secure_client(), server = secure_server("server");
    static struct mux__link_ops below;
    mux__link *inner;

    secure_meet(&client, &server, "localhost");
    secure_answers();
    inner = mux__tls_inner(secure.conn->link);
    cr_assert_not(mux__link_is_apart(secure.conn->link), "a link of memory cannot tell");
    below = *inner->ops;
    below.is_apart = below_says;
    inner->ops = &below;
    cr_assert_not(mux__link_is_apart(secure.conn->link));
    is_elsewhere = true;
    cr_assert(mux__link_is_apart(secure.conn->link));
}

/* ---- Without memory ------------------------------------------------------------------------- */

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
}

static void refuse(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.end = on_end};

    (void)user;
    if (mux_stream_accept(stream, &ops, NULL) == CS_OK)
        mux_stream_finish(stream, CS_DONE, NULL);
}

static void story(void)
{
    struct mux_tls client = secure_client(), server = secure_server("server");
    const struct mux_options c = {.tls = &client}, s = {.tls = &server};
    struct side *side;

    client.cert_file = certs_path("client.pem");
    client.key_file = certs_path("client.key");
    server.ca_file = certs_path("ca.pem");
    memset(&secure, 0, sizeof secure);
    if (cs_loop_new_virtual(&secure.loop) != CS_OK)
        return;
    if (mux_handlers_new(&secure.handlers) == CS_OK &&
        mux_handle(secure.handlers, TALK_METHOD, refuse, NULL) == CS_OK &&
        mux_dial_local(secure.loop, &c, &s, secure.handlers, &secure.conn) == CS_OK) {
        side = &secure.client[0];
        side->talk = &secure;
        if (mux_stream_open(secure.conn, TALK_METHOD, NULL, &talk_ops, side, &side->stream) ==
            CS_OK) {
            (void)!mux_stream_send(side->stream, cs_str("one"), cs_str(""));
            mux_stream_finish(side->stream, CS_OK, NULL);
        }
        cs_loop_settle(secure.loop);
    }
    mux_conn_free(secure.conn);
    cs_loop_settle(secure.loop);
    mux_handlers_free(secure.handlers);
    cs_loop_settle(secure.loop);
    cs_loop_free(secure.loop);
}

static void begin_files(void)
{
    certs_begin();
    failing_count();
}

TestSuite(tls_without_memory, .init = begin_files, .fini = certs_end);

Test(tls_without_memory, fails_clean)
{
    cr_assert_gt(failing_story(story), 50);
}

Test(tls_without_memory, fails_clean_when_nothing_is_left)
{
    failing_drought(story, 5);
}
