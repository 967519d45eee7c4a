/* tls -- TLS as a link over another link, be that a socket or memory.
 *
 * Private to mux.  Nothing here shows that it is OpenSSL.
 *
 *   tls.c        keys, certificates and whom to believe, from files: once for a port or a name
 *   tls_shake.c  how a link begins: the handshake
 *   tls_link.c   the link: records, both ways
 *   tls_words.c  what went wrong, in words for people
 *   tls_peer.c   who is at the other end
 */
#ifndef MUX_TLS_IN_H
#define MUX_TLS_IN_H

#include "mux/link__in.h"

enum { MUX__TLS_WORDS = 320 };

/* Counted, from any thread. */
typedef struct mux__tls mux__tls;

/* Reads the files.  `host`: a client's, what is dialed, where the options name nobody else.
 * CS_EINVAL: a file has not in it what it should; CS_ESYS: it cannot be read; CS_EMISUSE: the
 * struct was never initialised; CS_ENOMEM.  `words` has a line then, "tls: cert.pem: no such file
 * or directory". */
cs_err mux__tls_new(const struct mux_tls *options, bool is_server, const char *host, mux__tls **ret,
                    char *words, size_t len);
mux__tls *mux__tls_hold(mux__tls *tls);
void mux__tls_drop(mux__tls *tls); /* NULL is fine */

/* A link over `inner`, which it takes on CS_OK only.  It begins with the handshake, and is free to
 * be listened to and used when `done` has said so: once, from the loop, unless freed before; `why`
 * NULL, or one line, "tls: the handshake timed out", and then it is good for freeing alone.
 * Freeing is legal in `done`.  Its peer's tls_* are of the verified certificate.  timeout_ms as of
 * a timer. */
typedef void mux__shaken_fn(const char *why, void *user);
cs_err mux__tls_link(mux__tls *tls, mux__link *inner, int timeout_ms, mux__shaken_fn *done,
                     void *user, mux__link **ret);
/* Before its handshake, a server's: HTTP/1.1 is offered too, and a client that asks for nothing is
 * welcome; link->is_http1 tells. */
void mux__tls_offer_http1(mux__link *link);
mux__link *mux__tls_inner(mux__link *link);

#endif
