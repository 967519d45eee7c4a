#include "mux/mux__in.h"
#include "test/mux/secure.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct mux_stats *server_stats(void)
{
    return mux_handlers_stats(secure.handlers);
}

TestSuite(tls, .init = secure_begin, .fini = secure_end);

/* ---- Good order ----------------------------------------------------------------------------- */

Test(tls, carries_a_call)
{
    struct mux_tls client = secure_client(), server = secure_server("server");

    secure_meet(&client, &server, "localhost");
    secure_answers();
    cr_assert_eq(server_stats()->tls_connections_total, 1);
    cr_assert_eq(server_stats()->tls_handshakes, 0);
    cr_assert_eq(server_stats()->tls_handshakes_failed, 0);
    cr_assert_eq(server_stats()->connections, 1);
    cr_assert_str_eq(mux_conn_errmsg(secure.conn), "");
}

Test(tls, knows_an_address_of_the_certificate)
{
    struct mux_tls client = secure_client(), server = secure_server("server");

    secure_meet(&client, &server, "::1%lo");
    secure_answers();
}

Test(tls, knows_a_name_that_ends_in_a_dot)
{
    struct mux_tls client = secure_client(), server = secure_server("server");

    secure_meet(&client, &server, "localhost.");
    secure_answers();
}

Test(tls, verifies_the_name_it_is_told)
{
    struct mux_tls client = secure_client(), server = secure_server("server");

    client.server_name = "localhost";
    secure_meet(&client, &server, "10.1.2.3");
    secure_answers();
}

Test(tls, believes_anybody_when_told_so)
{
    struct mux_tls client = {.no_verify = true}, server = secure_server("server");
    const struct mux_peer *peer;

    secure_meet(&client, &server, "b.example");
    secure_answers();
    peer = mux_conn_peer(secure.conn);
    cr_assert_eq(peer->tls_subject.len, 0, "nobody has verified it");
    cr_assert_eq(peer->tls_sans_len, 0);
}

Test(tls, goes_through_a_connection_within_the_process)
{
    struct mux_tls client = secure_client(), server = secure_server("server");
    const struct mux_options c = {.tls = &client}, s = {.tls = &server};

    cr_assert_eq(mux_dial_local(secure.loop, &c, &s, secure.handlers, &secure.conn), CS_OK);
    secure_answers();
    cr_assert_eq(server_stats()->tls_connections_total, 1);
}

Test(tls, within_the_process_both_have_to_ask_for_it)
{
    struct mux_tls server = secure_server("server");
    const struct mux_options s = {.tls = &server};

    cr_assert_eq(mux_dial_local(secure.loop, NULL, &s, secure.handlers, &secure.conn), CS_OK);
    secure_answers();
    cr_assert_eq(server_stats()->tls_connections_total, 0);
}

/* ---- Who it is ------------------------------------------------------------------------------ */

static struct mux_peer seen;
static char subject[64], names[4][64];

static void look(struct side *s)
{
    const struct mux_peer *peer = mux_stream_peer(s->stream);

    seen = *peer;
    snprintf(subject, sizeof subject, "%.*s", CS_FMT(peer->tls_subject));
    for (size_t i = 0; i < peer->tls_sans_len && i < 4; i++)
        snprintf(names[i], sizeof names[i], "%.*s", CS_FMT(peer->tls_sans[i]));
}

static void meet_as(const char *name)
{
    struct mux_tls client = secure_client(), server = secure_server("server");
    char cert[32], key[32];

    snprintf(cert, sizeof cert, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    server.ca_file = certs_path("ca.pem");
    client.cert_file = certs_path(cert);
    client.key_file = certs_path(key);
    secure_meet(&client, &server, "localhost");
}

Test(tls, a_server_learns_who_its_client_is)
{
    struct side *c;

    meet_as("client");
    secure.server[0].on_accept = look;
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_eq(secure.accepted, 1, "%s", c->errmsg);
    cr_assert_str_eq(subject, "CN=alice,O=example");
    cr_assert_eq(seen.tls_sans_len, 4);
    cr_assert_str_eq(names[0], "DNS:alice.example");
    cr_assert_str_eq(names[1], "URI:spiffe://example/alice");
    cr_assert_str_eq(names[2], "email:alice@example.org");
    cr_assert_str_eq(names[3], "IP:10.0.0.1");
    cr_assert(cs_same(seen.addr, cs_str("local")));
}

Test(tls, a_client_learns_who_its_server_is)
{
    const struct mux_peer *peer;

    meet_as("client");
    talk_settle(&secure);
    peer = mux_conn_peer(secure.conn);
    cr_assert(cs_same(peer->tls_subject, cs_str("CN=localhost")));
    cr_assert_eq(peer->tls_sans_len, 3);
    cr_assert(cs_same(peer->tls_sans[2], cs_str("IP:::1")));
}

Test(tls, names_that_are_not_what_they_look_like_are_left_out)
{
    struct side *c;

    certs_make("odd", &(struct certs_about){.cn = "odd",
                                            .sans = "DNS:good.example,URI:a b,"
                                                    "email:c\td,RID:1.2.3"});
    meet_as("odd");
    secure.server[0].on_accept = look;
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_eq(secure.accepted, 1, "%s", c->errmsg);
    cr_assert_eq(seen.tls_sans_len, 1);
    cr_assert_str_eq(names[0], "DNS:good.example");
}

Test(tls, without_ca_file_clients_are_nobody)
{
    struct mux_tls client = secure_client(), server = secure_server("server");

    client.cert_file = certs_path("client.pem");
    client.key_file = certs_path("client.key");
    secure_meet(&client, &server, "localhost");
    secure.server[0].on_accept = look;
    (void)talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_eq(secure.accepted, 1);
    cr_assert_eq(seen.tls_subject.len, 0);
    cr_assert_eq(seen.tls_sans_len, 0);
}

/* ---- A server that is not believed ---------------------------------------------------------- */

static void refuses(const struct certs_about *about, const char *host, const char *story)
{
    struct mux_tls client = secure_client(), server;
    char all[400];

    certs_make("theirs", about);
    server = secure_server("theirs");
    secure_meet(&client, &server, host);
    snprintf(all, sizeof all, "dial %s: tls: %s", host, story);
    secure_refused(all);
    cr_assert_str_eq(mux_conn_errmsg(secure.conn), all);
    cr_assert_eq(server_stats()->tls_handshakes_failed, 1);
    cr_assert_eq(server_stats()->tls_handshakes, 0);
    cr_assert_eq(server_stats()->tls_connections_total, 0);
    cr_assert_eq(server_stats()->connections, 0);
}

Test(tls, refuses_a_certificate_for_somebody_else)
{
    refuses(&(struct certs_about){.cn = "x", .sans = "DNS:a.example,DNS:*.c.example,IP:10.0.0.1"},
            "b.example", "certificate is for a.example, *.c.example, 10.0.0.1, not for b.example");
}

Test(tls, refuses_a_certificate_for_another_address)
{
    refuses(&(struct certs_about){.cn = "10.0.0.2", .sans = "DNS:10.0.0.2,IP:10.0.0.1"}, "10.0.0.2",
            "certificate is for 10.0.0.2, 10.0.0.1, not for 10.0.0.2");
}

Test(tls, says_the_common_name_of_a_certificate_without_others)
{
    refuses(&(struct certs_about){.cn = "old.example"}, "b.example",
            "certificate is for CN=old.example, not for b.example");
}

Test(tls, cuts_a_long_list_of_names)
{
    static char sans[2000];
    struct mux_tls client = secure_client(), server;
    struct side *c;

    for (int i = 0; i < 40; i++)
        snprintf(sans + strlen(sans), sizeof sans - strlen(sans), "%sDNS:host-%d.example",
                 i ? "," : "", i);
    certs_make("theirs", &(struct certs_about){.cn = "x", .sans = sans});
    server = secure_server("theirs");
    secure_meet(&client, &server, "b.example");
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_not_null(strstr(c->errmsg, "host-0.example, host-1.example, "));
    cr_assert_not_null(strstr(c->errmsg, ", ..., not for b.example"), "%s", c->errmsg);
}

static void date_of(int days, char to[40])
{
    time_t then = time(NULL) + days * 24 * 60 * 60;
    struct tm tm;

    gmtime_r(&then, &tm);
    strftime(to, 40, "%Y-%m-%d ", &tm);
}

/* But for the hour, which passes while the test runs. */
static void refuses_the_date(const struct certs_about *about, const char *head, int days)
{
    struct mux_tls client = secure_client(), server;
    char date[40], want[200];
    struct side *c;

    certs_make("theirs", about);
    server = secure_server("theirs");
    date_of(days, date);
    secure_meet(&client, &server, "localhost");
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    snprintf(want, sizeof want, "dial localhost: tls: certificate %s%s", head, date);
    cr_assert_eq(strncmp(c->errmsg, want, strlen(want)), 0, "%s", c->errmsg);
    cr_assert_str_eq(c->errmsg + strlen(c->errmsg) - 4, " UTC");
    cr_assert_eq(c->why, CS_EREFUSED);
    cr_assert_str_eq(secure_log, "connection of local: tls: the client does not accept our "
                                 "certificate (certificate expired)");
}

Test(tls, refuses_an_expired_certificate_and_says_since_when)
{
    refuses_the_date(
        &(struct certs_about){
            .cn = "localhost", .sans = "DNS:localhost", .from_days = -30, .until_days = -2},
        "expired on ", -2);
}

Test(tls, refuses_a_certificate_that_is_not_valid_yet)
{
    struct mux_tls client = secure_client(), server;
    struct side *c;

    certs_make("theirs",
               &(struct certs_about){.cn = "localhost", .sans = "DNS:localhost", .from_days = 2});
    server = secure_server("theirs");
    secure_meet(&client, &server, "localhost");
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_not_null(strstr(c->errmsg, ": tls: certificate is not valid before 2"), "%s",
                       c->errmsg);
}

Test(tls, refuses_a_certificate_of_an_unknown_authority)
{
    certs_make("other", &(struct certs_about){.cn = "other CA", .by = "other", .is_ca = true});
    refuses(&(struct certs_about){.cn = "localhost", .sans = "DNS:localhost", .by = "other"},
            "localhost", "certificate is not signed by anybody we believe (issuer CN=other CA)");
}

Test(tls, refuses_a_certificate_that_signed_itself)
{
    refuses(&(struct certs_about){.cn = "localhost", .sans = "DNS:localhost", .by = "theirs"},
            "localhost", "certificate is signed by itself, and nobody told us to believe it");
}

Test(tls, without_ca_file_the_system_is_believed)
{
    struct mux_tls client = {.cert_file = NULL}, server = secure_server("server");

    secure_meet(&client, &server, "localhost");
    secure_refused("dial localhost: tls: certificate is not signed by anybody we believe (issuer "
                   "CN=test CA)");
}

Test(tls, an_authority_that_expired_is_named)
{
    struct mux_tls client, server;
    struct side *c;

    certs_make("old",
               &(struct certs_about){
                   .cn = "old CA", .by = "old", .is_ca = true, .from_days = -9, .until_days = -3});
    certs_make("theirs",
               &(struct certs_about){.cn = "localhost", .sans = "DNS:localhost", .by = "old"});
    client = (struct mux_tls){.ca_file = certs_path("old.pem")};
    server = secure_server("theirs");
    secure_meet(&client, &server, "localhost");
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_not_null(
        strstr(c->errmsg, ": tls: the authority's certificate (CN=old CA) expired on 2"), "%s",
        c->errmsg);
}

/* ---- A client that is not believed ---------------------------------------------------------- */

/* With TLS 1.3 the client is told after its handshake, and its calls are under way. */
Test(tls, a_client_without_a_certificate_is_told_what_is_missing)
{
    struct mux_tls client = secure_client(), server = secure_server("server");

    server.ca_file = certs_path("ca.pem");
    secure_meet(&client, &server, "localhost");
    secure_refused("localhost: tls: the server demands a client certificate");
    cr_assert_str_eq(secure_log, "connection of local: tls: the client showed no certificate");
    cr_assert_eq(server_stats()->tls_handshakes_failed, 1);
    cr_assert_eq(secure.accepted, 0);
}

Test(tls, a_client_whose_authority_is_unknown_is_told_so)
{
    certs_make("other", &(struct certs_about){.cn = "other CA", .by = "other", .is_ca = true});
    certs_make("mallory", &(struct certs_about){.cn = "mallory", .by = "other"});
    meet_as("mallory");
    secure_refused("localhost: tls: the server does not accept our certificate (unknown CA)");
    cr_assert_str_eq(secure_log, "connection of local: tls: the client's certificate is not signed "
                                 "by anybody we believe (issuer CN=other CA)");
}

Test(tls, a_client_that_expired_is_told_so)
{
    certs_make("late", &(struct certs_about){.cn = "late", .from_days = -9, .until_days = -2});
    meet_as("late");
    secure_refused(
        "localhost: tls: the server does not accept our certificate (certificate expired)");
    cr_assert_not_null(strstr(secure_log, "the client's certificate expired on 2"));
}

/* ---- Time and quiet ------------------------------------------------------------------------- */

Test(tls, a_server_that_says_nothing_is_given_up_in_the_time_of_the_dial)
{
    struct mux_tls client = secure_client();
    mux__link *ends[2];
    struct side *c;

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(ends[0], &client, "localhost");
    c = talk_open(&secure, 0);
    cs_loop_advance(secure.loop, 4999);
    cr_assert_eq(c->ends, 0);
    cs_loop_advance(secure.loop, 1);
    cr_assert_eq(c->why, CS_EREFUSED);
    cr_assert_str_eq(c->errmsg, "dial localhost: tls: the handshake timed out");
    mux__link_free(ends[1]);
}

Test(tls, a_client_that_says_nothing_is_cut_and_counted)
{
    struct mux_tls server = secure_server("server");
    mux__link *ends[2];
    char byte;
    size_t n;

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_accept(ends[1], &server);
    cs_loop_advance(secure.loop, 9999);
    cr_assert_eq(server_stats()->tls_handshakes, 1);
    cs_loop_advance(secure.loop, 1);
    cr_assert_eq(server_stats()->tls_handshakes, 0);
    cr_assert_eq(server_stats()->tls_handshakes_failed, 1);
    cr_assert_str_eq(secure_log, "connection of local: tls: the handshake timed out");
    cr_assert_eq(mux__link_read(ends[0], &byte, 1, &n), CS_DONE);
    mux__link_free(ends[0]);
}

static void free_it_now(bool has_begun)
{
    struct mux_tls client = secure_client(), server = secure_server("server");
    mux__link *ends[2], *others[2];
    struct side *c;

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    cr_assert_eq(mux__link_pair(secure.loop, others), CS_OK);
    secure_dial(ends[0], &client, "localhost");
    secure_accept(others[0], &server);
    c = talk_open(&secure, 0);
    if (has_begun)
        talk_settle(&secure);
    mux_conn_free(secure.conn);
    mux_handlers_end_local(secure.handlers);
    talk_settle(&secure);
    cr_assert_eq(c->why, CS_ECANCELED);
    cr_assert_eq(server_stats()->tls_handshakes, 0);
    cr_assert_eq(server_stats()->tls_handshakes_failed, 0);
    secure.conn = NULL;
    mux__link_free(ends[1]);
    mux__link_free(others[1]);
}

Test(tls, may_be_freed_before_the_handshake)
{
    free_it_now(false);
}

Test(tls, may_be_freed_in_the_middle_of_the_handshake)
{
    free_it_now(true);
}

/* ---- Not TLS -------------------------------------------------------------------------------- */

Test(tls, a_server_in_plain_text_is_found_out)
{
    struct mux_tls client = secure_client();
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(ends[0], &client, "localhost");
    cr_assert_eq(mux__conn_accept(secure.loop, ends[1], NULL, secure.handlers,
                                  &secure.handlers->local_conns, NULL),
                 CS_OK);
    secure_refused("dial localhost: tls: the server does not speak TLS");
}

Test(tls, a_server_that_hangs_up_without_a_word_may_be_one)
{
    struct mux_tls client = secure_client();
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(ends[0], &client, "localhost");
    mux__link_free(ends[1]);
    secure_refused("dial localhost: tls: the server closed the connection without a word; does it "
                   "speak TLS?");
}

static void leaves_halfway(bool hangs_up)
{
    struct mux_tls client = secure_client();
    struct iovec iov = {"\x16\x03\x03\x01\x00half of it", 15};
    mux__link *ends[2];
    size_t n;

    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    secure_dial(ends[0], &client, "localhost");
    talk_settle(&secure);
    cr_assert_eq(mux__link_write(ends[1], &iov, 1, &n), CS_OK);
    talk_settle(&secure);
    if (hangs_up)
        mux__link_free(ends[1]);
    else
        mux__link_pair_break(ends[1]);
    secure_refused("dial localhost: tls: the server closed the connection during the handshake");
    if (!hangs_up)
        mux__link_free(ends[1]);
}

Test(tls, a_server_that_leaves_in_the_middle_of_the_handshake)
{
    leaves_halfway(true);
}

Test(tls, a_server_that_breaks_in_the_middle_of_the_handshake)
{
    leaves_halfway(false);
}

static void dial_in_plain_text(mux__link *ends[2])
{
    cr_assert_eq(mux__link_pair(secure.loop, ends), CS_OK);
    cr_assert_eq(mux__conn_new(secure.loop, NULL, false, &secure.conn), CS_OK);
    secure.conn->authority = cs_strdup("plain");
    cr_assert_eq(mux__h2_new(secure.conn), CS_OK);
    mux__conn_up(secure.conn, ends[0]);
}

Test(tls, in_plain_text_a_server_that_says_nothing_may_want_it)
{
    static const char *const words[] = {
        "connection: the peer closed the connection without a word; does it want TLS?",
        "connection: the connection was reset without a word; does the peer want TLS?"};
    mux__link *ends[2];
    struct side *c;

    for (int breaks = 0; breaks < 2; breaks++) {
        dial_in_plain_text(ends);
        if (breaks)
            mux__link_pair_break(ends[1]);
        else
            mux__link_free(ends[1]);
        secure.client[0] = (struct side){0};
        c = talk_open(&secure, 0);
        talk_settle(&secure);
        cr_assert_eq(c->ends, 1);
        cr_assert_str_eq(c->errmsg, words[breaks]);
        if (breaks)
            mux__link_free(ends[1]);
        else
            mux_conn_free(secure.conn);
    }
}

Test(tls, in_plain_text_a_server_that_said_something_does_not)
{
    mux__link *ends[2];
    struct side *c;

    dial_in_plain_text(ends);
    cr_assert_eq(mux__conn_accept(secure.loop, ends[1], NULL, secure.handlers,
                                  &secure.handlers->local_conns, NULL),
                 CS_OK);
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_eq(c->ends, 0);
    mux__link_pair_break(ends[1]);
    talk_settle(&secure);
    cr_assert_str_eq(c->errmsg, "connection: the connection was reset");
}

Test(tls, a_client_in_plain_text_is_found_out)
{
    struct mux_tls server = secure_server("server");
    mux__link *ends[2];
    struct side *c;

    dial_in_plain_text(ends);
    secure_accept(ends[1], &server);
    c = talk_open(&secure, 0);
    talk_settle(&secure);
    cr_assert_eq(c->ends, 1);
    cr_assert(cs_failed(c->why));
    cr_assert_str_eq(secure_log, "connection of local: tls: the client does not speak TLS");
    cr_assert_eq(server_stats()->tls_handshakes_failed, 1);
    cr_assert_eq(server_stats()->connections, 0);
}
