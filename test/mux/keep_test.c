/* One channel of numbered messages over streams that break at any moment: what is kept and not yet
 * acknowledged is sent again, and the reader sees every number once, in order. */
#include "mux/keep.h"
#include "mux/local.h"
#include "mux/mux__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define METHOD "/test.Keep/Get"
enum { MESSAGES = 400, BOUND = 64 * 1024 };

static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    mux_conn *conn;
    struct mux_keep keep;
    mux_stream *server, *client; /* the newest of each */
    cs_err attached;             /* what the last attach said */
    uint64_t next;               /* number of the next message that is made */
    uint64_t got;                /* and taken */
    uint64_t left;               /* to be made */
    bool stays;                  /* nothing more to send is no end */
    bool packs;                  /* the server compresses, for readers that sometimes read it */
    int breaks, resumed;
    size_t most_kept;
    uint32_t len; /* of every message behind its head; 0: various */
    unsigned dice;
} w;

static uint32_t roll(uint32_t n)
{
    w.dice = w.dice * 1103515245u + 12345u;
    return (w.dice >> 8) % n;
}

/* A message begins with its number and how many numbers it takes; the rest follows from these. */
struct head {
    uint64_t number, weight;
};

static uint32_t len_of(uint64_t number)
{
    static const uint32_t lens[] = {0, 1, 40, 100, 190, 900, 5000, 20000, 70000};
    return (uint32_t)sizeof(struct head) + (w.len ? w.len : lens[(number * 2654435761u >> 7) % 9]);
}

static cs_err send_next(mux_stream *stream)
{
    static uint8_t bytes[100000];
    struct head head = {w.next, roll(10) ? 1 : 1 + roll(1000)};
    size_t len = len_of(w.next);
    cs_ref ref;
    cs_err err;

    memset(bytes, (int)(w.next & 0xff), len);
    memcpy(bytes, &head, sizeof head);
    if (head.weight > 1) {
        err = mux_stream_send_heavy(stream, cs_bytes_of(bytes, len), head.weight);
    } else if (roll(2)) {
        err = mux_stream_send(stream, cs_bytes_of(bytes, 3), cs_bytes_of(bytes + 3, len - 3));
    } else if ((err = cs_ref_copy(cs_bytes_of(bytes + 3, len - 3), &ref)) == CS_OK) {
        err = mux_stream_send_ref(stream, cs_bytes_of(bytes, 3), &ref);
        cs_ref_drop(&ref);
    }
    if (err == CS_OK) {
        w.next += head.weight;
        w.left--;
    }
    return err;
}

static void pull(mux_stream *stream, void *state)
{
    (void)state;
    if (stream != w.server)
        return;
    while (w.left > 0 && mux_stream_room(stream) > 0)
        if (send_next(stream) != CS_OK)
            break;
    if (mux_keep_bytes(&w.keep) > w.most_kept)
        w.most_kept = mux_keep_bytes(&w.keep);
    if (w.left == 0 && !w.stays)
        mux_stream_finish(stream, CS_DONE, NULL);
}

static void server_end(mux_stream *stream, cs_err why, void *state)
{
    (void)why, (void)state;
    if (stream == w.server)
        w.server = NULL;
}

static const struct mux_stream_ops server_ops = {.pull = pull, .end = server_end};

static void on_accept(mux_stream *stream, void *user)
{
    cs_bytes from;
    mux_stream *before = w.server;
    char text[32] = "";

    (void)user;
    if (mux_stream_header(stream, "from", &from) != CS_OK ||
        mux_stream_accept(stream, &server_ops, NULL) != CS_OK)
        return;
    memcpy(text, from.base, from.len < sizeof text ? from.len : sizeof text - 1);
    w.attached = mux_keep_attach(&w.keep, stream, strtoull(text, NULL, 10));
    if (w.attached != CS_OK) {
        mux_stream_abort(stream, w.attached, NULL);
        return;
    }
    w.server = stream;
    w.resumed++;
    if (before)
        mux_stream_abort(before, CS_EABORTED, "superseded");
    mux_stream_send_headers(stream);
    mux_stream_wake(stream);
}

static void check(cs_bytes msg)
{
    struct head head;
    const uint8_t *p = msg.base;

    cr_assert_geq(msg.len, sizeof head);
    memcpy(&head, p, sizeof head);
    cr_assert_eq(head.number, w.got, "%llu came, %llu was expected",
                 (unsigned long long)head.number, (unsigned long long)w.got);
    cr_assert_eq(msg.len, len_of(head.number));
    for (size_t i = sizeof head; i < msg.len; i++)
        cr_assert_eq(p[i], (uint8_t)head.number);
    w.got += head.weight;
}

static void readable(mux_stream *stream, void *state)
{
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK)
        if (stream == w.client)
            check(msg);
}

static void client_end(mux_stream *stream, cs_err why, void *state)
{
    (void)why, (void)state;
    if (stream == w.client)
        w.client = NULL;
}

static const struct mux_stream_ops client_ops = {.readable = readable, .end = client_end};

static cs_err open_from(uint64_t from)
{
    static const struct mux_options gzip = {.gzip = true};
    char text[32];
    cs_pair pair = {cs_str("from"), {text, 0}};
    struct mux_call_options options = {.metadata = &pair, .metadata_len = 1};
    cs_err err = CS_OK;

    snprintf(text, sizeof text, "%llu", (unsigned long long)from);
    pair.value = cs_str(text);
    if (!w.conn)
        err = mux_dial_local(w.loop, w.packs && roll(2) ? &gzip : NULL, w.packs ? &gzip : NULL,
                             w.handlers, &w.conn);
    if (err == CS_OK)
        err = mux_stream_open(w.conn, METHOD, &options, &client_ops, NULL, &w.client);
    if (err == CS_OK)
        mux_stream_finish(w.client, CS_OK, NULL);
    return err;
}

static void drop_conn(void)
{
    if (w.conn)
        mux_conn_free(w.conn);
    w.conn = NULL;
    cs_loop_settle(w.loop);
}

static cs_err begin(unsigned seed)
{
    cs_err err;

    memset(&w, 0, sizeof w);
    w.dice = seed;
    err = cs_loop_new_virtual(&w.loop);
    if (err == CS_OK)
        err = mux_handlers_new(&w.handlers);
    if (err == CS_OK)
        err = mux_handle(w.handlers, METHOD, on_accept, NULL);
    mux__keep_init(&w.keep, BOUND, 0, NULL);
    return err;
}

static void end(void)
{
    if (w.loop)
        drop_conn();
    mux__keep_fini(&w.keep);
    if (w.handlers) {
        mux_handlers_end_local(w.handlers);
        cs_loop_settle(w.loop);
        mux_handlers_free(w.handlers);
    }
    if (w.loop) {
        cs_loop_settle(w.loop);
        cs_loop_free(w.loop);
    }
}

/* The reader acknowledges some of what it has, the stream or its connection breaks, or both ends
 * come to rest. */
static void step(void)
{
    switch (roll(6)) {
    case 0:
        cr_assert_eq(mux_keep_acked(&w.keep, w.got), CS_OK);
        break;
    case 1:
        if (w.conn && roll(3) == 0) {
            mux_conn_break(w.conn);
            w.breaks++;
        }
        break;
    case 2:
        if (w.client && roll(3) == 0) {
            mux_stream_cancel(w.client, CS_ECANCELED);
            w.client = NULL;
            w.breaks++;
        }
        break;
    case 3:
        if (w.client && roll(4) == 0) { /* a newer one takes over while the older one runs */
            cr_assert_eq(open_from(w.got), CS_OK);
            w.breaks++;
        }
        break;
    default:
        cs_loop_advance(w.loop, (int)roll(3));
        break;
    }
    if (w.client)
        return;
    if (roll(2))
        drop_conn();
    cr_assert_eq(open_from(w.got), CS_OK);
}

static void torture(bool packs)
{
    int breaks = 0;
    uint64_t packed = 0;

    for (unsigned seed = 1; seed <= 60; seed++) {
        cr_assert_eq(begin(seed), CS_OK);
        w.packs = packs;
        w.left = MESSAGES;
        for (int i = 0; i < 4000 && (w.left > 0 || w.got < w.next); i++)
            step();
        for (int i = 0; i < 4000 && (w.left > 0 || w.got < w.next); i++) {
            cs_loop_settle(w.loop);
            (void)mux_keep_acked(&w.keep, w.got);
            if (!w.client)
                cr_assert_eq(open_from(w.got), CS_OK);
        }
        cr_assert_eq(w.got, w.next, "seed %u: %llu of %llu", seed, (unsigned long long)w.got,
                     (unsigned long long)w.next);
        cr_assert_eq(mux_keep_next(&w.keep), w.next);
        cr_assert_leq(w.most_kept, BOUND + 2 * 100000, "seed %u: %zu", seed, w.most_kept);
        breaks += w.breaks;
        packed += mux_handlers_stats(w.handlers)->messages_gzipped;
        end();
    }
    cr_assert_gt(breaks, 800, "only %d", breaks);
    cr_assert_eq(packed > 1000, packs);
}

Test(keep, every_message_arrives_once_whatever_breaks)
{
    torture(false);
}

/* What was compressed for one reader goes on for another, who does not read it. */
Test(keep, every_message_arrives_once_whoever_reads_gzip)
{
    torture(true);
}

/* ---- One by one ------------------------------------------------------------------------------ */

Test(keep, nothing_is_pulled_beyond_the_bound_until_it_is_acknowledged)
{
    cr_assert_eq(begin(1), CS_OK);
    w.left = MESSAGES;
    cr_assert_eq(open_from(0), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_gt(w.left, 0);
    cr_assert_geq(mux_keep_bytes(&w.keep), BOUND);
    cr_assert_eq(w.got, w.next, "what was made was sent");
    for (int i = 0; i < MESSAGES && w.left > 0; i++) {
        cr_assert_eq(mux_keep_acked(&w.keep, w.got), CS_OK);
        cs_loop_settle(w.loop);
    }
    cr_assert_eq(w.left, 0);
    end();
}

Test(keep, messages_as_large_as_the_bound_do_not_go_one_a_round_trip)
{
    cr_assert_eq(begin(1), CS_OK);
    w.len = BOUND;
    w.left = 4;
    cr_assert_eq(open_from(0), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.left, 2, "the newest does not count: two are under way");
    cr_assert_eq(mux_keep_acked(&w.keep, mux_keep_oldest(&w.keep) + 1), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_leq(w.left, 1);
    cr_assert_eq(mux_keep_acked(&w.keep, w.got), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.left, 0);
    end();
}

Test(keep, all_is_freed_when_all_is_acknowledged)
{
    cr_assert_eq(begin(2), CS_OK);
    w.left = 3;
    cr_assert_eq(open_from(0), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_gt(mux_keep_bytes(&w.keep), 0);
    cr_assert_eq(mux_keep_acked(&w.keep, w.got), CS_OK);
    cr_assert_eq(mux_keep_bytes(&w.keep), 0);
    cr_assert_eq(mux_keep_oldest(&w.keep), w.got);
    end();
}

Test(keep, an_old_or_impossible_number_is_refused)
{
    cr_assert_eq(begin(3), CS_OK);
    w.left = 50;
    cr_assert_eq(open_from(0), CS_OK);
    cs_loop_settle(w.loop);
    uint64_t got = w.got;
    cr_assert_gt(got, 20);
    cr_assert_eq(mux_keep_acked(&w.keep, 20), CS_OK);
    cr_assert_eq(mux_keep_acked(&w.keep, 10), CS_OK, "an older ack changes nothing");
    cr_assert_eq(mux_keep_oldest(&w.keep), 20);
    cr_assert_eq(mux_keep_acked(&w.keep, w.next + 1), CS_EINVAL);
    drop_conn();
    cr_assert_eq(open_from(19), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.attached, CS_ERANGE);
    cr_assert_eq(open_from(w.next + 1), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.attached, CS_EINVAL);
    end();
}

Test(keep, what_was_not_sent_cannot_be_acknowledged)
{
    cr_assert_eq(begin(4), CS_OK);
    w.stays = true;
    cr_assert_eq(open_from(0), CS_OK);
    cs_loop_settle(w.loop);
    mux_stream *stream = w.server;
    cr_assert_not_null(stream);
    static char bytes[16000];
    cr_assert_eq(mux_stream_send(stream, cs_bytes_of(NULL, 0), cs_bytes_of(bytes, sizeof bytes)),
                 CS_OK);
    cr_assert_eq(mux_keep_acked(&w.keep, 1), CS_EINVAL);
    w.client = NULL; /* what it is sent is no message of ours */
    cs_loop_settle(w.loop);
    cr_assert_eq(mux_keep_acked(&w.keep, 1), CS_OK);
    end();
}

static void story(void)
{
    if (begin(5) == CS_OK) {
        w.left = 30;
        for (int i = 0; i < 6; i++) {
            if (open_from(w.got) != CS_OK)
                break;
            cs_loop_settle(w.loop);
            (void)mux_keep_acked(&w.keep, w.got);
            drop_conn();
            w.client = NULL;
        }
    }
    end();
}

Test(keep, survives_every_failed_allocation)
{
    failing_story(story);
}
