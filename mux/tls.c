/* tls -- see tls__in.h: what the files of the options come to. */
#include "mux/tls.h"

#include "mux/sock__in.h"
#include "mux/tls__ssl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { READ_AHEAD = 64 * 1024 }; /* several records with one read, as without TLS */

/* Forward secrecy and authenticated encryption only (RFC 9113, 9.2.2); those of 1.3 are all so.  A
 * client's first is what a server takes that has no wish of its own: 128 bits before 256, as
 * browsers have it and Go, for it is a third less work and nobody breaks either. */
static const char CIPHERS[] = "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20";
static const char SUITES[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const uint8_t H2[] = {2, 'h', '2'};
static const uint8_t HTTP1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/* Where a story is told while files are read. */
struct teller {
    char *words;
    size_t len;
};

static cs_err tell(const struct teller *to, cs_err err, const char *format, ...) CS_PRINTF(3, 4);
static cs_err tell(const struct teller *to, cs_err err, const char *format, ...)
{
    va_list args;
    char words[MUX__TLS_WORDS];

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (to->words && to->len > 0)
        snprintf(to->words, to->len, "tls: %s", words);
    return err;
}

/* ---- ALPN ----------------------------------------------------------------------------------- */

static struct mux__tls_link *link_of(SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

static int refuse_protocol(SSL *ssl)
{
    mux__tls_say(link_of(ssl), "the client does not ask for HTTP/2 (ALPN h2)");
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A name behind its length. */
static bool offers(const unsigned char *in, unsigned in_len, const unsigned char *name,
                   const unsigned char **out, unsigned char *out_len)
{
    const size_t size = name[0] + 1u;

    for (unsigned i = 0; i + 1 < in_len; i += in[i] + 1u) {
        if (in_len - i >= size && memcmp(in + i, name, size) == 0) {
            *out = in + i + 1;
            *out_len = name[0];
            return true;
        }
    }
    return false;
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *user)
{
    (void)user;
    if (offers(in, in_len, H2, out, out_len) ||
        (link_of(ssl)->http1 && offers(in, in_len, HTTP1, out, out_len)))
        return SSL_TLSEXT_ERR_OK;
    return refuse_protocol(ssl);
}

/* A client that offers no protocol at all never comes to select_protocol(). */
static int look_for_alpn(SSL *ssl, int *alert, void *user)
{
    const unsigned char *bytes;
    size_t len;

    (void)user;
    if (link_of(ssl)->http1 ||
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes,
                                  &len))
        return SSL_CLIENT_HELLO_SUCCESS;
    (void)refuse_protocol(ssl);
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Of OpenSSL's queue the first entry is the cause, but for a want of memory, which may come to light late. */
static cs_err file_failed(const struct teller *to, const char *file, const char *wanted)
{
    unsigned long e = ERR_peek_error();
    char words[MUX__WORDS];

    if (mux__tls_was_memory())
        return tell(to, CS_ENOMEM, "%s: no memory", file);
    if (ERR_SYSTEM_ERROR(e)) {
        mux__sock_words(ERR_GET_REASON(e), words, sizeof words);
        return tell(to, CS_ESYS, "%s: %s", file, words);
    }
    if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_reason_error_string(e))
        return tell(to, CS_EINVAL, "%s: %s", file,
                    ERR_reason_error_string(e)); /* "ee key too small" */
    return tell(to, CS_EINVAL, "%s: no %s in it", file, wanted);
}

/* Else OpenSSL would ask whoever sits at the terminal. */
static int no_passphrase(char *to, int room, int writes, void *user)
{
    bool *asked = user;

    (void)to;
    (void)room;
    (void)writes;
    *asked = true;
    return -1;
}

static cs_err use_key(SSL_CTX *ctx, const struct mux_tls *options, const struct teller *to)
{
    const char *file = options->key_file ? options->key_file : options->cert_file;
    bool asked = false;
    int ok;

    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
    ok = SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (asked)
        return tell(to, CS_EINVAL, "%s: the key is encrypted, and nobody here knows the passphrase",
                    file);
    if (ok != 1 && ERR_GET_REASON(ERR_peek_error()) != X509_R_KEY_VALUES_MISMATCH)
        return file_failed(to, file, "private key");
    if (ok != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return tell(to, CS_EINVAL, "%s does not belong to %s", file, options->cert_file);
    return CS_OK;
}

static cs_err use_identity(mux__tls *tls, const struct mux_tls *options, const struct teller *to)
{
    if (!options->cert_file && options->key_file)
        return tell(to, CS_EINVAL, "%s: a key without a certificate", options->key_file);
    if (!options->cert_file)
        return tls->is_server ? tell(to, CS_EINVAL, "a server needs a certificate (cert_file)")
                              : CS_OK;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(tls->ctx, options->cert_file) != 1)
        return file_failed(to, options->cert_file, "certificate");
    tls->has_cert = true;
    return use_key(tls->ctx, options, to);
}

static cs_err use_authorities(mux__tls *tls, const struct mux_tls *options, const struct teller *to)
{
    STACK_OF(X509_NAME) * names;

    if (!tls->verifies)
        return CS_OK;
    ERR_clear_error();
    if (!options->ca_file)
        return SSL_CTX_set_default_verify_paths(tls->ctx) == 1 ? CS_OK : CS_ENOMEM;
    if (SSL_CTX_load_verify_file(tls->ctx, options->ca_file) != 1)
        return file_failed(to, options->ca_file, "certificate");
    if (!tls->is_server)
        return CS_OK;
    /* What a client with several certificates chooses by. */
    if (!(names = SSL_load_client_CA_file(options->ca_file)))
        return file_failed(to, options->ca_file, "certificate");
    SSL_CTX_set_client_CA_list(tls->ctx, names);
    return CS_OK;
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* An address without the scope that means something to its own host only; a name without the dot
 * that ends it.  OpenSSL takes an empty name for none to verify. */
static cs_err use_name(mux__tls *tls, const char *name, const struct teller *to)
{
    struct in6_addr number;
    size_t len = strcspn(name, "%");

    if (len > 1 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > TLSEXT_MAXLEN_host_name)
        return tell(to, CS_EINVAL, "a server's name has 1 to %d characters, not '%s'",
                    TLSEXT_MAXLEN_host_name, name);
    tls->name = cs_bytesdup(cs_bytes_of(name, len));
    if (!tls->name)
        return CS_ENOMEM;
    tls->name_is_ip =
        inet_pton(AF_INET, tls->name, &number) == 1 || inet_pton(AF_INET6, tls->name, &number) == 1;
    return CS_OK;
}

static int on_asked(SSL *ssl, void *user)
{
    (void)user;
    link_of(ssl)->asked = true;
    return 1;
}

static cs_err set_up(mux__tls *tls)
{
    SSL_CTX *ctx = tls->ctx;
    int verify =
        tls->is_server ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER;

    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, tls->verifies ? verify : SSL_VERIFY_NONE,
                       tls->verifies ? mux__tls_on_verify : NULL);
    if (tls->is_server && tls->verifies) {
        /* A session that is resumed shows no certificate: here each connection shows its own. */
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    if (tls->is_server) {
        SSL_CTX_set_client_hello_cb(ctx, look_for_alpn, NULL);
        SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    } else {
        SSL_CTX_set_cert_cb(ctx, on_asked, NULL);
    }
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 || SSL_CTX_set_ciphersuites(ctx, SUITES) != 1 ||
        (!tls->is_server && SSL_CTX_set_alpn_protos(ctx, H2, sizeof H2) != 0))
        return CS_ENOMEM;
    return CS_OK;
}

static bool is_initialised(const struct mux_tls *options)
{
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++) {
        if (options->reserved[i])
            return false;
    }
    return true;
}

cs_err mux__tls_new(const struct mux_tls *options, bool is_server, const char *host, mux__tls **ret,
                    char *words, size_t len)
{
    const struct teller to = {words, len};
    mux__tls *tls;
    cs_err err;

    if (!is_initialised(options))
        return tell(&to, CS_EMISUSE, "reserved fields of the options are not zero");
    if (!(tls = cs_zalloc(sizeof *tls)))
        return tell(&to, CS_ENOMEM, "no memory");
    atomic_init(&tls->refs, 1);
    tls->is_server = is_server;
    tls->verifies = is_server ? options->ca_file != NULL : !options->no_verify;
    tls->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    tls->bio = mux__tls_bio();
    err = tls->ctx && tls->bio ? set_up(tls) : CS_ENOMEM;
    if (err == CS_OK && !is_server)
        err = use_name(tls, options->server_name ? options->server_name : host, &to);
    if (err == CS_ENOMEM)
        (void)tell(&to, err, "no memory");
    if (err == CS_OK)
        err = use_identity(tls, options, &to);
    if (err == CS_OK)
        err = use_authorities(tls, options, &to);
    ERR_clear_error();
    if (err == CS_OK)
        *ret = tls;
    else
        mux__tls_drop(tls);
    return err;
}

mux__tls *mux__tls_hold(mux__tls *tls)
{
    atomic_fetch_add(&tls->refs, 1);
    return tls;
}

void mux__tls_drop(mux__tls *tls)
{
    if (!tls || atomic_fetch_sub(&tls->refs, 1) > 1)
        return;
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->bio);
    cs_free(tls->name);
    cs_free(tls);
}

cs_err mux_tls_check(const struct mux_tls *tls, bool server, char *why, size_t why_len)
{
    mux__tls *made;
    cs_err err = mux__tls_new(tls, server, "localhost", &made, why, why_len);

    if (err == CS_OK)
        mux__tls_drop(made);
    return err;
}

/* ---- Options that are kept ------------------------------------------------------------------ */

static size_t size_of(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static const char *keep(char **at, const char *s)
{
    char *to = *at;

    if (!s)
        return NULL;
    memcpy(to, s, size_of(s));
    *at += size_of(s);
    return to;
}

struct mux_tls *mux_tls_dup(const struct mux_tls *tls)
{
    struct mux_tls *copy =
        cs_zalloc_with(sizeof *copy, size_of(tls->cert_file) + size_of(tls->key_file) +
                                         size_of(tls->ca_file) + size_of(tls->server_name));
    char *at = copy ? cs_extra(copy, sizeof *copy) : NULL;

    if (!copy)
        return NULL;
    *copy = *tls;
    copy->cert_file = keep(&at, tls->cert_file);
    copy->key_file = keep(&at, tls->key_file);
    copy->ca_file = keep(&at, tls->ca_file);
    copy->server_name = keep(&at, tls->server_name);
    return copy;
}
