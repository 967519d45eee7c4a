/* The first bytes that a port hears of a connection, in plain text and under TLS.
 *
 * The first byte chooses the kind of port, and what the stranger does at last: stays, leaves, or leaves
 * when his time is up; the second how the bytes are cut.  No call may come of it but those that are
 * spelt out in the bytes, and the connection is gone at the end. */
#include "mux/mux__in.h"
#include "mux/tls__in.h"
#include "mux/local.h"
#include "test/fuzz/fuzz.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TLS = 1, ASKS = 2, LEAVES = 4, TIME = 8, DEAF = 16, TEN_YEARS = 10 * 365 * 24 * 3600 };

static mux__tls *tls[2]; /* one that asks for a certificate, and one that does not */

/* ---- A port's certificate: made at the start, in a file that has no name --------------------- */

static void certificate_make(FILE *to)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    fuzz_must(key && cert);
    fuzz_must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fuzz",
                                         -1, -1, 0) == 1);
    fuzz_must(X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1);
    fuzz_must(X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL);
    fuzz_must(X509_gmtime_adj(X509_getm_notAfter(cert), TEN_YEARS) != NULL);
    fuzz_must(X509_sign(cert, key, EVP_sha256()) > 0);
    fuzz_must(PEM_write_X509(to, cert) == 1);
    fuzz_must(PEM_write_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) == 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void tls_begin(void)
{
    char path[64], why[MUX__TLS_WORDS];
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FILE *file = fdopen(fd, "w");
    struct mux_tls options = {.cert_file = path};

    fuzz_must(file != NULL);
    certificate_make(file);
    fuzz_must(fflush(file) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int i = 0; i < 2; i++) {
        options.ca_file = i ? path : NULL;
        fuzz_must(mux__tls_new(&options, true, NULL, &tls[i], why, sizeof why) == CS_OK);
    }
    fclose(file);
}

/* ---- A run ------------------------------------------------------------------------------------ */

static void say_all(cs_loop *loop, struct fuzz_far *far, struct fuzz_in *in, uint8_t how)
{
    const size_t piece = fuzz_byte(in);

    while (in->left > 0 && !far->hung_up) {
        fuzz_far_say(far, fuzz_piece(in, piece));
        cs_loop_settle(loop);
    }
    if (how & LEAVES)
        fuzz_far_end(far);
    cs_loop_settle(loop);
    if (how & TIME)
        cs_loop_advance(loop, 30000);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct mux_options options = {.preface_timeout_ms = 3000,
                                               .handshake_timeout_ms = 4000};
    struct fuzz_in in = {bytes, len};
    const uint8_t how = fuzz_byte(&in);
    mux_handlers *handlers;
    struct fuzz_far far;
    mux__link *ends[2];
    cs_loop *loop;

    fuzz_begin();
    if (!tls[0]) {
        tls_begin();
        fuzz_begin();
    }
    fuzz_must(cs_loop_new_virtual(&loop) == CS_OK);
    fuzz_must(mux_handlers_new(&handlers) == CS_OK);
    fuzz_must(mux__link_pair(loop, ends) == CS_OK);
    fuzz_must(mux__conn_accept_tls(loop, ends[0], how & TLS ? tls[(how & ASKS) != 0] : NULL,
                                   &options, handlers, &handlers->local_conns, NULL) == CS_OK);
    fuzz_far_begin(&far, ends[1], how & DEAF);
    say_all(loop, &far, &in, how);
    fuzz_must(!(how & TIME) || !(how & TLS) || cs_list_empty(&handlers->local_conns));
    fuzz_far_end(&far);
    mux_handlers_end_local(handlers);
    mux_handlers_free(handlers);
    cs_loop_free(loop);
    fuzz_end();
    return 0;
}
