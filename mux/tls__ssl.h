/* tls__ssl -- what the files of TLS share.  Private to mux/tls*.c, which alone speak OpenSSL. */
#ifndef MUX_TLS_SSL_H
#define MUX_TLS_SSL_H

#include "mux/tls__in.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct mux__tls {
    atomic_uint refs; /* a wire's link may have gone to another loop */
    bool is_server;
    bool verifies; /* the other side's certificate */
    bool has_cert;
    bool name_is_ip;
    char *name; /* a client: whom we expect */
    SSL_CTX *ctx;
    BIO_METHOD *bio; /* over a link */
};

struct mux__tls_link {
    mux__link link;
    mux__link *inner;
    mux__tls *tls;
    SSL *ssl;
    mux__shaken_fn *done;
    void *done_user;
    cs_timer *limit;   /* of the handshake; NULL after it */
    cs_task again;     /* something is left to be read, though the inner link is quiet */
    struct cs_buf out; /* records that the inner link did not take yet; from `at` on */
    size_t at;
    bool wants_read, wants_write;
    bool shaken;       /* the handshake is over, and well */
    bool more;         /* the last read stopped because it had no room */
    bool heard;        /* bytes of the other side, and not only its handshake */
    bool asked;        /* a client: the server wants to see a certificate */
    bool http1;        /* a server: other protocols than h2 are welcome */
    bool shut;         /* close_notify was said */
    bool mute;         /* the inner link takes nothing any more */
    bool starved;      /* there was no memory for what must be said */
    cs_err over;       /* what every read answers from now on */
    cs_err inner_over; /* the same of the inner link */
    int first;         /* the first byte that came, or -1 */
    char words[MUX__TLS_WORDS];
};

/* ---- tls_link.c ----------------------------------------------------------------------------- */

extern const struct mux__link_ops mux__tls_ops;
void mux__tls_inner_ready(int can, void *link);  /* what the inner link is listened to with */
void mux__tls_again(cs_task *task);              /* `again`, once the handshake is over */
bool mux__tls_flush(struct mux__tls_link *link); /* true: nothing waits to go out any more */
/* After whatever was done: the inner link is asked for what is missing. */
void mux__tls_settle(struct mux__tls_link *link);

BIO_METHOD *mux__tls_bio(void); /* reads and writes the inner link of its data; NULL: no memory */

/* ---- tls_shake.c ---------------------------------------------------------------------------- */

/* Goes on with it; the link may be gone then. */
void mux__tls_handshake(struct mux__tls_link *link);

/* ---- tls_words.c ---------------------------------------------------------------------------- */

/* "tls: " and this, unless something was said before: the first cause is the one that counts. */
void mux__tls_say(struct mux__tls_link *link, const char *format, ...) CS_PRINTF(2, 3);
/* What stopped OpenSSL, from its queue of errors; `error` is what SSL_get_error() said. */
void mux__tls_explain(struct mux__tls_link *link, int error);
/* Was there no memory?  Of the same queue, which is empty then. */
bool mux__tls_was_memory(void);
/* Did the other side end it by an alert?  Of the same queue. */
bool mux__tls_was_alert(void);
int mux__tls_on_verify(int ok, X509_STORE_CTX *ctx); /* for SSL_CTX_set_verify() */

/* ---- tls_peer.c ----------------------------------------------------------------------------- */

/* From the certificate, which was verified.  CS_ENOMEM. */
cs_err mux__tls_peer(struct mux_peer *peer, X509 *cert);
void mux__tls_peer_fini(struct mux_peer *peer);
void mux__tls_subject(const X509_NAME *name, char *to, size_t len); /* RFC 2253, cut to fit */
void mux__tls_names(X509 *cert, char *to, size_t len); /* whom it is for: "a.example, 10.0.0.1" */

#endif
