/* operations -- the tables of docs/OPERATIONS are those of the code: every option with the default
 * that it really has, every counter with its help. */
#include "test/docs/doc.h"

#include "chanserv/client__in.h"
#include "chanserv/server__in.h"
#include "gateway/gateway__in.h"
#include "mux/mux__in.h"
#include "services/rendezvous/desk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct row {
    const char *name, *value;
    int64_t number;      /* when `value` is NULL */
    const char *more[2]; /* the cells behind these, if there are any */
};

/* The rows of the section's table, but for its first cells which are in code's order. */
static void table_is(const char *heading, const struct row *rows, size_t n)
{
    char *page = doc_read("docs/OPERATIONS");
    cs_bytes text = doc_section(page, heading), line, cells[DOC_CELLS];
    size_t at = 0, seen = 0;

    while (doc_line(&text, &line)) {
        char number[32] = "off";
        size_t len = doc_row(line, cells);

        if (len == 0 || seen++ < 2) /* the heading of the table, and its rule */
            continue;
        cr_assert_lt(at, n, "%s: there is no %.*s", heading, CS_FMT(cells[0]));
        if (rows[at].number != CS_OFF)
            snprintf(number, sizeof number, "%lld", (long long)rows[at].number);
        cr_assert(cs_same(cells[0], cs_str(rows[at].name)), "%s: here is %s", heading,
                  rows[at].name);
        cr_assert(cs_same(cells[1], cs_str(rows[at].value ? rows[at].value : number)),
                  "%s: %s is %s", heading, rows[at].name, rows[at].value ? rows[at].value : number);
        for (size_t i = 0; i < 2 && rows[at].more[i]; i++)
            cr_assert(cs_same(cells[2 + i], cs_str(rows[at].more[i])), "%s: %s: %s", heading,
                      rows[at].name, rows[at].more[i]);
        at++;
    }
    cr_assert_eq(at, n, "%s: the page has no %s", heading, rows[at < n ? at : 0].name);
    free(page);
}

#define OPTION(name)                                                                               \
    {                                                                                              \
#name, NULL, options.name,                                                                 \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define LIMIT(X, option, unit, standard, name, counter, counted, beyond)                           \
    {#option, NULL, options.option, {#counter, beyond}},
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

Test(operations, the_options_of_a_server_have_these_defaults)
{
    chanserv_server *server;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(chanserv_server_new(loop, NULL, &server), CS_OK);
    const struct chanserv_server_options options = server->options;
    const struct row rows[] = {OPTION(loops),
                               OPTION(busy_poll_us),
                               OPTION(serving_timeout_ms),
                               OPTION(sourcing_timeout_ms),
                               OPTION(write_timeout_ms),
                               OPTION(inline_max_bytes),
                               OPTION(part_bytes),
                               OPTION(body_max_bytes),
                               OPTION(header_max_bytes),
                               OPTION(linger_ms),
                               OPTION(grace_ms)};
    const struct row limits[] = {CHANSERV_LIMITS(LIMIT, )};
    table_is("### Limits of a server", limits, COUNT(limits));
    table_is("## Options of a server", rows, COUNT(rows));
    chanserv_server_free(server);
    cs_loop_free(loop);
}

Test(operations, the_options_of_a_client_have_these_defaults)
{
    chanserv_client *client;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(chanserv_client_new(loop, NULL, &client), CS_OK);
    const struct chanserv_client_options options = client->options;
    const struct row rows[] = {
        OPTION(resume_ms),
        OPTION(lookup_timeout_ms),
        {"announce_timeout_ms", options.announce_timeout_ms ? "" : "off", 0, {NULL, NULL}},
        {"frame_timeout_ms", options.frame_timeout_ms ? "" : "off", 0, {NULL, NULL}},
        OPTION(inline_bytes),
        OPTION(frame_max_bytes),
        OPTION(assembly_bytes),
        OPTION(busy_poll_us)};
    table_is("## Options of a client", rows, COUNT(rows));
    chanserv_client_free(client);
    cs_loop_free(loop);
}

Test(operations, the_options_of_a_connection_have_these_defaults)
{
    struct mux_options options;

    mux__options_fill(&options, NULL);
    const struct row rows[] = {OPTION(window_bytes),
                               OPTION(window_max_bytes),
                               OPTION(dial_timeout_ms),
                               OPTION(ping_interval_ms),
                               OPTION(ping_timeout_ms),
                               OPTION(connection_age_ms),
                               OPTION(calls_max),
                               OPTION(connections_max),
                               {"gzip", options.gzip ? "" : "off", 0, {NULL, NULL}}};
    const struct row limits[] = {MUX_LIMITS(LIMIT, )};
    table_is("## Options of a connection", rows, COUNT(rows));
    table_is("### Limits of a connection", limits, COUNT(limits));
}

#define GATEWAY_LIMIT(X, option, unit, standard, name, counter, beyond)                            \
    {#option, NULL, options.option, {#counter, beyond}},

Test(operations, the_limits_of_a_gateway_have_these_defaults)
{
    chanserv_server *server;
    gateway *made;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(chanserv_server_new(loop, NULL, &server), CS_OK);
    cr_assert_eq(gateway_new(server, NULL, &made), CS_OK);
    const struct gateway_options options = made->options;
    const struct row limits[] = {GATEWAY_LIMITS(GATEWAY_LIMIT, )};
    table_is("### Limits of a gateway", limits, COUNT(limits));
    gateway_free(made);
    chanserv_server_free(server);
    cs_loop_free(loop);
}

Test(operations, the_limits_of_a_rendezvous_have_these_defaults)
{
    chanserv_server *server;
    rendezvous *desk;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(chanserv_server_new(loop, NULL, &server), CS_OK);
    cr_assert_eq(rendezvous_new(server, NULL, &desk), CS_OK);
    const struct rendezvous_options options = desk->options;
    const struct row rows[] = {
        {"waiters_max", NULL, options.waiters_max, {"refused_limit", NULL}},
        {"waiting_max_bytes", NULL, options.waiting_max_bytes, {"refused_bytes", NULL}},
        {"payload_max_bytes", NULL, options.payload_max_bytes, {"refused_bad", NULL}},
        {"text_max_bytes", NULL, options.text_max_bytes, {"refused_bad", NULL}}};
    table_is("### Limits of a rendezvous", rows, COUNT(rows));
    rendezvous_free(desk);
    chanserv_server_free(server);
    cs_loop_free(loop);
}

Test(operations, every_counter_is_there_with_its_help)
{
    static const struct row rows[] = {
#define X(name, help) {#name, help, 0, {NULL, NULL}},
        CHANSERV_COUNTERS(X)
#undef X
    };
    table_is("## Counters", rows, COUNT(rows));
}

Test(operations, every_histogram_is_there_with_its_help)
{
    static const struct row rows[] = {
#define X(name, help) {#name, help, 0, {NULL, NULL}},
        CHANSERV_HISTOGRAMS(X)
#undef X
    };
    table_is("## Histograms", rows, COUNT(rows));
}
