/* What one peer may have of a server, whatever there is left of it; and what happens when memory is
 * short. */
#include "raw.h"

#include "chanserv/server__in.h"

static cs_err nothing_yet(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops quiet = {.next = nothing_yet};

/* Three sources that say nothing; a body keeps the post. */
static cs_err three(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.state_bytes = 0};

    (void)user;
    if (body.len > 0)
        cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chanserv_announce(post, cs_str("s"), &quiet, NULL, NULL), CS_OK);
    return body.len > 0 ? CS_AGAIN : CS_DONE;
}

static void up(const struct chanserv_server_options *options)
{
    raw_up(options);
    cr_assert_eq(chanserv_serve(raw.server, "three", three, NULL), CS_OK);
}

Test(peer, has_so_many_posts_and_another_has_his_own)
{
    up(&(struct chanserv_server_options){.posts_peer_max = 2});
    struct raw_call *first = raw_post("three", "keep");

    raw_runs(first);
    raw_runs(raw_post("three", "keep"));
    raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().posts_peer_refused, 1);
    cr_assert_eq(raw_counters().posts, 2);
    raw.token = "Bearer another";
    raw_runs(raw_post("three", "keep"));
    raw.token = NULL;
    raw_leave(first);
    raw_runs(raw_post("three", "keep"));
    raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().posts_peer_refused, 2);
    raw_down();
}

Test(peer, has_so_many_open_sources_and_a_refused_ticket_stays_good)
{
    up(&(struct chanserv_server_options){.opens_peer_max = 2});
    struct raw_call *post = raw_post("three", ""), *first = raw_open(post, 0, 0);

    raw_runs(first);
    raw_runs(raw_open(post, 1, 0));
    raw_ended(raw_open(post, 2, 0), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().opens_peer_refused, 1);
    cr_assert_eq(raw_counters().sources_waiting, 1);
    raw_leave(first);
    raw_runs(raw_open(post, 2, 0));
    cr_assert_eq(raw_counters().opens_peer_refused, 1);
    raw_down();
}

Test(peer, limits_can_be_switched_off)
{
    up(&(struct chanserv_server_options){.posts_peer_max = CS_OFF, .opens_peer_max = CS_OFF});
    for (int i = 0; i < 8; i++) {
        struct raw_call *post = raw_post("three", "keep");

        raw_runs(post);
        for (size_t j = 0; j < 3; j++)
            raw_runs(raw_open(post, j, 0));
    }
    raw_down();
}
