/* A conversation over an uplink while each of its allocations fails in turn: whatever was not said
 * or heard is told, and a source that ended well heard and said all of it. */
#include "chanserv/chanserv.h"

#include "test/support/failing.h"

#include <criterion/criterion.h>

enum { LONG = (1 << 20) + 17 };

static struct {
    unsigned opened, ended; /* outlets */
    unsigned heard;         /* frames by the producer */
    bool whole;             /* both ways, to a good end */
} t;

static char longest[LONG];

static cs_err echo_open(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)o, (void)from, (void)state;
    t.opened++;
    return CS_OK;
}

static cs_err echo_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    cs_err err = chanserv_outlet_recv_ref(o, frame);

    (void)state;
    t.heard += err == CS_OK;
    return err;
}

static void echo_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static void echo_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)why, (void)state;
    t.ended++;
}

static const struct chanserv_outlet_ops echo_ops = {.open = echo_open,
                                                    .next_ref = echo_next,
                                                    .readable = echo_readable,
                                                    .end = echo_end,
                                                    .uplink = true};

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_announce(post, body, &echo_ops, NULL, NULL);

    (void)user;
    return err == CS_OK ? CS_DONE : err;
}

static void converse(chanserv_source *source)
{
    const size_t lengths[] = {5, LONG, 5000};
    cs_bytes frame;
    size_t n = 0;

    for (size_t i = 0; i < 3; i++)
        if (chanserv_source_send(source, cs_bytes_of(longest, lengths[i]), CS_FOREVER) != CS_OK)
            return;
    chanserv_source_finish(source);
    for (; chanserv_range_frame(source, &frame); n++) {
        cr_assert_lt(n, 3);
        cr_assert_eq(frame.len, lengths[n]);
    }
    t.whole = chanserv_source_status(source) == CS_DONE;
    cr_assert(!t.whole || (n == 3 && t.heard == 3), "%zu of 3 and a good end", n);
}

static void story(void)
{
    chanserv_server *server = NULL;
    chanserv_client *client = NULL;
    cs_loop *loop = NULL;
    chanserv_source *source;
    chanserv_feed *feed;

    memset(&t, 0, sizeof t);
    if (cs_loop_new_virtual(&loop) == CS_OK && chanserv_server_new(loop, NULL, &server) == CS_OK &&
        chanserv_serve(server, "echo", echo, NULL) == CS_OK &&
        chanserv_client_new(loop, NULL, &client) == CS_OK &&
        chanserv_join_local(client, server) == CS_OK &&
        chanserv_lookup_and_post(client, "echo", cs_str("h"), NULL, &feed) == CS_OK &&
        chanserv_range_source(feed, &source))
        converse(source);
    chanserv_client_free(client);
    chanserv_server_free(server);
    if (loop)
        cs_loop_free(loop);
    cr_assert_leq(t.opened, t.ended);
}

Test(say_memory, no_allocation_that_fails_breaks_a_conversation, .timeout = 120)
{
    cr_assert_geq(failing_story(story), 50);
    cr_assert(t.whole, "the last telling was the whole one");
}
