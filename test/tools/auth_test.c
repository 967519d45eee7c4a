/* Who may use what: rules as they are written, and calls as they come. */
#include "tools/auth.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct auth *auth;
static char why[CHANSERV_WHY_MAX], dir[64], file[80];
static struct mux_peer peer;

static void up(void)
{
    auth = auth_new();
    peer = (struct mux_peer){.uid = -1, .gid = -1, .pid = -1};
    snprintf(dir, sizeof dir, "/tmp/auth-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/tokens", dir);
}

static void down(void)
{
    auth_free(auth);
    unlink(file);
    rmdir(dir);
}

static void write_tokens(const char *text)
{
    FILE *out = fopen(file, "w");

    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(chmod(file, 0600), 0);
}

static cs_err read_tokens(const char *text)
{
    write_tokens(text);
    return auth_read_tokens(auth, file, why, sizeof why);
}

/* With `header` as "authorization", or without one. */
static cs_err ask(const char *header, const char *service)
{
    cs_pair pair = {cs_str("authorization"), cs_str(header ? header : "")};
    struct chanserv_request request = {.verb = CHANSERV_POST,
                                       .service = cs_str(service),
                                       .why = why,
                                       .peer = &peer,
                                       .metadata = &pair,
                                       .metadata_len = header != NULL};

    why[0] = '\0';
    return auth_judge(&request, auth);
}

TestSuite(auth, .init = up, .fini = down);

Test(auth, without_a_rule_everybody_may_do_everything)
{
    cr_assert(!auth_has_rules(auth));
    cr_assert_eq(ask(NULL, "a"), CS_OK);
    cr_assert_eq(ask("Bearer x", "a"), CS_OK);
}

Test(auth, a_token_admits_to_the_services_of_its_line)
{
    cr_assert_eq(read_tokens("# of two teams\n\nred logs.*,gen\n  blue\techo \nred extra\n"), CS_OK,
                 "%s", why);
    cr_assert_eq(ask("Bearer red", "logs.a"), CS_OK);
    cr_assert_eq(ask("Bearer red", "gen"), CS_OK);
    cr_assert_eq(ask("Bearer red", "extra"), CS_OK, "lines of one token add up");
    cr_assert_eq(ask("bearer  red", "gen"), CS_OK, "the scheme is of any case");
    cr_assert_eq(ask("Bearer blue", "echo"), CS_OK);
    cr_assert_eq(ask("Bearer blue", "gen"), CS_EPERM);
    cr_assert_str_eq(why, "you are known, but not allowed to use gen");
    cr_assert_eq(ask("Bearer red", "general"), CS_EPERM);
    cr_assert_eq(ask("Bearer red", ""), CS_EPERM);
}

Test(auth, a_wrong_token_is_told_apart_from_none)
{
    cr_assert_eq(read_tokens("secret *\n"), CS_OK);
    cr_assert_eq(ask(NULL, "a"), CS_EAUTH);
    cr_assert_str_eq(why, "who are you? send a token (authorization: Bearer TOKEN)");
    for (size_t i = 0; i < 8; i++) {
        static const char *const wrong[] = {
            "Bearer secre", "Bearer secrets", "Bearer Secret", "Bearer ",
            "Bearer",       "secret",         "Basic secret",  ""};
        cr_assert_eq(ask(wrong[i], "a"), CS_EAUTH, "%s", wrong[i]);
        cr_assert_str_eq(why, "the token is not known here");
    }
    cr_assert_eq(ask("Bearer secret", "/pkg.Service/Method"), CS_OK, "paths are names too");
}

Test(auth, tokens_are_as_long_as_they_may_be_and_no_longer)
{
    char text[AUTH_TOKEN_MAX + 16], header[AUTH_TOKEN_MAX + 16];

    snprintf(text, sizeof text, "%0*d *\n", AUTH_TOKEN_MAX, 7);
    snprintf(header, sizeof header, "Bearer %0*d", AUTH_TOKEN_MAX, 7);
    cr_assert_eq(read_tokens(text), CS_OK);
    cr_assert_eq(ask(header, "a"), CS_OK);
    header[strlen(header) - 1] = '8';
    cr_assert_eq(ask(header, "a"), CS_EAUTH, "its last byte counts");
    snprintf(header, sizeof header, "Bearer %0*d", AUTH_TOKEN_MAX + 1, 7);
    cr_assert_eq(ask(header, "a"), CS_EAUTH);
    snprintf(text, sizeof text, "%0*d *\n", AUTH_TOKEN_MAX + 1, 7);
    cr_assert_eq(read_tokens(text), CS_EINVAL);
}

Test(auth, two_tokens_in_one_call_are_none)
{
    cs_pair pairs[2] = {{cs_str("authorization"), cs_str("Bearer secret")},
                        {cs_str("authorization"), cs_str("Bearer other")}};
    struct chanserv_request request = {
        .service = cs_str("a"), .why = why, .peer = &peer, .metadata = pairs, .metadata_len = 2};

    cr_assert_eq(read_tokens("secret *\nother *\n"), CS_OK);
    cr_assert_eq(auth_judge(&request, auth), CS_EAUTH);
}

Test(auth, a_file_that_makes_no_sense_is_told_by_line)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"a *\nb\n", ":2: a line is TOKEN GLOB[,GLOB...]; * is every service"},
        {"a b c\n", ":1: a line is TOKEN GLOB[,GLOB...]; * is every service"},
        {"a ,b\n", ":1: ',b' is no list of services: GLOB[,GLOB...]"},
        {"a b,\n", ":1: 'b,' is no list of services: GLOB[,GLOB...]"},
        {"a b,,c\n", ":1: 'b,,c' is no list of services: GLOB[,GLOB...]"},
        {"\n\na:b *\n", ":3: a token is 1 to 256 letters, digits and -._~+/="},
    };
    char want[256];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(read_tokens(bad[i].text), CS_EINVAL, "%s", bad[i].text);
        snprintf(want, sizeof want, "%s%s", file, bad[i].words);
        cr_assert_str_eq(why, want);
    }
    cr_assert(!auth_has_rules(auth));
    unlink(file);
    cr_assert_eq(auth_read_tokens(auth, file, why, sizeof why), CS_ESYS);
    snprintf(want, sizeof want, "%s: No such file or directory", file);
    cr_assert_str_eq(why, want);
    cr_assert_eq(auth_read_tokens(auth, dir, why, sizeof why), CS_ESYS, "a directory is no file");
}

Test(auth, a_file_without_tokens_admits_nobody)
{
    cr_assert_not(auth_has_tokens(auth));
    cr_assert_eq(read_tokens("one *\n"), CS_OK);
    cr_assert(auth_has_tokens(auth));
    cr_assert_eq(read_tokens("# none yet\n"), CS_OK);
    cr_assert_not(auth_has_tokens(auth));
    cr_assert_eq(ask("Bearer x", "a"), CS_EAUTH);
    cr_assert_eq(ask(NULL, "a"), CS_EAUTH);
    cr_assert_str_eq(why, "who are you? send a token (authorization: Bearer TOKEN)");
}

Test(auth, reading_a_file_again_forgets_the_old_unless_the_new_is_wrong)
{
    cr_assert_eq(auth_add_uid(auth, "4242=gen", why, sizeof why), CS_OK);
    cr_assert_eq(read_tokens("old *\n"), CS_OK);
    cr_assert_eq(read_tokens("new *\nbroken\n"), CS_EINVAL);
    cr_assert_eq(ask("Bearer old", "a"), CS_OK, "what was there stays");
    cr_assert_eq(ask("Bearer new", "a"), CS_EAUTH);
    cr_assert_eq(read_tokens("new *\n"), CS_OK);
    cr_assert_eq(ask("Bearer old", "a"), CS_EAUTH);
    cr_assert_eq(ask("Bearer new", "a"), CS_OK);
    peer.uid = 4242;
    cr_assert_eq(ask(NULL, "gen"), CS_OK, "rules of other kinds stay");
    cr_assert_eq(ask(NULL, "a"), CS_EPERM);
}

Test(auth, there_are_at_most_so_many_rules)
{
    char *text = malloc(8 * (AUTH_RULES_MAX + 1) + 1), *at = text;

    for (int i = 0; i <= AUTH_RULES_MAX; i++)
        at += sprintf(at, "%04d *\n", i);
    cr_assert_eq(read_tokens(text), CS_ELIMIT);
    at[-7] = '\0';
    cr_assert_eq(read_tokens(text), CS_OK);
    cr_assert_eq(ask("Bearer 4095", "a"), CS_OK);
    free(text);
}

Test(auth, a_user_of_a_unix_socket_is_known_by_uid_or_name)
{
    cr_assert_eq(auth_add_uid(auth, "1001=logs.*,gen", why, sizeof why), CS_OK);
    cr_assert_eq(auth_add_uid(auth, "root", why, sizeof why), CS_OK, "%s", why);
    peer.uid = 0;
    cr_assert_eq(ask(NULL, "anything"), CS_OK);
    peer.uid = 1001;
    cr_assert_eq(ask(NULL, "gen"), CS_OK);
    cr_assert_eq(ask(NULL, "echo"), CS_EPERM);
    peer.uid = 1002;
    cr_assert_eq(ask(NULL, "gen"), CS_EPERM);
    cr_assert_str_eq(why, "user 1002 is not allowed here");
    peer.uid = -1; /* TCP */
    cr_assert_eq(ask(NULL, "gen"), CS_EAUTH);
    cr_assert_str_eq(why, "who are you? connect by the unix socket");
}

Test(auth, names_of_certificates_are_globs)
{
    const cs_bytes sans[] = {cs_str("DNS:web.example"), cs_str("URI:spiffe://example/alice")};

    cr_assert_eq(auth_add_san(auth, "URI:spiffe://example/*=gen", why, sizeof why), CS_OK);
    cr_assert_eq(auth_add_san(auth, "DNS:admin.example", why, sizeof why), CS_OK);
    cr_assert_eq(ask(NULL, "gen"), CS_EAUTH);
    cr_assert_str_eq(why, "who are you? show a client certificate");
    peer.tls_subject = cs_str("CN=alice");
    peer.tls_sans = sans;
    peer.tls_sans_len = 1;
    cr_assert_eq(ask(NULL, "gen"), CS_EPERM);
    cr_assert_str_eq(why, "no name of your certificate is allowed here");
    peer.tls_sans_len = 2;
    cr_assert_eq(ask(NULL, "gen"), CS_OK);
    cr_assert_eq(ask(NULL, "echo"), CS_EPERM);
}

Test(auth, any_rule_will_do_and_the_words_name_them_all)
{
    cr_assert_eq(read_tokens("t echo\n"), CS_OK);
    cr_assert_eq(auth_add_san(auth, "*=gen", why, sizeof why), CS_OK);
    cr_assert_eq(auth_add_uid(auth, "7=logs", why, sizeof why), CS_OK);
    cr_assert_eq(ask(NULL, "gen"), CS_EAUTH);
    cr_assert_str_eq(why, "who are you? send a token (authorization: Bearer TOKEN), or show a "
                          "client certificate, or connect by the unix socket");
    peer.uid = 7;
    cr_assert_eq(ask("Bearer t", "echo"), CS_OK);
    cr_assert_eq(ask("Bearer t", "logs"), CS_OK);
    cr_assert_eq(ask("Bearer wrong", "logs"), CS_OK, "the user is known all the same");
    cr_assert_eq(ask("Bearer t", "gen"), CS_EPERM);
    peer.uid = 8;
    cr_assert_eq(ask(NULL, "echo"), CS_EAUTH, "a token would do");
}

Test(auth, rules_that_make_no_sense_are_refused_with_words)
{
    cr_assert_eq(auth_add_san(auth, "web.example", why, sizeof why), CS_EINVAL);
    cr_assert_str_eq(why, "'web.example' is no name of a certificate: it begins with DNS:, URI:, "
                          "IP:, email: or *");
    cr_assert_eq(auth_add_san(auth, "*=", why, sizeof why), CS_EINVAL);
    cr_assert_str_eq(why, "'' is no list of services: GLOB[,GLOB...]");
    cr_assert_eq(auth_add_uid(auth, "no-such-user", why, sizeof why), CS_EINVAL);
    cr_assert_str_eq(why, "'no-such-user' is no user of this machine, and no uid");
    cr_assert_eq(auth_add_uid(auth, "", why, sizeof why), CS_EINVAL);
    cr_assert_eq(auth_add_uid(auth, "=gen", why, sizeof why), CS_EINVAL);
    cr_assert_eq(auth_add_uid(auth, "4294967295", why, sizeof why), CS_EINVAL, "that is -1");
    cr_assert_eq(auth_add_uid(auth, "1=", why, sizeof why), CS_EINVAL);
    cr_assert(!auth_has_rules(auth));
}
