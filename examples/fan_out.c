/* fan_out -- a publisher on its uplink and ten thousand subscribers, a tenth of them slow, in one
 * process: the slow ones miss frames and know how many, and nobody waits for them.
 *
 *     fan_out
 *
 * The server keeps the last 16 KiB of frames, once for all.  The clock is virtual, so each run is
 * the same.
 */
#include <chanserv/chanserv.h>
#include <stdio.h>
#include <stdlib.h>

enum { SUBSCRIBERS = 10000, ONE_IN = 10, FRAMES = 40, FRAME = 4000, SIP = 8 };

/* ---- The server ------------------------------------------------------------------------------ */

static cs_err subscribe(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_fanout_announce(user, post, body);
    return err == CS_OK ? CS_DONE : err;
}

/* What a publisher sends is handed on by reference. */
static void publish_readable(chanserv_outlet *out, void *prices)
{
    cs_ref frame;
    cs_err err;
    while ((err = chanserv_outlet_recv_ref(out, &frame)) == CS_OK)
        if ((err = chanserv_fanout_publish(prices, &frame)) != CS_OK) {
            cs_ref_drop(&frame);
            chanserv_outlet_cancel(out, err); /* never lost in silence */
        }
    if (err == CS_DONE)
        chanserv_outlet_finish(out, CS_DONE);
}

static void publish_end(chanserv_outlet *out, cs_err why, void *prices)
{
    (void)out;
    chanserv_fanout_finish(prices, why); /* its last word is everybody's */
}

static const struct chanserv_outlet_ops publish_ops = {
    .uplink = true, .readable = publish_readable, .end = publish_end};

static cs_err publish(chanserv_post *post, cs_bytes body, void *prices)
{
    cs_err err = chanserv_announce(post, body, &publish_ops, prices, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* ---- The subscribers ------------------------------------------------------------------------- */

struct subscriber {
    uint64_t received, missed;
    bool slow, disorder;
};

static chanserv_source *slow[SUBSCRIBERS / ONE_IN];
static bool hurry; /* the slow ones read like all others */
static int subscribed, n_slow, well, in_order, exact, whole;

static void take(chanserv_source *src, cs_bytes frame, struct subscriber *s)
{
    s->missed += chanserv_source_gap(src);
    if (chanserv_source_seq(src) != s->received + s->missed ||
        strtoull(frame.base, NULL, 10) != s->received + s->missed)
        s->disorder = true;
    s->received++;
}

static void on_frames(chanserv_source *src, void *state)
{
    struct subscriber *s = state;
    cs_bytes frame;
    while (chanserv_source_recv(src, &frame) == CS_OK) {
        take(src, frame, s);
        if (s->slow && !hurry)
            return; /* until main() says chanserv_source_resume() */
    }
}

static void on_end(chanserv_source *src, cs_err why, void *state)
{
    struct subscriber *s = state;
    s->missed += chanserv_source_gap(src); /* after its last frame */
    well += why == CS_DONE;
    in_order += !s->disorder;
    exact += s->received + s->missed == FRAMES;
    whole += s->missed == 0;
}

static const struct chanserv_source_ops subscriber_ops = {
    .state_bytes = sizeof(struct subscriber), .readable = on_frames, .end = on_end};

static void on_source(chanserv_feed *feed, void *state)
{
    struct subscriber s = {.slow = subscribed % ONE_IN == 0};
    chanserv_source *src;
    (void)state;
    while (chanserv_feed_recv(feed, &src) == CS_OK) {
        subscribed += chanserv_source_start(src, &subscriber_ops, &s) == CS_OK;
        if (s.slow)
            slow[n_slow++] = src;
    }
}

static const struct chanserv_feed_ops feed_ops = {.readable = on_source};

/* ---- All of it ------------------------------------------------------------------------------- */

static bool send_all(cs_loop *loop, chanserv_client *client)
{
    char frame[FRAME] = {0};
    chanserv_feed *feed;
    chanserv_source *prices;
    if (chanserv_lookup_and_post(client, "publish", cs_str(""), NULL, &feed) ||
        !chanserv_range_source(feed, &prices))
        return false;
    for (int i = 0; i < FRAMES; i++) {
        snprintf(frame, sizeof frame, "%d: the price of everything", i);
        if (chanserv_source_send(prices, cs_bytes_of(frame, sizeof frame), CS_FOREVER))
            return false;
        cs_loop_settle(loop);
        if (i % SIP == 0)
            for (int s = 0; s < n_slow; s++)
                chanserv_source_resume(slow[s]);
    }
    chanserv_source_finish(prices);
    return true;
}

int main(void)
{
    const struct chanserv_fanout_options ring = {.bytes = 16 << 10};
    const struct chanserv_client_options small = {.net = {.window_bytes = 16 << 10}};
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_fanout *prices;
    chanserv_feed *feed;
    if (cs_loop_new_virtual(&loop) || chanserv_fanout_new(loop, &ring, &prices) ||
        chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "subscribe", subscribe, prices) ||
        chanserv_serve(server, "publish", publish, prices) ||
        chanserv_client_new(loop, &small, &client) || chanserv_join_local(client, server))
        return 1;
    for (int i = 0; i < SUBSCRIBERS; i++)
        if (chanserv_lookup_and_post(client, "subscribe", cs_str("prices"), NULL, &feed) ||
            chanserv_feed_start(feed, &feed_ops, NULL))
            return 1;
    cs_loop_settle(loop);
    printf("%zu subscribers, %d of them slow\n", chanserv_fanout_readers(prices), n_slow);
    if (!send_all(loop, client))
        return 1;
    hurry = true;
    for (int s = 0; s < n_slow; s++)
        chanserv_source_resume(slow[s]);
    cs_loop_settle(loop);
    printf("%llu frames published\n", (unsigned long long)chanserv_fanout_next_number(prices));
    printf("%d ended well, %d saw everything in order, and for %d\n", well, in_order, exact);
    printf("received + missed = published; %d missed nothing\n", whole);
    chanserv_client_free(client);
    chanserv_server_free(server);
    chanserv_fanout_free(prices);
    cs_loop_free(loop);
    return !(exact == SUBSCRIBERS && whole == SUBSCRIBERS - n_slow);
}
