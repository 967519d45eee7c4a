/* Sending to a producer that listens: our client and our server together. */
#include "chanserv/chanserv.h"

#include "base/mem.h"
#include "base/turn.h"
#include "chanserv/server__in.h"
#include "mux/local.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct world {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *source;
    chanserv_outlet *outlet; /* NULL: ended */
    bool deaf;
    char heard[4096]; /* what the producer was told */
    unsigned writable, echoed;
    cs_err why; /* of its end */
} w;

static void hear(const char *format, ...) CS_PRINTF(1, 2);
static void hear(const char *format, ...)
{
    size_t n = strlen(w.heard);
    va_list args;

    va_start(args, format);
    vsnprintf(w.heard + n, sizeof w.heard - n, format, args);
    va_end(args);
}

static void heard(const char *all)
{
    cr_assert_str_eq(w.heard, all);
    w.heard[0] = '\0';
}

/* ---- The producer: says back what it hears, in the order it came ---------------------------- */

static cs_err echo_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    cs_err err = w.deaf ? CS_AGAIN : chanserv_outlet_recv_ref(o, frame);

    (void)state;
    w.echoed += err == CS_OK;
    return err;
}

static void echo_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static cs_err keep_open(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)state;
    w.outlet = o;
    return from == 0 ? CS_OK : CS_ERANGE;
}

static void listen_readable(chanserv_outlet *o, void *state)
{
    cs_bytes frame;
    cs_err err = CS_AGAIN;

    (void)state;
    while (!w.deaf && (err = chanserv_outlet_recv(o, &frame)) == CS_OK) {
        if (frame.len > 64)
            hear("%zu bytes; ", frame.len);
        else
            hear("%.*s; ", CS_FMT(frame));
    }
    if (err != CS_AGAIN)
        hear("(%s) ", cs_strerror(err));
}

static void on_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)state;
    w.outlet = NULL;
    w.why = why;
}

static const struct chanserv_outlet_ops echo_ops = {.open = keep_open,
                                                    .next_ref = echo_next,
                                                    .readable = echo_readable,
                                                    .end = on_end,
                                                    .uplink = true};
static const struct chanserv_outlet_ops listen_ops = {
    .open = keep_open, .readable = listen_readable, .end = on_end, .uplink = true};

static cs_err mute_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}
static const struct chanserv_outlet_ops mute_ops = {.next = mute_next, .end = on_end};

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    cr_assert_eq(chanserv_announce(post, cs_str("h"), user, NULL, NULL), CS_OK);
    return CS_DONE;
}

static void post(const char *service, int timeout_ms)
{
    const struct chanserv_post_options options = {.timeout_ms = timeout_ms};

    cr_assert_eq(chanserv_lookup_and_post(w.client, service, cs_str(""), &options, &w.feed), CS_OK);
    cr_assert(chanserv_range_source(w.feed, &w.source));
}

static void up(void)
{
    cr_assert_eq(cs_loop_new_virtual(&w.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(w.loop, NULL, &w.server), CS_OK);
    chanserv_serve(w.server, "echo", announce, (void *)(uintptr_t)&echo_ops);
    chanserv_serve(w.server, "listen", announce, (void *)(uintptr_t)&listen_ops);
    chanserv_serve(w.server, "mute", announce, (void *)(uintptr_t)&mute_ops);
    cr_assert_eq(chanserv_client_new(w.loop, NULL, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
}

static void down(void)
{
    chanserv_client_free(w.client);
    chanserv_server_free(w.server);
    cs_loop_free(w.loop);
}

TestSuite(say, .init = up, .fini = down);

static cs_err send(const char *text)
{
    return chanserv_source_send(w.source, cs_str(text), CS_NOW);
}

static void expect_frame(const char *text)
{
    cs_bytes frame;

    cr_assert(chanserv_range_frame(w.source, &frame), "%s", chanserv_source_errmsg(w.source));
    cr_assert(cs_same(frame, cs_str(text)), "%.*s is not %s", CS_FMT(frame), text);
}

/* ---- Order ---------------------------------------------------------------------------------- */

Test(say, the_first_send_opens_the_source_and_frames_go_both_ways_in_order)
{
    char text[24];

    post("echo", 0);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "frame %d", i);
        cr_assert_eq(send(text), CS_OK);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "frame %d", i);
        expect_frame(text);
        cr_assert_eq(chanserv_source_seq(w.source), (uint64_t)i);
    }
}

Test(say, what_was_read_before_may_be_spoken_to_later)
{
    cs_bytes frame;

    post("echo", 0);
    cr_assert_eq(chanserv_source_recv(w.source, &frame), CS_AGAIN);
    cs_loop_settle(w.loop);
    cr_assert_eq(send("late"), CS_OK);
    expect_frame("late");
}

Test(say, finish_is_our_last_word_and_frames_to_us_go_on)
{
    cs_bytes frame;

    post("echo", 0);
    cr_assert_eq(send("a"), CS_OK);
    cr_assert_eq(send("b"), CS_OK);
    chanserv_source_finish(w.source);
    chanserv_source_finish(w.source);
    cr_assert_eq(send("c"), CS_EMISUSE);
    expect_frame("a");
    expect_frame("b");
    cr_assert_not(chanserv_range_frame(w.source, &frame));
    cr_assert_eq(chanserv_source_status(w.source), CS_DONE, "the echo ends with its reader");
    cr_assert_eq(w.why, CS_DONE);
}

Test(say, finish_alone_opens_the_source)
{
    post("listen", 0);
    chanserv_source_finish(w.source);
    cs_loop_settle(w.loop);
    heard("(ended in good order) ");
    cr_assert(w.outlet);
}

Test(say, a_source_without_an_uplink_says_so_and_goes_on)
{
    cs_bytes frame;

    post("mute", 0);
    cr_assert_eq(send("a"), CS_ENOTSUP);
    chanserv_source_finish(w.source);
    cr_assert_eq(chanserv_source_recv(w.source, &frame), CS_AGAIN);
    cs_loop_settle(w.loop);
    cr_assert_eq(chanserv_source_recv(w.source, &frame), CS_AGAIN);
}

/* ---- Parts ---------------------------------------------------------------------------------- */

Test(say, a_long_frame_travels_in_parts_and_arrives_whole_between_the_others)
{
    const size_t len = ((size_t)5 << 20) + 17;
    uint8_t *block = cs_alloc(len);

    for (size_t i = 0; i < len; i++)
        block[i] = (uint8_t)(i * 2654435761u >> 13);
    post("echo", 0);
    cr_assert_eq(send("before"), CS_OK);
    cr_assert_eq(chanserv_source_send(w.source, cs_bytes_of(block, len), CS_NOW), CS_OK);
    cr_assert_eq(send("too soon"), CS_AGAIN, "its parts are still on the way");
    chanserv_source_finish(w.source); /* waits for them, too */
    expect_frame("before");
    cs_bytes frame;
    cr_assert(chanserv_range_frame(w.source, &frame), "%s", chanserv_source_errmsg(w.source));
    cr_assert(cs_same(frame, cs_bytes_of(block, len)));
    cr_assert_not(chanserv_range_frame(w.source, &frame));
    cr_assert_eq(chanserv_source_status(w.source), CS_DONE);
    cs_free(block);
}

Test(say, a_long_frame_that_is_not_taken_leaves_nothing_behind)
{
    const size_t len = (size_t)2 << 20;
    uint8_t *block = cs_zalloc(len);

    w.deaf = true;
    post("listen", 0);
    cr_assert_eq(chanserv_source_send(w.source, cs_bytes_of(block, 100000), CS_NOW), CS_OK);
    cr_assert_eq(chanserv_source_send(w.source, cs_bytes_of(block, len), CS_NOW), CS_AGAIN);
    cs_loop_settle(w.loop);
    cr_assert_eq(chanserv_source_send(w.source, cs_bytes_of(block, len), CS_NOW), CS_AGAIN);
    w.deaf = false;
    listen_readable(w.outlet, NULL);
    cs_loop_settle(w.loop);
    cr_assert_eq(send("x"), CS_OK);
    cs_loop_settle(w.loop);
    heard("100000 bytes; x; ");
    cs_free(block);
}

Test(say, a_source_that_ends_in_the_middle_of_a_long_frame_drops_the_rest)
{
    const size_t len = (size_t)8 << 20;
    uint8_t *block = cs_zalloc(len);

    w.deaf = true;
    post("listen", 0);
    cr_assert_eq(chanserv_source_send(w.source, cs_bytes_of(block, len), CS_NOW), CS_OK);
    cs_loop_settle(w.loop);
    chanserv_outlet_finish(w.outlet, CS_ERANGE);
    cs_loop_settle(w.loop);
    cr_assert_eq(send("x"), CS_ERANGE);
    cs_free(block);
}

/* ---- Backpressure --------------------------------------------------------------------------- */

static char block[10000];

/* Until it is told CS_AGAIN and nothing moves any more. */
static unsigned fill(void)
{
    unsigned sent = 0;
    cs_err err;

    do {
        err = chanserv_source_send(w.source, cs_bytes_of(block, sizeof block), CS_NOW);
        cs_loop_settle(w.loop);
        sent += err == CS_OK;
        cr_assert_lt(sent, 100);
    } while (err == CS_OK);
    cr_assert_eq(err, CS_AGAIN);
    return sent;
}

static void on_writable(chanserv_source *source, void *state)
{
    (void)state;
    w.writable++;
    cr_assert_eq(chanserv_source_send(source, cs_str("again"), CS_FOREVER), CS_OK);
}

Test(say, a_producer_that_does_not_ask_stops_us_and_writable_tells_when_it_does)
{
    static const struct chanserv_source_ops ops = {.writable = on_writable};
    unsigned sent;

    w.deaf = true;
    post("listen", 0);
    cr_assert_eq(chanserv_source_start(w.source, &ops, NULL), CS_OK);
    sent = fill();
    cr_assert(sent >= 7 && sent <= 10, "%u frames: the window and the queue", sent);
    cr_assert_eq(w.writable, 0);
    w.deaf = false;
    listen_readable(w.outlet, NULL);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.writable, 1);
    cr_assert(strstr(w.heard, "again; "));
    chanserv_source_close(w.source);
}

Test(say, a_send_that_waits_is_woken_by_the_producers_asking)
{
    post("echo", 0);
    w.deaf = true;
    unsigned sent = fill();
    w.deaf = false;
    chanserv_outlet_wake(w.outlet);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), CS_FOREVER), CS_OK);
    for (unsigned i = 0; i < sent; i++) {
        cs_bytes frame;
        cr_assert(chanserv_range_frame(w.source, &frame));
        cr_assert_eq(frame.len, sizeof block);
    }
    expect_frame("x");
}

Test(say, a_send_that_waits_takes_as_long_as_it_was_told)
{
    int64_t began;

    post("listen", 0);
    w.deaf = true;
    fill();
    began = cs_loop_now_ms(w.loop);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), 250), CS_AGAIN);
    cr_assert_eq(cs_loop_now_ms(w.loop) - began, 250);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), CS_FOREVER), CS_EMISUSE,
                 "nothing could ever end it");
    cr_assert_eq(send("x"), CS_AGAIN, "the source is unharmed");
}

static void in_callback(void *user)
{
    cs_err *err = user;
    *err = chanserv_source_send(w.source, cs_str("x"), CS_FOREVER);
}

Test(say, a_callback_must_not_wait_for_room)
{
    cs_err err = CS_OK;

    post("listen", 0);
    w.deaf = true;
    fill();
    cr_assert_eq(cs_loop_call(w.loop, in_callback, &err), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(err, CS_EMISUSE);
}

Test(say, a_reader_that_takes_nothing_stops_its_own_echo_and_no_other_source)
{
    post("echo", 0);
    unsigned sent = fill(); /* the way there and the way back are full */
    chanserv_source *slow = w.source;

    cr_assert(w.echoed > 0 && w.echoed < sent, "%u of %u", w.echoed, sent);
    post("listen", 0);
    cr_assert_eq(send("quick"), CS_OK);
    cs_loop_settle(w.loop);
    heard("quick; ");
    chanserv_source_close(slow);
}

/* ---- Ends ----------------------------------------------------------------------------------- */

Test(say, the_producers_last_word_ends_both_ways)
{
    post("listen", 0);
    cr_assert_eq(send("a"), CS_OK);
    cs_loop_settle(w.loop);
    chanserv_outlet_finish(w.outlet, CS_DONE);
    cs_loop_settle(w.loop);
    cr_assert_eq(send("b"), CS_DONE);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("c"), CS_FOREVER), CS_DONE);
    heard("a; ");
    cr_assert_eq(w.why, CS_DONE);
}

static void finish_outlet(void *user)
{
    (void)user;
    chanserv_outlet_cancel(w.outlet, CS_EABORTED);
}

Test(say, a_send_that_waits_is_told_at_once_how_the_source_ended)
{
    int64_t began;
    cs_timer *timer;

    post("listen", 0);
    w.deaf = true;
    fill();
    cr_assert_eq(cs_timer_new(w.loop, finish_outlet, NULL, &timer), CS_OK);
    cs_timer_set(timer, 100);
    began = cs_loop_now_ms(w.loop);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), 10000), CS_EABORTED);
    cr_assert_eq(cs_loop_now_ms(w.loop) - began, 100);
    cs_timer_free(timer);
}

static void cut(void *user)
{
    (void)user;
    mux_handlers_end_local(chanserv__server_handlers(w.server));
}

Test(say, a_send_that_waits_is_told_of_a_lost_connection_though_frames_are_not_taken_yet)
{
    cs_timer *timer;
    cs_bytes frame;

    post("echo", 0);
    cr_assert_eq(send("a"), CS_OK);
    expect_frame("a");
    cr_assert_eq(send("b"), CS_OK);
    cs_loop_settle(w.loop);
    w.deaf = true;
    fill();
    cr_assert_eq(cs_timer_new(w.loop, cut, NULL, &timer), CS_OK);
    cs_timer_set(timer, 100);
    cs_err err = chanserv_source_send(w.source, cs_str("x"), CS_FOREVER);
    cr_assert(err == CS_EPEER || err == CS_EDRAIN, "%s", cs_strerror(err));
    expect_frame("b");
    cr_assert_not(chanserv_range_frame(w.source, &frame));
    cr_assert_eq(chanserv_source_status(w.source), err);
    cs_timer_free(timer);
}

static void close_source(void *user)
{
    (void)user;
    chanserv_source_close(w.source);
}

Test(say, a_send_that_waits_is_told_that_the_source_was_closed_meanwhile)
{
    cs_timer *timer;

    post("listen", 0);
    w.deaf = true;
    fill();
    cr_assert_eq(cs_timer_new(w.loop, close_source, NULL, &timer), CS_OK);
    cs_timer_set(timer, 100);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), CS_FOREVER), CS_ECANCELED);
    cs_timer_free(timer);
}

Test(say, closing_is_a_cancel_and_reaches_the_producer)
{
    post("listen", 0);
    cr_assert_eq(send("a"), CS_OK);
    cs_loop_settle(w.loop);
    chanserv_source_close(w.source);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.why, CS_EPEER);
}

Test(say, a_cancelled_source_takes_no_frame)
{
    post("listen", 0);
    chanserv_source_cancel(w.source);
    cr_assert_eq(send("a"), CS_ECANCELED);
}

Test(say, a_deadline_ends_it_on_both_sides)
{
    post("listen", 1000);
    cr_assert_eq(send("a"), CS_OK);
    w.deaf = true;
    cs_loop_settle(w.loop);
    fill();
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), CS_FOREVER), CS_ETIMEOUT);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.why, CS_ETIMEOUT);
}

Test(say, a_server_that_goes_is_told_to_who_sends)
{
    post("listen", 0);
    cr_assert_eq(send("a"), CS_OK);
    cs_loop_settle(w.loop);
    chanserv_server_free(w.server);
    w.server = NULL;
    cs_loop_settle(w.loop);
    cr_assert_eq(send("b"), CS_EDRAIN);
}

Test(say, a_frame_over_the_limit_is_refused_here_and_ends_nothing)
{
    const struct chanserv_client_options options = {.frame_max_bytes = 3};
    chanserv_client *client = w.client;

    cr_assert_eq(chanserv_client_new(w.loop, &options, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    post("listen", 0);
    cr_assert_eq(send("four"), CS_ETOOBIG);
    cr_assert_eq(send("abc"), CS_OK);
    cs_loop_settle(w.loop);
    heard("abc; ");
    chanserv_client_free(client);
}

Test(say, a_member_of_a_set_may_be_spoken_to_with_waiting)
{
    struct chanserv_event ev;
    chanserv_set *set;

    post("echo", 0);
    w.deaf = true;
    cr_assert_eq(chanserv_set_new(w.client, &set), CS_OK);
    cr_assert_eq(chanserv_set_add_source(set, w.source), CS_OK);
    fill();
    w.deaf = false;
    chanserv_outlet_wake(w.outlet);
    cr_assert_eq(chanserv_source_send(w.source, cs_str("x"), CS_FOREVER), CS_OK);
    cr_assert_eq(chanserv_select(set, CS_FOREVER, &ev), CS_OK);
    cr_assert_eq(ev.kind, CHANSERV_FRAME);
    chanserv_set_free(set);
}
