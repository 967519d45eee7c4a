/* tls_peer -- who a certificate says it is. */
#include "mux/tls__ssl.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { SUBJECT_MAX = 1024 };

/* Names are compared and printed: one with a NUL, a line's end or a letter that is none of ASCII is
 * not what it looks like, and is left out. */
static bool is_plain(cs_bytes text)
{
    const uint8_t *at = text.base;

    for (size_t i = 0; i < text.len; i++) {
        if (at[i] <= ' ' || at[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

/* A view, into the certificate or into `number`; empty: a kind that nobody asks for. */
static cs_bytes name_of(const GENERAL_NAME *name, char number[INET6_ADDRSTRLEN], const char **kind)
{
    int type;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(name, &type);
    cs_bytes bytes;

    if (type != GEN_DNS && type != GEN_URI && type != GEN_EMAIL && type != GEN_IPADD)
        return cs_str("");
    bytes = cs_bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    if (type == GEN_IPADD) {
        *kind = "IP:";
        if (bytes.len != 4 && bytes.len != 16)
            return cs_str("");
        inet_ntop(bytes.len == 4 ? AF_INET : AF_INET6, bytes.base, number, INET6_ADDRSTRLEN);
        return cs_str(number);
    }
    *kind = type == GEN_DNS ? "DNS:" : type == GEN_URI ? "URI:" : "email:";
    return is_plain(bytes) ? bytes : cs_str("");
}

void mux__tls_subject(const X509_NAME *name, char *to, size_t len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;

    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_read(bio, to, (int)len - 1);
    to[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

/* ---- Of a verified certificate -------------------------------------------------------------- */

void mux__tls_peer_fini(struct mux_peer *peer)
{
    for (size_t i = 0; i < peer->tls_sans_len; i++)
        cs_free((void *)(uintptr_t)peer->tls_sans[i].base);
    cs_free((void *)(uintptr_t)peer->tls_sans);
    cs_free((void *)(uintptr_t)peer->tls_subject.base);
    peer->tls_sans = NULL;
    peer->tls_sans_len = 0;
    peer->tls_subject = (cs_bytes){0};
}

static cs_err add_names(struct mux_peer *peer, const GENERAL_NAMES *names)
{
    int n = sk_GENERAL_NAME_num(names);
    char number[INET6_ADDRSTRLEN];
    const char *kind = "";
    cs_bytes *sans = n > 0 ? cs_zalloc((size_t)n * sizeof *sans) : NULL;

    peer->tls_sans = sans;
    if (n > 0 && !sans)
        return CS_ENOMEM;
    for (int i = 0; i < n; i++) {
        cs_bytes name = name_of(sk_GENERAL_NAME_value(names, i), number, &kind);
        char *text;

        if (name.len == 0)
            continue;
        text = cs_printf("%s%.*s", kind, CS_FMT(name));
        if (!text)
            return CS_ENOMEM;
        sans[peer->tls_sans_len++] = cs_str(text);
    }
    return CS_OK;
}

cs_err mux__tls_peer(struct mux_peer *peer, X509 *cert)
{
    int has = -1; /* none */
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &has, NULL);
    char subject[SUBJECT_MAX];
    cs_err err;

    mux__tls_subject(X509_get_subject_name(cert), subject, sizeof subject);
    peer->tls_subject.base = cs_strdup(subject);
    peer->tls_subject.len = peer->tls_subject.base ? strlen(subject) : 0;
    err = !peer->tls_subject.base || (!names && has >= 0) ? CS_ENOMEM
          : names                                         ? add_names(peer, names)
                                                          : CS_OK;
    GENERAL_NAMES_free(names);
    if (err != CS_OK)
        mux__tls_peer_fini(peer);
    return err;
}

/* ---- For a story ---------------------------------------------------------------------------- */

void mux__tls_names(X509 *cert, char *to, size_t len)
{
    static const char rest[] = ", ...";
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char number[INET6_ADDRSTRLEN];
    const char *kind = "";
    size_t at = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        cs_bytes name = name_of(sk_GENERAL_NAME_value(names, i), number, &kind);

        if (name.len == 0 || (kind[0] != 'D' && kind[0] != 'I'))
            continue;
        if (at + name.len + 2 + sizeof rest > len) {
            at += (size_t)snprintf(to + at, len - at, "%s", rest);
            break;
        }
        at += (size_t)snprintf(to + at, len - at, "%s%.*s", at > 0 ? ", " : "", CS_FMT(name));
    }
    GENERAL_NAMES_free(names);
    if (at == 0)
        mux__tls_subject(X509_get_subject_name(cert), to, len);
}
