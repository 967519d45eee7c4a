#include "mux/link__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { RING = 256 * 1024 };

/* Reads `bite` bytes each time it is told; with 0 it wants no more once it was told. */
struct ear {
    mux__link *link;
    int told, can; /* how often, and what was said last */
    size_t bite;
    char got[64];
    size_t got_len;
    cs_err end; /* what the last read answered */
    bool frees;
};

static struct {
    cs_loop *loop;
    mux__link *ends[2];
    struct ear ears[2];
    uint8_t buffer[2 * RING];
} t;

static void on_ready(int can, void *user)
{
    struct ear *ear = user;
    size_t n;

    ear->told++;
    ear->can = can;
    if (ear->frees) {
        mux__link_free(ear->link);
        ear->link = NULL;
        return;
    }
    if (ear->bite > 0) {
        ear->end = mux__link_read(ear->link, ear->got + ear->got_len, ear->bite, &n);
        if (ear->end == CS_OK)
            ear->got_len += n;
    }
    if (ear->bite == 0 || ear->end != CS_OK)
        mux__link_want(ear->link, false, false);
}

static void open_pair(void)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(mux__link_pair(t.loop, t.ends), CS_OK);
    for (int i = 0; i < 2; i++) {
        t.ears[i] = (struct ear){.link = t.ends[i]};
        mux__link_listen(t.ends[i], on_ready, &t.ears[i]);
    }
}

static void close_pair(void)
{
    mux__link_free(t.ears[0].link);
    mux__link_free(t.ears[1].link);
    cs_loop_settle(t.loop);
    cs_loop_free(t.loop);
}

/* In three pieces, of which the first is empty: as a queue might have them. */
static cs_err put(int end, const void *bytes, size_t len, size_t *ret)
{
    uint8_t *base;
    struct iovec iov[3] = {{.iov_len = 0}, {.iov_len = len / 2}, {.iov_len = len - len / 2}};

    memcpy(&base, &bytes, sizeof base);
    iov[1].iov_base = base;
    iov[2].iov_base = base + len / 2;
    *ret = 0;
    return mux__link_write(t.ends[end], iov, 3, ret);
}

static void put_all(int end, const char *text)
{
    size_t n;

    cr_assert_eq(put(end, text, strlen(text), &n), CS_OK);
    cr_assert_eq(n, strlen(text));
}

static cs_err get(int end, char *to, size_t room)
{
    size_t n = 0;
    cs_err err = mux__link_read(t.ends[end], to, room - 1, &n);

    to[n] = '\0';
    return err;
}

TestSuite(pair, .init = open_pair, .fini = close_pair);

Test(pair, what_is_written_arrives_in_the_next_turn)
{
    char got[16];

    t.ears[1].bite = 16;
    mux__link_want(t.ends[1], true, false);
    put_all(0, "hello");
    cr_assert_eq(get(1, got, sizeof got), CS_AGAIN, "not in this one");
    cr_assert_eq(cs_loop_settle(t.loop), 1);
    cr_assert_eq(t.ears[1].told, 1);
    cr_assert_eq(t.ears[1].can, CS_IO_READ);
    cr_assert_eq(t.ears[1].got_len, 5);
    cr_assert_eq(memcmp(t.ears[1].got, "hello", 5), 0);
    cr_assert_eq(t.ears[0].told, 0);
}

Test(pair, tells_again_while_something_is_unread)
{
    t.ears[1].bite = 2;
    mux__link_want(t.ends[1], true, false);
    put_all(0, "hello");
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[1].told, 3);
    cr_assert_eq(t.ears[1].got_len, 5);
}

Test(pair, tells_nobody_who_wants_nothing)
{
    char got[16];

    put_all(0, "hello");
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[1].told, 0);
    mux__link_want(t.ends[1], true, false);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[1].told, 1, "it was there already");
    cr_assert_eq(get(1, got, sizeof got), CS_OK);
    cr_assert_str_eq(got, "hello");
    cr_assert_eq(get(1, got, sizeof got), CS_AGAIN);
}

Test(pair, takes_what_fits_and_tells_when_there_is_room)
{
    static char all[RING];
    size_t n;

    cr_assert_eq(put(0, t.buffer, RING - 10, &n), CS_OK);
    cr_assert_eq(n, RING - 10);
    cr_assert_eq(put(0, t.buffer, 100, &n), CS_OK);
    cr_assert_eq(n, 10, "a part");
    cr_assert_eq(put(0, t.buffer, 1, &n), CS_AGAIN);
    mux__link_want(t.ends[0], false, true);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].told, 0, "nobody has read");
    cr_assert_eq(mux__link_read(t.ends[1], all, 7, &n), CS_OK);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].told, 1);
    cr_assert_eq(t.ears[0].can, CS_IO_WRITE);
    cr_assert_eq(put(0, t.buffer, 100, &n), CS_OK);
    cr_assert_eq(n, 7);
}

Test(pair, keeps_the_order_whatever_the_pieces)
{
    static uint8_t got[4096];
    size_t written = 0, read = 0, n, len;
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof t.buffer; i++)
        t.buffer[i] = (uint8_t)(i * 7 + i / 251);
    while (read < sizeof t.buffer) {
        seed = seed * 1664525 + 1013904223;
        len = 1 + (seed >> 8) % 4000;
        if (len > sizeof t.buffer - written)
            len = sizeof t.buffer - written;
        if (len > 0 && put(0, t.buffer + written, len, &n) == CS_OK)
            written += n;
        cs_loop_settle(t.loop);
        seed = seed * 1664525 + 1013904223;
        if (mux__link_read(t.ends[1], got, 1 + (seed >> 8) % 3500, &n) == CS_OK) {
            cr_assert_eq(memcmp(got, t.buffer + read, n), 0);
            read += n;
        }
    }
    cr_assert_eq(written, read);
}

Test(pair, the_end_comes_after_the_bytes)
{
    char got[16];
    size_t n;

    t.ears[1].bite = 3;
    mux__link_want(t.ends[1], true, false);
    put_all(0, "hello");
    mux__link_free(t.ends[0]);
    t.ears[0].link = NULL;
    cr_assert_eq(put(1, "x", 1, &n), CS_OK, "it has not heard yet");
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[1].got_len, 5);
    cr_assert_eq(t.ears[1].end, CS_DONE);
    cr_assert_eq(t.ears[1].told, 3);
    cr_assert_eq(get(1, got, sizeof got), CS_DONE, "it stays so");
    cr_assert_eq(put(1, "x", 1, &n), CS_EPEER);
}

Test(pair, may_be_freed_in_ready)
{
    t.ears[1].frees = true;
    mux__link_want(t.ends[1], true, true);
    put_all(0, "hello");
    t.ears[0].bite = 1;
    mux__link_want(t.ends[0], true, false);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[1].told, 1);
    cr_assert_eq(t.ears[0].end, CS_DONE);
}

Test(pair, both_ends_may_be_freed_in_ready)
{
    t.ears[0].frees = t.ears[1].frees = true;
    mux__link_want(t.ends[0], false, true);
    mux__link_want(t.ends[1], false, true);
    cs_loop_settle(t.loop);
    cr_assert_null(t.ears[0].link);
    cr_assert_null(t.ears[1].link);
}

Test(pair, swallows_bytes_and_ends)
{
    char got[16];
    size_t n;

    put_all(0, "before");
    mux__link_pair_swallow(t.ends[1]);
    mux__link_want(t.ends[0], true, false);
    mux__link_want(t.ends[1], true, false);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(put(0, t.buffer, RING, &n), CS_OK, "more than the ring has");
    put_all(1, "hello");
    mux__link_free(t.ends[1]);
    t.ears[1].link = NULL;
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].told + t.ears[1].told, 0);
    cr_assert_eq(get(0, got, sizeof got), CS_AGAIN);
    put_all(0, "still");
}

Test(pair, swallowing_gives_room_to_who_waits_for_it)
{
    size_t n;

    cr_assert_eq(put(0, t.buffer, RING, &n), CS_OK);
    mux__link_want(t.ends[0], false, true);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].told, 0);
    mux__link_pair_swallow(t.ends[0]);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].can, CS_IO_WRITE);
}

Test(pair, breaks_both_ways_at_once)
{
    char got[16];
    size_t n;

    t.ears[0].bite = t.ears[1].bite = 1;
    mux__link_want(t.ends[0], true, false);
    mux__link_want(t.ends[1], true, false);
    put_all(0, "lost");
    mux__link_pair_break(t.ends[0]);
    cr_assert_eq(get(1, got, sizeof got), CS_EPEER);
    cr_assert_eq(put(0, "x", 1, &n), CS_EPEER);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].end, CS_EPEER);
    cr_assert_eq(t.ears[1].end, CS_EPEER);
    cr_assert_eq(t.ears[1].got_len, 0);
}

Test(pair, nothing_is_asked_and_nothing_happens)
{
    struct iovec none = {0};
    size_t n = 7;

    put_all(0, "x");
    cs_loop_settle(t.loop);
    cr_assert_eq(mux__link_read(t.ends[1], t.buffer, 0, &n), CS_AGAIN);
    cr_assert_eq(mux__link_write(t.ends[1], &none, 1, &n), CS_AGAIN);
    cr_assert_eq(n, 7);
    mux__link_free(NULL);
}

Test(pair, peers_are_called_local)
{
    cr_assert(cs_same(t.ends[0]->peer.addr, cs_str("local")));
    cr_assert_eq(t.ends[1]->peer.uid, -1);
    cr_assert_eq(t.ends[1]->peer.gid, -1);
    cr_assert_eq(t.ends[1]->peer.pid, -1);
}

Test(pair_without_memory, is_not_made, .init = failing_count)
{
    mux__link *ends[2] = {NULL, NULL};
    cs_loop *loop;
    size_t alive, nth = 0;
    cs_err err;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    alive = failing_live();
    do {
        failing_arm(++nth);
        err = mux__link_pair(loop, ends);
        failing_arm(0);
        if (err != CS_OK) {
            cr_assert_eq(err, CS_ENOMEM);
            cr_assert_null(ends[0]);
            cr_assert_eq(failing_live(), alive, "after the %zuth", nth);
        }
    } while (err != CS_OK);
    cr_assert_eq(nth, 4, "the pair and two rings");
    mux__link_free(ends[0]);
    mux__link_free(ends[1]);
    cs_loop_free(loop);
    cr_assert_eq(failing_live(), 0);
}

Test(pair_without_memory, has_less_room, .init = failing_count, .fini = close_pair)
{
    size_t n;

    open_pair();
    failing_arm(1);
    cr_assert_eq(put(0, t.buffer, RING, &n), CS_OK);
    cr_assert(failing_failed());
    cr_assert_lt(n, RING);
    cr_assert_eq(put(0, t.buffer, RING, &n), CS_AGAIN, "until it was read");
    mux__link_want(t.ends[0], false, true);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].told, 0);
    cr_assert_eq(mux__link_read(t.ends[1], t.buffer, 1, &n), CS_OK);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ears[0].told, 1);
    cr_assert_eq(put(0, t.buffer, RING, &n), CS_OK);
    cr_assert_gt(n, RING / 2, "there is memory again");
}
