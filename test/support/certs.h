/* certs -- certificates for a test, as PEM files in a directory of its own that goes with it.
 *
 *     certs_begin();                         ca, server (localhost, 127.0.0.1, ::1), client (alice)
 *     certs_make("old", &(struct certs_about){.cn = "old", .until_days = -1});
 *     ... certs_path("old.pem"), certs_path("old.key") ...
 *     certs_end();
 *
 * For scripts there is certs.sh. */
#ifndef TEST_SUPPORT_CERTS_H
#define TEST_SUPPORT_CERTS_H

#include <stdbool.h>

struct certs_about {
    const char *cn, *org;
    const char *sans; /* as openssl has them: "DNS:a.example,IP:127.0.0.1"; NULL: none */
    const char *by;   /* who signs; NULL: "ca"; its own name: itself */
    int from_days;    /* from now; 0: yesterday */
    int until_days;   /* from now; 0: in ten years */
    bool is_ca;
};

void certs_begin(void);
void certs_end(void);

/* NAME.pem and NAME.key. */
void certs_make(const char *name, const struct certs_about *about);

/* The path of a file there, whether it exists or not; of the last 32 asked for. */
const char *certs_path(const char *file);
void certs_write(const char *file, const char *text);
void certs_encrypt(const char *key, const char *to); /* with a passphrase that nobody is told */

#endif
