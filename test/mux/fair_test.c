#include "test/mux/talk.h"

#include <criterion/criterion.h>

static struct talk t;

static void wake_it(struct side *s)
{
    mux_stream_wake(s->stream);
}

static void turns(int n)
{
    struct mux_conn *conn = t.conn;
    for (int i = 0; i < n && conn; i++)
        (void)cs_loop_call(t.loop, (void (*)(void *))(void (*)(void))cs_loop_now_ms, t.loop);
}

/* Stops both after the first has got so much; what the others have then is their share. */
static size_t enough;
static void take_until_enough(struct side *s)
{
    side_take(s);
    if (s->bytes < enough)
        return;
    for (int i = 0; i < 4; i++)
        if (s->talk->client[i].stream)
            mux_stream_cancel(s->talk->client[i].stream, CS_ECANCELED);
}

static void share_between(size_t a, size_t b)
{
    static const struct talk none;
    t = none;
    enough = 8 << 20;
    talk_begin(&t, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        t.server[i] = (struct side){.pulls_of = i ? b : a, .pull_left = -1};
        t.server[i].on_accept = wake_it;
        t.client[i].on_readable = take_until_enough;
        talk_open(&t, i);
    }
    talk_settle(&t);
    size_t x = t.client[0].bytes, y = t.client[1].bytes;
    cr_assert(x * 10 >= y * 8 && y * 10 >= x * 8, "%zu to %zu, messages of %zu and %zu", x, y, a,
              b);
    talk_end(&t);
}

Test(fair, two_sources_of_a_server_share)
{
    share_between(1000, 1000);
    share_between(100, 3000);
    share_between(100000, 50);
}

static size_t uploaded[2];
static void count_uploads(struct side *s)
{
    side_take(s);
    if (s->bytes < enough)
        return;
    for (int i = 0; i < 2; i++)
        uploaded[i] = t.server[i].bytes;
    for (int i = 0; i < 2; i++)
        if (t.server[i].stream)
            mux_stream_cancel(t.server[i].stream, CS_ECANCELED);
}

Test(fair, two_uploads_of_a_client_share)
{
    enough = 8 << 20;
    talk_begin(&t, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        t.client[i] = (struct side){.pulls_of = i ? 100 : 3000, .pull_left = -1};
        t.server[i].on_readable = count_uploads;
        mux_stream_wake(talk_open(&t, i)->stream);
    }
    talk_settle(&t);
    size_t x = uploaded[0], y = uploaded[1];
    cr_assert(x * 10 >= y * 8 && y * 10 >= x * 8, "%zu to %zu", x, y);
    talk_end(&t);
}

Test(fair, a_short_answer_does_not_wait_for_a_long_one)
{
    talk_begin(&t, NULL, NULL);
    t.server[0] = (struct side){.pulls_of = 10000, .pull_left = -1};
    t.server[0].on_accept = wake_it;
    t.server[1] = (struct side){.pulls_of = 10, .pull_left = 10, .finishes = true};
    t.server[1].on_accept = wake_it;
    enough = 16 << 20;
    t.client[0].on_readable = take_until_enough;
    talk_open(&t, 0);
    talk_open(&t, 1);
    turns(1);
    talk_settle(&t);
    cr_assert_eq(t.client[1].why, CS_DONE);
    cr_assert_eq(t.client[1].messages, 10);
    talk_end(&t);
}
