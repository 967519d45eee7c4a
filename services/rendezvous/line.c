/* line -- two who have met talk: each has an outlet, and what one's reader sends up is what the other's
 * gets. */
#include "services/rendezvous/desk.h"

struct line {
    chanserv_outlet *other; /* NULL: it has ended */
    bool is_over;           /* the mate of this outlet's reader has said his last word */
};

static cs_err line_next(chanserv_outlet *outlet, cs_ref *frame, void *state)
{
    struct line *line = state, *back;
    cs_err err;

    (void)outlet;
    if (!line->other)
        return CS_DONE;
    if ((err = chanserv_outlet_recv_ref(line->other, frame)) != CS_DONE)
        return err;
    back = chanserv_outlet_state(line->other);
    line->is_over = true;
    chanserv_outlet_wake(line->other);
    return back->is_over ? CS_DONE : CS_AGAIN; /* our last word would end both ways */
}

static void line_readable(chanserv_outlet *outlet, void *state)
{
    struct line *line = state;

    (void)outlet;
    if (line->other)
        chanserv_outlet_wake(line->other);
}

static void line_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct line *line = state, *back;

    (void)outlet;
    if (!line->other)
        return;
    back = chanserv_outlet_state(line->other);
    back->other = NULL;
    chanserv_outlet_finish(line->other, why);
}

static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct line),
                                               .uplink = true,
                                               .next_ref = line_next,
                                               .readable = line_readable,
                                               .end = line_end};

/* A source both ways between the two. */
static cs_err join(struct rendezvous__place *a, struct rendezvous__place *b)
{
    chanserv_outlet *to_a, *to_b;
    struct line line = {.other = NULL};
    cs_err err = chanserv_announce(a->sitter->post, b->ask.actor, &ops, &line, &to_a);

    if (err != CS_OK)
        return err;
    line.other = to_a;
    if ((err = chanserv_announce(b->sitter->post, a->ask.actor, &ops, &line, &to_b)) != CS_OK)
        chanserv_outlet_cancel(to_a, err);
    else
        ((struct line *)chanserv_outlet_state(to_a))->other = to_b;
    return err;
}

void rendezvous__connect(struct rendezvous__group *group)
{
    struct cs_link *i, *j;

    for (i = cs_list_first(&group->members); i; i = cs_list_next(&group->members, i))
        for (j = cs_list_next(&group->members, i); j; j = cs_list_next(&group->members, j)) {
            struct rendezvous__place *a =
                rendezvous__place_of(CS_CONTAINER(i, struct rendezvous__party, link_group));
            struct rendezvous__place *b =
                rendezvous__place_of(CS_CONTAINER(j, struct rendezvous__party, link_group));
            if (!a->ask.channels || !b->ask.channels || !a->sitter || !b->sitter)
                continue;
            /* Who cannot have all of his lines has none that is silent: the post says why. */
            cs_err err = join(a, b);
            if (err != CS_OK) {
                chanserv_post_fail(a->sitter->post, err, "no channel to %.*s",
                                   CS_FMT(b->ask.actor));
                chanserv_post_finish(a->sitter->post, err);
            }
        }
}
