/* How much is written at a time, where very many calls begin or end in one turn. */
#include "mux/mux__in.h"
#include "test/mux/talk.h"

#include <criterion/criterion.h>

enum { CALLS = 100, BATCHES = (CALLS + MUX__OUT_ENDS - 1) / MUX__OUT_ENDS };
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

static void on_accept(mux_stream *stream, void *user)
{
    (void)user;
    if (!sides[1].ops)
        watch(1, mux_stream_conn(stream)->link);
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
    mux_stream_finish(stream, CS_DONE, NULL);
}

static void run(bool are_apart, int batches)
{
    apart = are_apart;
    talk_begin(&t, NULL, NULL);
    cr_assert_eq(mux_handle(t.handlers, MANY, on_accept, NULL), CS_OK);
    watch(0, t.conn->link);
    for (int i = 0; i < CALLS; i++) {
        mux_stream *stream;

        cr_assert_eq(mux_stream_open(t.conn, MANY, NULL, &ops, NULL, &stream), CS_OK);
        mux_stream_finish(stream, CS_OK, NULL);
    }
    talk_settle(&t);
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
