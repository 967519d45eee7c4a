/* watch -- select over several feeds, a channel that says quit, and a timeout: whichever is first.
 *
 *     watch
 *
 * The clock is virtual, so waiting takes no time: two services have something to say in the first
 * seconds, and after ten somebody closes the channel.
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

static cs_chan *logs[2], *quit; /* what two services have to say; and somebody who has enough */
static cs_timer *timer;

static void each_second(void *loop)
{
    int now = (int)(cs_loop_now_ms(loop) / 1000);
    if ((now <= 3 && cs_chan_send(logs[0], cs_str("a line"), CS_NOW) != CS_OK) ||
        (now == 2 && cs_chan_send(logs[1], cs_str("another"), CS_NOW) != CS_OK) || now == 10)
        cs_chan_close(quit, CS_DONE);
    cs_timer_set(timer, 1000);
}

static cs_err follow(chanserv_post *post, cs_bytes body, void *chan)
{
    return chanserv_announce_chan(post, body, chan) == CS_OK ? CS_DONE : CS_ELIMIT;
}

static bool watch(cs_loop *loop, chanserv_set *set)
{
    struct chanserv_event ev;
    for (cs_err err; (err = chanserv_select(set, 5000, &ev)) == CS_OK || err == CS_AGAIN;) {
        int now = (int)(cs_loop_now_ms(loop) / 1000);
        if (err == CS_AGAIN)
            printf("%d s: nothing for five seconds\n", now);
        else if (ev.kind == CHANSERV_SOURCE)
            chanserv_set_add_source(set, ev.source);
        else if (ev.kind == CHANSERV_FRAME)
            printf("%d s: %.*s: %.*s\n", now, CS_FMT(chanserv_source_header(ev.source)),
                   CS_FMT(ev.frame));
        else if (ev.kind == CHANSERV_CHAN_END)
            return printf("%d s: told to quit\n", now) > 0;
    }
    return false; /* the set is empty, or a failure */
}

int main(void)
{
    static const char *const names[] = {"a", "b"};
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
    if (cs_loop_new_virtual(&loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_client_new(loop, NULL, &client) || chanserv_join_local(client, server) ||
        chanserv_set_new(client, &set) || cs_chan_new(0, &quit) ||
        chanserv_set_add_chan(set, quit) || cs_timer_new(loop, each_second, loop, &timer))
        return 1;
    for (int i = 0; i < 2; i++)
        if (cs_chan_new(0, &logs[i]) || chanserv_serve(server, names[i], follow, logs[i]) ||
            chanserv_lookup_and_post(client, names[i], cs_str(names[i]), NULL, &feed) ||
            chanserv_set_add_feed(set, feed))
            return 1;
    cs_timer_set(timer, 1000);
    bool quits = watch(loop, set);
    chanserv_set_free(set);
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_chan_free(logs[0]), cs_chan_free(logs[1]), cs_chan_free(quit), cs_timer_free(timer);
    cs_loop_free(loop);
    return !quits;
}
