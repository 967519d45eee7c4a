/* secure -- see secure.h. */
#include "test/mux/secure.h"

#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct talk secure;
char secure_log[512];

static void on_log(cs_level level, const char *room, const char *line, void *user)
{
    (void)level;
    (void)room;
    (void)user;
    snprintf(secure_log, sizeof secure_log, "%s", line);
}

void secure_begin(void)
{
    certs_begin();
    cs_set_log(on_log, NULL, CS_INFO);
    talk_handlers(&secure);
}

void secure_end(void)
{
    talk_end(&secure);
    certs_end();
}

struct mux_tls secure_server(const char *name)
{
    char cert[64], key[64];

    snprintf(cert, sizeof cert, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    return (struct mux_tls){.cert_file = certs_path(cert), .key_file = certs_path(key)};
}

struct mux_tls secure_client(void)
{
    return (struct mux_tls){.ca_file = certs_path("ca.pem")};
}

void secure_dial(mux__link *end, const struct mux_tls *tls, const char *host)
{
    char words[MUX__TLS_WORDS];
    mux_conn *conn;

    cr_assert_eq(mux__conn_new(secure.loop, NULL, false, &conn), CS_OK);
    conn->addr = cs_strdup(host);
    conn->authority = cs_strdup(host);
    cr_assert_eq(mux__h2_new(conn), CS_OK);
    cr_assert_eq(mux__tls_new(tls, false, host, &conn->front->tls, words, sizeof words), CS_OK,
                 "%s", words);
    conn->dialed_ms = cs_loop_now_ms(secure.loop);
    cr_assert_eq(mux__conn_begin(conn, end, conn->front->tls), CS_OK);
    secure.conn = conn;
}

void secure_accept(mux__link *end, const struct mux_tls *tls)
{
    char words[MUX__TLS_WORDS];
    mux__tls *made;

    cr_assert_eq(mux__tls_new(tls, true, NULL, &made, words, sizeof words), CS_OK, "%s", words);
    cr_assert_eq(mux__conn_accept_tls(secure.loop, end, made, NULL, secure.handlers,
                                      &secure.handlers->local_conns, NULL),
                 CS_OK);
    mux__tls_drop(made); /* as when a port goes before its connections */
}

void secure_meet(const struct mux_tls *client, const struct mux_tls *server, const char *host)
{
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(ends[0], client, host);
    secure_accept(ends[1], server);
}

void secure_refused(const char *story)
{
    struct side *c = talk_open(&secure, 0);

    talk_settle(&secure);
    cr_assert_eq(c->ends, 1);
    cr_assert_str_eq(c->errmsg, story);
    cr_assert_eq(c->why, CS_EREFUSED, "%s", cs_strerror(c->why));
    cr_assert(c->never_ran);
}

static void echo(struct side *s)
{
    side_take(s);
    if (s->last != CS_DONE)
        return;
    side_send(s, s->text);
    side_finish(s, CS_DONE);
}

void secure_answers(void)
{
    struct side *c;

    secure.server[0] = secure.client[0] = (struct side){0};
    secure.accepted = 0;
    secure.server[0].on_readable = echo;
    c = talk_open(&secure, 0);
    side_send(c, "one");
    side_finish(c, CS_OK);
    talk_settle(&secure);
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
    cr_assert_str_eq(c->text, "one||");
}

/* ---- Somebody else -------------------------------------------------------------------------- */

SSL_CTX *foreign_ctx(bool is_server, const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    char pem[64], key[64];

    SSL_CTX_set_security_level(ctx, 0); /* old versions too */
    if (!name)
        return ctx;
    snprintf(pem, sizeof pem, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    cr_assert_eq(SSL_CTX_use_certificate_file(ctx, certs_path(pem), SSL_FILETYPE_PEM), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(ctx, certs_path(key), SSL_FILETYPE_PEM), 1);
    return ctx;
}

void foreign_pump(struct foreign *f)
{
    char bytes[4096];
    cs_err err;
    size_t n;
    int len;

    if (!f->link)
        return;
    while ((err = mux__link_read(f->link, bytes, sizeof bytes, &n)) == CS_OK)
        BIO_write(SSL_get_rbio(f->ssl), bytes, (int)n);
    f->is_over = f->is_over || err != CS_AGAIN;
    while ((len = SSL_read(f->ssl, bytes, sizeof bytes)) > 0) {
        if (f->got_len + (size_t)len < sizeof f->got)
            memcpy(f->got + f->got_len, bytes, (size_t)len);
        f->got_len += (size_t)len;
    }
    if (SSL_get_error(f->ssl, len) != SSL_ERROR_WANT_READ)
        f->is_over = true;
    while ((len = BIO_read(SSL_get_wbio(f->ssl), bytes, sizeof bytes)) > 0) {
        struct iovec iov = {bytes, (size_t)len};
        if (mux__link_write(f->link, &iov, 1, &n) != CS_OK)
            break;
    }
    mux__link_want(f->link, true, false);
}

static void on_ready(int can, void *user)
{
    (void)can;
    foreign_pump(user);
    if (((struct foreign *)user)->is_over) {
        mux__link_free(((struct foreign *)user)->link);
        ((struct foreign *)user)->link = NULL;
    }
}

void foreign_begin(struct foreign *f, mux__link *end, SSL_CTX *ctx, bool is_server)
{
    *f = (struct foreign){.link = end, .ssl = SSL_new(ctx)};
    SSL_CTX_free(ctx);
    SSL_set_bio(f->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (is_server)
        SSL_set_accept_state(f->ssl);
    else
        SSL_set_connect_state(f->ssl);
    mux__link_listen(end, on_ready, f);
    foreign_pump(f);
}

void foreign_send(struct foreign *f, const void *bytes, int len)
{
    cr_assert_eq(SSL_write(f->ssl, bytes, len), len);
    foreign_pump(f);
}

void foreign_end(struct foreign *f)
{
    mux__link_free(f->link);
    SSL_free(f->ssl);
}
