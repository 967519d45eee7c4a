/* TLS as a server and a client of chanserv see it. */
#include "chanserv/chanserv.h"
#include "test/support/certs.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    char cert[200], key[200], ca[200];
    char who[64];
} t;

TestSuite(tls, .init = certs_begin, .fini = certs_end);

static cs_err next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    int *said = state;

    (void)out;
    *frame = cs_str("x");
    return (*said)++ < 3 ? CS_OK : CS_DONE;
}

static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = next};

static cs_err service(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_announce(post, body, &ops, NULL, NULL);

    (void)user;
    return err == CS_OK ? CS_DONE : err;
}

static cs_err only_alice(const struct chanserv_request *request, void *user)
{
    const struct mux_peer *peer = request->peer;

    (void)user;
    snprintf(t.who, sizeof t.who, "%.*s", CS_FMT(peer->tls_subject));
    for (size_t i = 0; i < peer->tls_sans_len; i++) {
        if (cs_glob(cs_str("URI:spiffe://example/*"), peer->tls_sans[i]))
            return CS_OK;
    }
    return CS_EPERM;
}

/* Beyond loopback without `insecure`; the options are gone when it listens. */
static void serve(bool asks)
{
    struct mux_tls *tls = calloc(1, sizeof *tls);
    struct chanserv_server_options options = {.net.tls = tls,
                                              .authorise = asks ? only_alice : NULL};

    *tls = (struct mux_tls){.cert_file = t.cert, .key_file = t.key};
    snprintf(t.cert, sizeof t.cert, "%s", certs_path("server.pem"));
    snprintf(t.key, sizeof t.key, "%s", certs_path("server.key"));
    snprintf(t.ca, sizeof t.ca, "%s", certs_path("ca.pem"));
    tls->ca_file = asks ? t.ca : NULL;
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, &options, &t.server), CS_OK);
    memset(tls, 0xff, sizeof *tls);
    free(tls);
    t.cert[0] = t.key[0] = t.ca[0] = '\0';
    cr_assert_eq(chanserv_serve(t.server, "s", service, NULL), CS_OK);
    cr_assert_eq(chanserv_listen(t.server, "0.0.0.0:0"), CS_OK, "%s",
                 chanserv_server_errmsg(t.server));
}

static void join_on(cs_loop *loop, const char *name)
{
    struct mux_tls *tls = calloc(1, sizeof *tls);
    struct chanserv_client_options options = {.net.tls = tls};
    char file[40], addr[40];

    tls->ca_file = certs_path("ca.pem");
    if (name) {
        snprintf(file, sizeof file, "%s.pem", name);
        tls->cert_file = certs_path(file);
        snprintf(file, sizeof file, "%s.key", name);
        tls->key_file = certs_path(file);
    }
    cr_assert_eq(chanserv_client_new(loop, &options, &t.client), CS_OK);
    memset(tls, 0xff, sizeof *tls);
    free(tls);
    snprintf(addr, sizeof addr, "localhost:%s",
             strrchr(chanserv_server_addr(t.server, 0), ':') + 1);
    cr_assert_eq(chanserv_join(t.client, addr), CS_OK);
}

static void join(const char *name)
{
    join_on(t.loop, name);
}

/* Frames that came, or what the feed says. */
static int post(const char **errmsg)
{
    chanserv_feed *feed;
    chanserv_source *source;
    cs_bytes frame;
    int frames = 0;

    cr_assert_eq(chanserv_lookup_and_post(t.client, "s", cs_str("b"), NULL, &feed), CS_OK);
    while (chanserv_range_source(feed, &source)) {
        while (chanserv_range_frame(source, &frame))
            frames++;
    }
    *errmsg = chanserv_feed_errmsg(feed);
    return frames;
}

static void leave(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    cs_loop_free(t.loop);
}

Test(tls, strangers_may_be_listened_to)
{
    struct chanserv_counters counters;
    const char *errmsg;

    serve(false);
    join(NULL);
    cr_assert_eq(post(&errmsg), 3, "%s", errmsg);
    chanserv_server_counters(t.server, &counters);
    cr_assert_eq(counters.tls_connections_total, 1);
    cr_assert_eq(counters.tls_handshakes, 0);
    cr_assert_eq(counters.tls_handshakes_failed, 0);
    leave();
}

Test(tls, a_new_certificate_is_read_and_the_old_connection_goes)
{
    struct chanserv_counters counters;
    const char *errmsg;

    serve(false);
    cr_assert_eq(chanserv_listen(t.server, "127.0.0.1:0"), CS_OK);
    join(NULL);
    cr_assert_eq(post(&errmsg), 3, "%s", errmsg);
    certs_write("server.pem", "no certificate");
    cr_assert_eq(chanserv_server_reload(t.server), CS_EINVAL);
    cr_assert(strstr(chanserv_server_errmsg(t.server), "server.pem: no certificate in it"), "%s",
              chanserv_server_errmsg(t.server));
    cr_assert_eq(post(&errmsg), 3, "%s", errmsg);
    chanserv_server_counters(t.server, &counters);
    cr_assert_eq(counters.tls_connections_total, 1);
    cr_assert_eq(counters.connections_rolled, 0);
    certs_make("server", &(struct certs_about){.cn = "another", .sans = "DNS:localhost"});
    cr_assert_eq(chanserv_server_reload(t.server), CS_OK);
    cr_assert_eq(post(&errmsg), 3, "%s", errmsg);
    chanserv_server_counters(t.server, &counters);
    cr_assert_eq(counters.tls_connections_total, 2, "on a connection of its own");
    cr_assert_eq(counters.connections_rolled, 1);
    leave();
}

Test(tls, without_it_there_is_nothing_to_read_again)
{
    chanserv_server *server;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_server_reload(server), CS_ENOTSUP);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(chanserv_server_reload(server), CS_ENOTSUP);
    cr_assert(strstr(chanserv_server_errmsg(server), "this port has no TLS"));
    chanserv_server_free(server);
}

Test(tls, the_hook_knows_who_it_is)
{
    const char *errmsg;

    serve(true);
    join("client");
    cr_assert_eq(post(&errmsg), 3, "%s", errmsg);
    cr_assert_str_eq(t.who, "CN=alice,O=example");
    leave();
}

Test(tls, the_hook_refuses_whom_it_does_not_like)
{
    struct chanserv_counters counters;
    const char *errmsg;

    certs_make("bob", &(struct certs_about){.cn = "bob", .sans = "DNS:bob.example"});
    serve(true);
    join("bob");
    cr_assert_eq(post(&errmsg), 0);
    cr_assert_str_eq(t.who, "CN=bob");
    chanserv_server_counters(t.server, &counters);
    cr_assert_geq(counters.posts_refused_denied, 1);
    leave();
}

Test(tls, who_shows_no_certificate_is_told_to)
{
    struct chanserv_counters counters;
    const char *errmsg;

    serve(true);
    join(NULL);
    cr_assert_eq(post(&errmsg), 0);
    cr_assert_not_null(strstr(errmsg, ": tls: the server demands a client certificate"), "%s",
                       errmsg);
    chanserv_server_counters(t.server, &counters);
    cr_assert_geq(counters.tls_handshakes_failed, 1);
    cr_assert_eq(counters.tls_connections_total, 0);
    leave();
}

static void *run(void *server)
{
    cr_assert_eq(chanserv_server_run(server), CS_OK);
    return NULL;
}

Test(tls, a_client_may_have_a_thread_of_its_own)
{
    const char *errmsg;
    pthread_t thread;

    serve(true);
    cr_assert_eq(pthread_create(&thread, NULL, run, t.server), 0);
    for (int i = 0; i < 5; i++) {
        join_on(NULL, i == 3 ? NULL : "client");
        cr_assert_eq(post(&errmsg), i == 3 ? 0 : 3, "%s", errmsg);
        if (i < 4)
            chanserv_client_free(t.client);
    }
    chanserv_server_stop(t.server);
    pthread_join(thread, NULL);
    leave();
}
