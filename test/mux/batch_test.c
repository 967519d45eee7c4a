/* How much is written at a time, where very many calls begin or end in one turn. */
#include "mux/mux__in.h"
#include "test/mux/talk.h"

#include <criterion/criterion.h>

enum { VERY_MANY = 900, CALLS = 100, BATCHES = (CALLS + MUX__OUT_ENDS - 1) / MUX__OUT_ENDS };
#define MANY "/test.Batch/Many"

static struct talk t;
static struct {
    const struct mux__link_ops *ops;
    struct mux__link_ops counted;
    int writes;
} sides[2]; /* the client's, the server's */
static bool apart;
static int ended;

static cs_err count(int side, mux__link *link, const struct iovec *iov, int len, size_t *ret)
{
    sides[side].writes++;
    return sides[side].ops->write(link, iov, len, ret);
}
static cs_err clients(mux__link *link, const struct iovec *iov, int len, size_t *ret)
{
    return count(0, link, iov, len, ret);
}
static cs_err servers(mux__link *link, const struct iovec *iov, int len, size_t *ret)
{
    return count(1, link, iov, len, ret);
}
static bool is_apart(mux__link *link)
{
    (void)link;
    return apart;
}

static void watch(int side, mux__link *link)
{
    sides[side].ops = link->ops;
    sides[side].counted = *link->ops;
    sides[side].counted.write = side == 0 ? clients : servers;
    sides[side].counted.is_apart = is_apart;
    link->ops = &sides[side].counted;
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)state;
    cr_assert_eq(why, CS_DONE);
    ended++;
}
static void on_readable(mux_stream *stream, void *state)
{
    cs_bytes none;

    (void)state;
    cr_assert_eq(mux_stream_recv(stream, &none), CS_DONE);
}
static const struct mux_stream_ops ops = {.readable = on_readable, .end = on_end};

static mux_stream *held[VERY_MANY];
static int held_len;

static void on_accept(mux_stream *stream, void *user)
{
    if (!sides[1].ops)
        watch(1, mux_stream_conn(stream)->link);
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
    if (user)
        held[held_len++] = stream;
    else
        mux_stream_finish(stream, CS_DONE, NULL);
}

static void open_calls(int n, bool are_held)
{
    const struct mux_options server = {.streams_max = VERY_MANY};

    talk_begin(&t, NULL, &server);
    cr_assert_eq(mux_handle(t.handlers, MANY, on_accept, are_held ? &t : NULL), CS_OK);
    watch(0, t.conn->link);
    for (int i = 0; i < n; i++) {
        mux_stream *stream;

        cr_assert_eq(mux_stream_open(t.conn, MANY, NULL, &ops, NULL, &stream), CS_OK);
        mux_stream_finish(stream, CS_OK, NULL);
    }
    talk_settle(&t);
}

static void run(bool are_apart, int batches)
{
    apart = are_apart;
    open_calls(CALLS, false);
    cr_assert_eq(ended, 2 * CALLS);
    cr_assert_eq(sides[0].writes, batches, "%d", sides[0].writes);
    cr_assert_eq(sides[1].writes, batches, "%d", sides[1].writes);
    talk_end(&t);
}

Test(batch, of_many_that_end_in_a_turn_the_first_are_written_while_the_rest_is_made)
{
    run(true, BATCHES);
}

Test(batch, all_at_once_where_the_peer_could_not_begin_anyhow)
{
    run(false, 1);
}

static void finish_and_leave(void *user)
{
    (void)user;
    for (int i = 0; i < held_len; i++)
        mux_stream_finish(held[i], CS_DONE, NULL);
    mux_handlers_end_local(t.handlers);
}

/* What is said is said, to all of them, though the connection goes at the end of the same turn. */
Test(batch, very_many_last_words_are_out_before_the_connection_goes)
{
    apart = true;
    open_calls(VERY_MANY, true);
    cr_assert_eq(held_len, VERY_MANY);
    cr_assert_eq(cs_loop_call(t.loop, finish_and_leave, NULL), CS_OK);
    talk_settle(&t);
    cr_assert_eq(ended, 2 * VERY_MANY); /* on_end() looks at how */
    talk_end(&t);
}
