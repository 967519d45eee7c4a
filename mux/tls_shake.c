/* tls_shake -- how a link begins: the handshake, its time, and who is welcome at its end. */
#include "mux/tls__ssl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* ---- The handshake -------------------------------------------------------------------------- */

static void handshake_over(struct mux__tls_link *link, bool well)
{
    cs_timer_free(link->limit);
    link->limit = NULL;
    cs_task_drop(&link->again);
    cs_task_init(&link->again, mux__tls_again);
    link->shaken = well;
    link->more = well; /* what came behind it is in OpenSSL's buffer already */
    if (!well)
        link->over = CS_EPEER;
    mux__tls_settle(link);
    link->done(well ? NULL : link->words, link->done_user); /* the link may be gone now */
}

/* What must be true of the other side beyond what OpenSSL sees to. */
static bool is_welcome(struct mux__tls_link *link)
{
    const unsigned char *protocol;
    unsigned len;

    SSL_get0_alpn_selected(link->ssl, &protocol, &len);
    link->link.is_http1 = len != 2 || memcmp(protocol, "h2", 2) != 0;
    if (link->link.is_http1 && !link->http1) {
        mux__tls_say(link, "the server does not speak HTTP/2 (ALPN h2)");
        return false;
    }
    if (link->tls->verifies &&
        mux__tls_peer(&link->link.peer, SSL_get0_peer_certificate(link->ssl)) != CS_OK) {
        mux__tls_say(link, "no memory");
        return false;
    }
    return true;
}

void mux__tls_handshake(struct mux__tls_link *link)
{
    int n, error;

    ERR_clear_error();
    n = SSL_do_handshake(link->ssl);
    error = n == 1 ? SSL_ERROR_NONE : SSL_get_error(link->ssl, n);
    if (error == SSL_ERROR_WANT_READ) {
        (void)mux__tls_flush(link);
        mux__tls_settle(link);
        return;
    }
    if (error != SSL_ERROR_NONE)
        mux__tls_explain(link, error);
    (void)mux__tls_flush(link); /* our alert, which says the same to the other side */
    handshake_over(link, error == SSL_ERROR_NONE && is_welcome(link));
}

static void on_limit(void *user)
{
    struct mux__tls_link *link = user;

    mux__tls_say(link, "the handshake timed out");
    link->link.timed_out = true;
    handshake_over(link, false);
}

static void start(cs_task *task)
{
    mux__tls_handshake(CS_CONTAINER(task, struct mux__tls_link, again));
}

/* ---- The beginning -------------------------------------------------------------------------- */

static bool connect_ssl(struct mux__tls_link *link)
{
    mux__tls *tls = link->tls;
    BIO *bio;

    link->ssl = SSL_new(tls->ctx);
    bio = link->ssl ? BIO_new(tls->bio) : NULL;
    if (!bio)
        return false;
    BIO_set_data(bio, link);
    SSL_set_bio(link->ssl, bio, bio);
    if (SSL_set_app_data(link->ssl, link) != 1)
        return false;
    if (tls->is_server) {
        SSL_set_accept_state(link->ssl);
        return true;
    }
    SSL_set_connect_state(link->ssl);
    SSL_set_hostflags(link->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (tls->name_is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(link->ssl), tls->name) == 1;
    /* A name to verify is also the one to send (RFC 6066, 3: names only, no addresses). */
    return SSL_set1_host(link->ssl, tls->name) == 1 &&
           SSL_set_tlsext_host_name(link->ssl, tls->name) == 1;
}

cs_err mux__tls_link(mux__tls *tls, mux__link *inner, int timeout_ms, mux__shaken_fn *done,
                     void *user, mux__link **ret)
{
    struct mux__tls_link *link = cs_zalloc(sizeof *link);
    bool ok;

    if (!link)
        return CS_ENOMEM;
    link->link.ops = &mux__tls_ops;
    link->link.loop = inner->loop;
    link->link.peer = inner->peer;
    link->link.is_tls = true;
    link->tls = mux__tls_hold(tls);
    link->done = done;
    link->done_user = user;
    link->first = -1;
    cs_task_init(&link->again, start);
    ERR_clear_error();
    ok = connect_ssl(link) && cs_timer_new(inner->loop, on_limit, link, &link->limit) == CS_OK;
    if (!ok) {
        ERR_clear_error();
        mux__link_free(&link->link); /* without the inner link, which we have not taken */
        return CS_ENOMEM;
    }
    link->inner = inner;
    mux__link_listen(inner, mux__tls_inner_ready, link);
    cs_timer_set(link->limit, timeout_ms);
    cs_task_post(inner->loop, CS_IO, &link->again);
    *ret = &link->link;
    return CS_OK;
}

void mux__tls_offer_http1(mux__link *link)
{
    CS_CONTAINER(link, struct mux__tls_link, link)->http1 = true;
}
