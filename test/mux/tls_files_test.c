#include "mux/tls.h"

#include "base/mem.h"
#include "mux/tls__in.h"
#include "test/mux/talk.h"
#include "test/support/certs.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void make_files(void)
{
    certs_begin();
}

TestSuite(tls_files, .init = make_files, .fini = certs_end);

/* `story` with #file for the path of a file. */
static void wants(const struct mux_tls *tls, bool server, cs_err err, const char *story)
{
    char why[400] = "", want[400] = "tls: ";
    const char *at = story, *hash;

    while ((hash = strchr(at, '#'))) {
        char file[32];
        size_t n = strcspn(hash + 1, ": ");

        snprintf(file, sizeof file, "%.*s", (int)n, hash + 1);
        snprintf(want + strlen(want), sizeof want - strlen(want), "%.*s%s", (int)(hash - at), at,
                 certs_path(file));
        at = hash + 1 + n;
    }
    snprintf(want + strlen(want), sizeof want - strlen(want), "%s", at);
    cr_assert_eq(mux_tls_check(tls, server, why, sizeof why), err, "%s", why);
    cr_assert_str_eq(why, story[0] ? want : "");
}

Test(tls_files, good_ones_are_good)
{
    struct mux_tls tls = {.cert_file = certs_path("server.pem"),
                          .key_file = certs_path("server.key"),
                          .ca_file = certs_path("ca.pem")};

    wants(&tls, true, CS_OK, "");
    wants(&tls, false, CS_OK, "");
    wants(&(struct mux_tls){.no_verify = true}, false, CS_OK, "");
    wants(&(struct mux_tls){.server_name = "x"}, false, CS_OK, "");
}

Test(tls_files, a_certificate_and_its_key_may_be_in_one)
{
    char text[4096] = "";
    size_t n = 0;
    FILE *f;

    for (int i = 0; i < 2; i++) {
        f = fopen(certs_path(i ? "server.key" : "server.pem"), "r");
        n += fread(text + n, 1, sizeof text - n - 1, f);
        fclose(f);
    }
    certs_write("both.pem", text);
    wants(&(struct mux_tls){.cert_file = certs_path("both.pem")}, true, CS_OK, "");
}

Test(tls_files, what_is_missing_is_said)
{
    struct mux_tls tls = {.cert_file = NULL};

    wants(&tls, true, CS_EINVAL, "a server needs a certificate (cert_file)");
    tls.key_file = certs_path("server.key");
    wants(&tls, false, CS_EINVAL, "#server.key: a key without a certificate");
    tls.cert_file = certs_path("no.pem");
    wants(&tls, true, CS_ESYS, "#no.pem: no such file or directory");
    tls.cert_file = certs_path("server.pem");
    tls.key_file = certs_path("no.key");
    wants(&tls, true, CS_ESYS, "#no.key: no such file or directory");
    tls.key_file = certs_path("server.key");
    tls.ca_file = certs_path("no-ca.pem");
    wants(&tls, true, CS_ESYS, "#no-ca.pem: no such file or directory");
    wants(&tls, false, CS_ESYS, "#no-ca.pem: no such file or directory");
}

Test(tls_files, a_name_that_cannot_be_verified_is_said)
{
    char longest[257] = "";
    struct mux_tls tls = {.server_name = ""};

    wants(&tls, false, CS_EINVAL, "a server's name has 1 to 255 characters, not ''");
    tls.server_name = "%eth0";
    wants(&tls, false, CS_EINVAL, "a server's name has 1 to 255 characters, not '%eth0'");
    tls.server_name = longest;
    memset(longest, 'a', 255);
    wants(&tls, false, CS_OK, "");
    longest[255] = 'a';
    cr_assert_eq(mux_tls_check(&tls, false, NULL, 0), CS_EINVAL);
}

Test(tls_files, what_is_no_certificate_is_said)
{
    struct mux_tls tls = {.cert_file = certs_path("text"), .key_file = certs_path("server.key")};

    certs_write("text", "hello\n");
    wants(&tls, true, CS_EINVAL, "#text: no certificate in it");
    tls.cert_file = certs_path("server.key");
    wants(&tls, true, CS_EINVAL, "#server.key: no certificate in it");
    tls.cert_file = certs_path("server.pem");
    tls.key_file = certs_path("text");
    wants(&tls, true, CS_EINVAL, "#text: no private key in it");
    tls.key_file = NULL;
    wants(&tls, true, CS_EINVAL, "#server.pem: no private key in it");
    tls.key_file = certs_path("server.key");
    tls.ca_file = certs_path("text");
    wants(&tls, true, CS_EINVAL, "#text: no certificate in it");
    tls.ca_file = certs_path("server.key");
    wants(&tls, false, CS_EINVAL, "#server.key: no certificate in it");
}

Test(tls_files, a_key_of_somebody_else_is_found_out)
{
    struct mux_tls tls = {.cert_file = certs_path("server.pem"),
                          .key_file = certs_path("client.key")};

    wants(&tls, true, CS_EINVAL, "#client.key does not belong to #server.pem");
}

/* Nobody is asked for the passphrase: a server has no terminal. */
Test(tls_files, an_encrypted_key_is_of_no_use)
{
    struct mux_tls tls = {.cert_file = certs_path("server.pem"), .key_file = certs_path("locked")};

    certs_encrypt("server.key", "locked");
    wants(&tls, true, CS_EINVAL,
          "#locked: the key is encrypted, and nobody here knows the passphrase");
}

Test(tls_files, a_struct_that_was_never_initialised_is_found_out)
{
    struct mux_tls tls = {.no_verify = true, .reserved = {NULL, NULL, NULL, &tls}};

    wants(&tls, false, CS_EMISUSE, "reserved fields of the options are not zero");
}

Test(tls_files, a_short_buffer_is_enough_and_none_too)
{
    struct mux_tls tls = {.cert_file = certs_path("no.pem")};
    char why[8] = "";

    cr_assert_eq(mux_tls_check(&tls, true, why, sizeof why), CS_ESYS);
    cr_assert_eq(strlen(why), sizeof why - 1);
    cr_assert_eq(mux_tls_check(&tls, true, NULL, 0), CS_ESYS);
}

Test(tls_files, options_that_are_kept_keep_their_strings)
{
    char cert[] = "cert", key[] = "key", ca[] = "ca", name[] = "name";
    struct mux_tls tls = {cert, key, ca, name, .no_verify = true}, *copy = mux_tls_dup(&tls);

    cr_assert_not_null(copy);
    cert[0] = key[0] = ca[0] = name[0] = '-';
    cr_assert_str_eq(copy->cert_file, "cert");
    cr_assert_str_eq(copy->key_file, "key");
    cr_assert_str_eq(copy->ca_file, "ca");
    cr_assert_str_eq(copy->server_name, "name");
    cr_assert(copy->no_verify);
    cs_free(copy);
    copy = mux_tls_dup(&(struct mux_tls){.key_file = "key"});
    cr_assert_null(copy->cert_file);
    cr_assert_null(copy->server_name);
    cs_free(copy);
}

/* ---- Listening and dialing with them -------------------------------------------------------- */

Test(tls_files, a_port_says_what_is_wrong)
{
    struct mux_tls tls = {.cert_file = certs_path("no.pem")};
    struct mux_options options = {.tls = &tls};
    char why[400], want[400];
    mux_handlers *handlers;
    mux_port *port;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&handlers), CS_OK);
    cr_assert_eq(mux_listen(loop, "127.0.0.1:0", &options, handlers, &port, why, sizeof why),
                 CS_ESYS);
    snprintf(want, sizeof want, "listen 127.0.0.1:0: tls: %s: no such file or directory",
             tls.cert_file);
    cr_assert_str_eq(why, want);
    mux_handlers_free(handlers);
    cs_loop_free(loop);
}

Test(tls_files, each_call_of_a_dial_is_told_what_is_wrong)
{
    struct mux_tls tls = {.ca_file = certs_path("no.pem")};
    struct mux_options options = {.tls = &tls};
    static struct talk t;
    char want[400];

    talk_handlers(&t);
    cr_assert_eq(mux_dial(t.loop, "a.example:443", &options, &t.conn), CS_OK);
    tls.ca_file = NULL; /* it may be gone */
    snprintf(want, sizeof want, "dial a.example:443: tls: %s: no such file or directory",
             certs_path("no.pem"));
    for (int i = 0; i < 2; i++) {
        struct side *c = talk_open(&t, i);

        talk_settle(&t);
        cr_assert_eq(c->why, CS_EREFUSED);
        cr_assert_str_eq(c->errmsg, want);
    }
    cr_assert_str_eq(mux_conn_errmsg(t.conn), want);
    talk_end(&t);
}

Test(tls_files, a_dial_with_a_wild_struct_is_refused_at_once)
{
    struct mux_tls tls = {.reserved = {&tls}};
    struct mux_options options = {.tls = &tls};
    mux_conn *conn;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(mux_dial(loop, "a.example:443", &options, &conn), CS_EMISUSE);
    cs_loop_settle(loop);
    cs_loop_free(loop);
}

/* ---- Without memory ------------------------------------------------------------------------- */

static void check_story(void)
{
    struct mux_tls tls = {.cert_file = certs_path("server.pem"),
                          .key_file = certs_path("server.key"),
                          .ca_file = certs_path("ca.pem")};
    char why[100] = "";
    cs_err err;

    for (int server = 0; server < 2; server++) {
        struct mux_tls *copy = mux_tls_dup(&tls);

        cs_free(copy);
        err = mux_tls_check(&tls, server, why, sizeof why);
        cr_assert(err == CS_OK || (err == CS_ENOMEM && strcmp(why, "tls: no memory") == 0), "%s",
                  why);
    }
}

Test(tls_files, survive_every_failed_allocation)
{
    failing_story(check_story);
}
