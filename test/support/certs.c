/* certs -- see certs.h. */
#include "test/support/certs.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

enum { DAY = 24 * 60 * 60, PATH = 512 };

static char dir[PATH / 4];

const char *certs_path(const char *file)
{
    static char paths[32][PATH];
    static unsigned at;
    char *path = paths[at++ % 32];

    snprintf(path, PATH, "%s/%s", dir, file);
    return path;
}

void certs_write(const char *file, const char *text)
{
    FILE *to = fopen(certs_path(file), "w");

    cr_assert_not_null(to);
    cr_assert_geq(fputs(text, to), 0);
    fclose(to);
}

void certs_encrypt(const char *key, const char *to)
{
    FILE *f = fopen(certs_path(key), "r");
    EVP_PKEY *pkey = PEM_read_PrivateKey(f, NULL, NULL, NULL);

    fclose(f);
    cr_assert_not_null(f = fopen(certs_path(to), "w"));
    cr_assert_eq(PEM_write_PrivateKey(f, pkey, EVP_aes_128_cbc(), (const unsigned char *)"secret",
                                      6, NULL, NULL),
                 1);
    fclose(f);
    EVP_PKEY_free(pkey);
}

/* "NAME.pem", or another ending. */
static FILE *open_file(const char *name, const char *ending, const char *mode)
{
    char file[PATH / 2];
    FILE *f;

    snprintf(file, sizeof file, "%s.%s", name, ending);
    f = fopen(certs_path(file), mode);
    cr_assert_not_null(f, "%s", file);
    return f;
}

static EVP_PKEY *make_key(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = open_file(name, "key", "w");

    cr_assert_not_null(key);
    cr_assert_eq(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    return key;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    cr_assert_not_null(ext, "%s", value);
    cr_assert_eq(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static void add_name(X509_NAME *name, const char *field, const char *value)
{
    if (value)
        cr_assert_eq(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                                (const unsigned char *)value, -1, -1, 0),
                     1);
}

static void sign(X509 *cert, EVP_PKEY *key, const char *name, const char *by)
{
    EVP_PKEY *their_key = key;
    X509 *their_cert = cert;

    if (strcmp(name, by) != 0) {
        FILE *f = open_file(by, "pem", "r");

        their_cert = PEM_read_X509(f, NULL, NULL, NULL);
        fclose(f);
        f = open_file(by, "key", "r");
        their_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
        fclose(f);
        cr_assert(their_cert && their_key);
    }
    X509_set_issuer_name(cert, X509_get_subject_name(their_cert));
    cr_assert_gt(X509_sign(cert, their_key, EVP_sha256()), 0);
    if (their_cert != cert) {
        X509_free(their_cert);
        EVP_PKEY_free(their_key);
    }
}

void certs_make(const char *name, const struct certs_about *about)
{
    EVP_PKEY *key = make_key(name);
    X509 *cert = X509_new();
    uint32_t serial;
    FILE *f;

    cr_assert_eq(RAND_bytes((unsigned char *)&serial, sizeof serial), 1);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), (about->from_days ? about->from_days : -1) * DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert),
                    (long)(about->until_days ? about->until_days : 3650) * DAY);
    X509_set_pubkey(cert, key);
    add_name(X509_get_subject_name(cert), "O", about->org);
    add_name(X509_get_subject_name(cert), "CN", about->cn);
    add_extension(cert, NID_basic_constraints, about->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (about->sans)
        add_extension(cert, NID_subject_alt_name, about->sans);
    sign(cert, key, name, about->by ? about->by : "ca");
    f = open_file(name, "pem", "w");
    cr_assert_eq(PEM_write_X509(f, cert), 1);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void certs_begin(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, sizeof dir, "%s/chanserv-certs-XXXXXX", tmp ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(dir));
    certs_make("ca", &(struct certs_about){.cn = "test CA", .by = "ca", .is_ca = true});
    certs_make("server", &(struct certs_about){.cn = "localhost",
                                               .sans = "DNS:localhost,IP:127.0.0.1,IP:::1"});
    certs_make("client",
               &(struct certs_about){.cn = "alice",
                                     .org = "example",
                                     .sans = "DNS:alice.example,URI:spiffe://example/alice,"
                                             "email:alice@example.org,IP:10.0.0.1"});
}

void certs_end(void)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    cr_assert_not_null(d);
    while ((entry = readdir(d))) {
        if (entry->d_name[0] != '.')
            unlink(certs_path(entry->d_name));
    }
    closedir(d);
    rmdir(dir);
}
