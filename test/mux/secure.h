/* secure -- talk.h with TLS between the two: our client and our server over an in-memory pair, or
 * one of them and a foreign other end, which is plain OpenSSL without anything of ours.
 *
 * Certificates are those of certs.h; secure_begin() makes them, and the loop. */
#ifndef TEST_MUX_SECURE_H
#define TEST_MUX_SECURE_H

#include "mux/link__in.h"
#include "mux/tls__in.h"
#include "test/mux/talk.h"
#include "test/support/certs.h"

#include <openssl/ssl.h>

extern struct talk secure;   /* what talk_open() and others take */
extern char secure_log[512]; /* the last line of the log */

void secure_begin(void);
void secure_end(void);

struct mux_tls secure_server(const char *name); /* NAME.pem and NAME.key */
struct mux_tls secure_client(void);             /* believes ca.pem */

/* Our side, over one end of a pair. */
void secure_dial(mux__link *end, const struct mux_tls *tls, const char *host);
void secure_accept(mux__link *end, const struct mux_tls *tls);

/* Both, and what a call says then: `story` is how it ends, the server's log ends with `said`. */
void secure_meet(const struct mux_tls *client, const struct mux_tls *server, const char *host);
void secure_refused(const char *story);
void secure_answers(void); /* a call, there and back */

struct foreign {
    mux__link *link;
    SSL *ssl;
    bool is_over;  /* OpenSSL said that something failed */
    char got[256]; /* the first of what came */
    size_t got_len;
};
/* A context to be tuned; with a certificate of certs.h or NULL. */
SSL_CTX *foreign_ctx(bool is_server, const char *name);
void foreign_begin(struct foreign *f, mux__link *end, SSL_CTX *ctx, bool is_server);
void foreign_send(struct foreign *f, const void *bytes, int len);
void foreign_pump(struct foreign *f);
void foreign_end(struct foreign *f); /* closes its end, frees the context too */

#endif
