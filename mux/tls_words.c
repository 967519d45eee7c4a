/* tls_words -- what went wrong, in words for people: each cause has its own. */
#include "mux/tls__ssl.h"

#include <openssl/err.h>
#include <stdio.h>
#include <time.h>

void mux__tls_say(struct mux__tls_link *link, const char *format, ...)
{
    char words[MUX__TLS_WORDS - 8];
    va_list args;

    if (link->words[0])
        return;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    snprintf(link->words, sizeof link->words, "tls: %s", words);
}

/* ---- A certificate that we do not believe --------------------------------------------------- */

static void time_words(const ASN1_TIME *time, char *to, size_t len)
{
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(to, len, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(to, len, "an unknown time");
}

/* "certificate": of the server's own; of a client's, or of one above it, the story says whose. */
static void whose_words(const struct mux__tls_link *link, const X509 *cert, int depth, char *to,
                        size_t len)
{
    char subject[96];

    if (depth > 0) {
        mux__tls_subject(X509_get_subject_name(cert), subject, sizeof subject);
        snprintf(to, len, "the authority's certificate (%s)", subject);
    } else {
        snprintf(to, len, "%s", link->tls->is_server ? "the client's certificate" : "certificate");
    }
}

static void tell(struct mux__tls_link *link, X509 *cert, int depth, int error)
{
    char whose[160], more[160];

    whose_words(link, cert, depth, whose, sizeof whose);
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        time_words(X509_get0_notAfter(cert), more, sizeof more);
        mux__tls_say(link, "%s expired on %s", whose, more);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        time_words(X509_get0_notBefore(cert), more, sizeof more);
        mux__tls_say(link, "%s is not valid before %s", whose, more);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        mux__tls_names(cert, more, sizeof more);
        mux__tls_say(link, "%s is for %s, not for %s", whose, more, link->tls->name);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        mux__tls_say(link, "%s is signed by itself, and nobody told us to believe it", whose);
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        mux__tls_subject(X509_get_issuer_name(cert), more, sizeof more);
        mux__tls_say(link, "%s is not signed by anybody we believe (issuer %s)", whose, more);
        break;
    default:
        mux__tls_say(link, "%s: %s", whose, X509_verify_cert_error_string(error));
    }
}

int mux__tls_on_verify(int ok, X509_STORE_CTX *ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct mux__tls_link *link = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

    if (!ok && cert)
        tell(link, cert, X509_STORE_CTX_get_error_depth(ctx), X509_STORE_CTX_get_error(ctx));
    return ok;
}

/* ---- What the other side says --------------------------------------------------------------- */

static int alert_of(unsigned long e)
{
    if (ERR_GET_LIB(e) != ERR_LIB_SSL || ERR_GET_REASON(e) < SSL_AD_REASON_OFFSET)
        return -1;
    return ERR_GET_REASON(e) - SSL_AD_REASON_OFFSET;
}

bool mux__tls_was_memory(void)
{
    bool was = false;

    for (unsigned long e; (e = ERR_get_error()) != 0;)
        was = was || ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
    return was;
}

bool mux__tls_was_alert(void)
{
    return alert_of(ERR_peek_error()) >= 0;
}

static bool is_of_certificate(int alert)
{
    return alert == SSL_AD_BAD_CERTIFICATE || alert == SSL_AD_UNSUPPORTED_CERTIFICATE ||
           alert == SSL_AD_CERTIFICATE_REVOKED || alert == SSL_AD_CERTIFICATE_EXPIRED ||
           alert == SSL_AD_CERTIFICATE_UNKNOWN || alert == SSL_AD_UNKNOWN_CA;
}

static void explain_alert(struct mux__tls_link *link, int alert, const char *who)
{
    bool asked_in_vain = link->asked && !link->tls->has_cert;

    /* TLS 1.2 has no word of its own for a certificate that is missing. */
    if (alert == SSL_AD_CERTIFICATE_REQUIRED ||
        (asked_in_vain && (alert == SSL_AD_HANDSHAKE_FAILURE || is_of_certificate(alert))))
        mux__tls_say(link, "the server demands a client certificate");
    else if (is_of_certificate(alert))
        mux__tls_say(link, "%s does not accept our certificate (%s)", who,
                     SSL_alert_desc_string_long(alert));
    else if (alert == SSL_AD_NO_APPLICATION_PROTOCOL)
        mux__tls_say(link, "%s does not speak HTTP/2 (ALPN h2)", who);
    else if (alert == SSL_AD_PROTOCOL_VERSION)
        mux__tls_say(link, "%s speaks neither TLS 1.2 nor 1.3", who);
    else if (alert == SSL_AD_HANDSHAKE_FAILURE)
        mux__tls_say(link, "%s refuses: it likes none of our ciphers, or no certificate", who);
    else
        mux__tls_say(link, "%s says: %s", who, SSL_alert_desc_string_long(alert));
}

/* ---- All the rest --------------------------------------------------------------------------- */

static void explain_reason(struct mux__tls_link *link, unsigned long e, const char *who)
{
    const char *words = ERR_reason_error_string(e);

    switch (ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_VERSION_TOO_LOW:
        mux__tls_say(link, "%s speaks neither TLS 1.2 nor 1.3", who);
        break;
    case SSL_R_NO_SHARED_CIPHER:
        mux__tls_say(link, "%s and we have no cipher in common", who);
        break;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        mux__tls_say(link, "the client showed no certificate");
        break;
    default:
        mux__tls_say(link, "%s", words ? words : "the handshake failed");
    }
}

/* A record begins with its type, 20 to 23 (RFC 8446, 5.1). */
static bool is_foreign(const struct mux__tls_link *link)
{
    return link->first >= 0 && (link->first < 20 || link->first > 23);
}

void mux__tls_explain(struct mux__tls_link *link, int error)
{
    const char *who = link->tls->is_server ? "the client" : "the server";
    unsigned long e = ERR_peek_error();

    if (link->starved || (e != 0 && alert_of(e) < 0 && mux__tls_was_memory()))
        mux__tls_say(link, "no memory");
    else if (is_foreign(link))
        mux__tls_say(link, "%s does not speak TLS", who);
    else if (error == SSL_ERROR_SSL && alert_of(e) >= 0)
        explain_alert(link, alert_of(e), who);
    else if (error == SSL_ERROR_SSL)
        explain_reason(link, e, who);
    else if (link->first < 0 && link->inner_over == CS_DONE)
        mux__tls_say(link, "%s closed the connection without a word%s", who,
                     link->tls->is_server ? "" : "; does it speak TLS?");
    else
        mux__tls_say(link, "%s closed the connection during the handshake", who);
}
