#include "test/support/cable.h"

#include "mux/link__in.h"
#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ROOM = 16 * 1024 };

struct chunk { /* of no bytes: the end */
    struct cs_link link;
    int64_t due_ms;
    size_t len;
    uint8_t bytes[];
};

struct line;

struct way {
    struct line *line;
    enum cable_way which;
    struct cs_list chunks;
    cs_timer *timer;
};

/* One connection: the far ends of the client's link and of the server's. */
struct line {
    struct cs_link link;
    struct cable *cable;
    mux_conn *conn;    /* not dialed yet */
    mux__link *server; /* not accepted yet */
    mux__link *ends[2];
    struct way ways[2];
    cs_timer *timer; /* of the dial, of the accept, or of the cut */
    bool first, cut;
};

static void end_free(struct line *line, int which)
{
    mux__link_free(line->ends[which]);
    line->ends[which] = NULL;
}

/* What was passed before is read first: the link breaks with what is in it. */
static void cut_soon(struct line *line)
{
    line->cut = line->cable->cut = true;
    cs_timer_set(line->timer, 1);
}

static void pass(struct way *way, const uint8_t *bytes, size_t len)
{
    struct line *line = way->line;
    struct cable *cable = line->cable;
    const int64_t left = cable->cut_at[way->which] - cable->passed[way->which];
    mux__link *to = line->ends[!way->which];
    size_t done = 0;

    if (line->cut || !to)
        return;
    if (len == 0) {
        end_free(line, !way->which);
        return;
    }
    if (line->first && cable->cut_at[way->which] >= 0 && left <= (int64_t)len) {
        len = (size_t)left;
        cut_soon(line);
    }
    if (line->first)
        cable->passed[way->which] += (int64_t)len;
    if (len > 0) {
        struct iovec iov = {(void *)(uintptr_t)bytes, len};

        cr_assert_eq(mux__link_write(to, &iov, 1, &done), CS_OK);
        cr_assert_eq(done, len, "it has room for all that these tests say");
    }
}

static void deliver(void *user)
{
    struct way *way = user;
    const int64_t now = cs_loop_now_ms(way->line->cable->loop);
    struct cs_link *link;

    while ((link = cs_list_first(&way->chunks)) != NULL) {
        struct chunk *chunk = CS_CONTAINER(link, struct chunk, link);

        if (chunk->due_ms > now) {
            cs_timer_set(way->timer, (int)(chunk->due_ms - now));
            return;
        }
        cs_unlink(link);
        pass(way, chunk->bytes, chunk->len);
        free(chunk);
    }
}

static void queue(struct way *way, const uint8_t *bytes, size_t len)
{
    struct cable *cable = way->line->cable;
    struct chunk *chunk;

    if (cable->delay_ms == 0) {
        pass(way, bytes, len);
        return;
    }
    chunk = malloc(sizeof *chunk + len);
    cr_assert_not_null(chunk);
    cs_link_init(&chunk->link);
    chunk->due_ms = cs_loop_now_ms(cable->loop) + cable->delay_ms;
    chunk->len = len;
    memcpy(chunk->bytes, bytes, len);
    if (cs_list_empty(&way->chunks))
        cs_timer_set(way->timer, cable->delay_ms);
    cs_list_push(&way->chunks, &chunk->link);
}

static void on_ready(int can, void *user)
{
    struct way *way = user;
    struct line *line = way->line;
    uint8_t bytes[ROOM];
    cs_err err = CS_OK;
    size_t n;

    (void)can;
    while (line->ends[way->which] &&
           (err = mux__link_read(line->ends[way->which], bytes, sizeof bytes, &n)) == CS_OK)
        queue(way, bytes, n);
    if (err == CS_OK || err == CS_AGAIN)
        return;
    end_free(line, (int)way->which);
    queue(way, bytes, 0);
}

static void accept_it(struct line *line)
{
    struct cable *cable = line->cable;

    cr_assert_eq(mux__conn_accept(cable->loop, line->server, &cable->server, cable->handlers,
                                  &cable->handlers->local_conns, NULL),
                 CS_OK);
    line->server = NULL;
}

static void begin(struct line *line)
{
    struct cable *cable = line->cable;
    mux_conn *conn = line->conn;
    mux__link *client[2], *server[2];

    line->conn = NULL;
    cr_assert_eq(mux__link_pair(cable->loop, client), CS_OK);
    cr_assert_eq(mux__link_pair(cable->loop, server), CS_OK);
    line->ends[CABLE_UP] = client[1];
    line->ends[CABLE_DOWN] = server[1];
    for (int i = 0; i < 2; i++) {
        mux__link_listen(line->ends[i], on_ready, &line->ways[i]);
        mux__link_want(line->ends[i], true, false);
    }
    line->server = server[0];
    if (cable->delay_ms == 0)
        accept_it(line);
    else
        cs_timer_set(line->timer, cable->delay_ms);
    mux__conn_dialed(conn, client[0], NULL);
}

static void on_timer(void *user)
{
    struct line *line = user;

    if (line->conn)
        begin(line);
    else if (line->server)
        accept_it(line);
    else
        for (int i = 0; i < 2; i++)
            if (line->ends[i])
                mux__link_pair_break(line->ends[i]);
}

static cs_err dial(mux_conn *conn)
{
    struct cable *cable = conn->front->dial_user;
    struct line *line = calloc(1, sizeof *line);

    cr_assert_not_null(line);
    line->cable = cable;
    line->conn = conn;
    line->first = cable->dials++ == 0;
    cs_link_init(&line->link);
    cs_list_push(&cable->lines, &line->link);
    cr_assert_eq(cs_timer_new(cable->loop, on_timer, line, &line->timer), CS_OK);
    for (int i = 0; i < 2; i++) {
        line->ways[i].line = line;
        line->ways[i].which = (enum cable_way)i;
        cs_list_init(&line->ways[i].chunks);
        cr_assert_eq(cs_timer_new(cable->loop, deliver, &line->ways[i], &line->ways[i].timer),
                     CS_OK);
    }
    cs_timer_set(line->timer, 2 * cable->delay_ms);
    return CS_OK;
}

void cable_init(struct cable *cable, cs_loop *loop, mux_handlers *handlers)
{
    *cable = (struct cable){.loop = loop, .handlers = handlers, .cut_at = {-1, -1}};
    cs_list_init(&cable->lines);
}

void cable_dial(struct cable *cable, const struct mux_options *options, mux_conn **ret)
{
    cr_assert_eq(mux__conn_new(cable->loop, options, false, ret), CS_OK);
    (*ret)->front->dial = dial;
    (*ret)->front->dial_user = cable;
    (*ret)->authority = cs_strdup("cable");
    cr_assert_not_null((*ret)->authority);
    cr_assert_eq(mux__conn_dial(*ret), CS_OK);
}

void cable_fini(struct cable *cable)
{
    struct cs_link *at, *chunk;

    while ((at = cs_list_pop(&cable->lines)) != NULL) {
        struct line *line = CS_CONTAINER(at, struct line, link);

        mux__link_free(line->server);
        for (int i = 0; i < 2; i++) {
            end_free(line, i);
            cs_timer_free(line->ways[i].timer);
            while ((chunk = cs_list_pop(&line->ways[i].chunks)) != NULL)
                free(CS_CONTAINER(chunk, struct chunk, link));
        }
        cs_timer_free(line->timer);
        free(line);
    }
}
