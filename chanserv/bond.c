/* bond -- a client's session with a node: its states, and what becomes of the ties when it breaks.
 *
 *         nobody answered: another one
 *        ┌─────────┐
 *        ▼         │
 *     NONE ──▶ ASKED ──▶ STANDS ◀──────────────┐
 *                │         │ broke             │ attempt n + 1
 *                │         ▼                   │
 *                │       BROKEN ── again ──▶ ASKED
 *                ▼         │ too late, or the server does not know it
 *               OFF        └──▶ NONE: all ties are lost
 *
 * Its ties wait for the answer, at every attempt.  At the first, because a post that went out beside it and
 * was cut off could not be told from one that ran in a process which is no more; so it is asked as soon as
 * there is a connection, and not by the first post.  At a higher one, because a server that does not know
 * the session may be another process, and must not run a post that perhaps ran before.
 *
 * Its call, and how that moves from connection to connection, is in bond_call.c; what it says in
 * bond_say.c. */
#include "chanserv/client__in.h"

#include "mux/behalf.h"
#include "mux/lasting.h"

enum {
    FIRST_MS = 100,
    LAST_MS = 5000,
    STOOD_MS = 1000, /* at most, after a break while it stood: somebody is there */
    STRANGERS = 3 /* connections in a row where nobody ever spoke HTTP/2: then this is no server */
};

static void step(cs_task *task);

/* ---- Made ----------------------------------------------------------------------------------- */

static void on_flush(void *user)
{
    chanserv__bond_flush(user);
}

static void on_again(void *user)
{
    struct chanserv__bond *bond = user;

    bond->rests = false;
    chanserv__bond_changed(bond);
}

static void undoom(struct chanserv__bond *bond)
{
    bond->doomed = false;
    bond->strangers = 0;
    cs_timer_set(bond->give_up, CS_OFF);
}

/* No server has heard of it. */
static bool is_new(const struct chanserv__bond *bond)
{
    return bond->standing == CHANSERV__BOND_NONE ||
           (bond->standing == CHANSERV__BOND_ASKED && bond->attempt == 1);
}

/* None of its ties is out: another one takes them along, or they are told. */
static void unheard(struct chanserv__bond *bond, cs_err why, const char *words, bool last)
{
    struct cs_link *link, *next;

    CS_TRACE("client > session unheard: %s", words);
    chanserv__bond_drop(&bond->stream);
    chanserv__bond_anew(bond);
    for (link = cs_list_first(&bond->ties); link; link = next) {
        next = cs_list_next(&bond->ties, link);
        chanserv__tie_unheard(CS_CONTAINER(link, struct chanserv__tie, link), why, words, last);
    }
    if (last || cs_list_empty(&bond->ties))
        undoom(bond);
}

static void on_give_up(void *user)
{
    struct chanserv__bond *bond = user;
    char *words = NULL;

    if (is_new(bond)) {
        cs_story(&words, "no session was to be had in time: %s",
                 bond->story ? bond->story : "the server does not answer");
        unheard(bond, CS_EPEER, words ? words : "no session was to be had in time", true);
        cs_free(words);
        return;
    }
    cs_story(&words, "it broke, and nobody took it up again in time: %s",
             bond->story ? bond->story : "the connection broke");
    chanserv__bond_lose(bond, CS_ELOST,
                        words ? words : "it broke, and nobody took it up again in time", false);
    cs_free(words);
}

static cs_err timers(struct chanserv__bond *bond, cs_loop *loop)
{
    cs_err err = cs_timer_new(loop, on_flush, bond, &bond->flush);

    if (err == CS_OK)
        err = cs_timer_new(loop, on_again, bond, &bond->again);
    if (err == CS_OK)
        err = cs_timer_new(loop, on_give_up, bond, &bond->give_up);
    if (err == CS_OK)
        cs_timer_is_upkeep(bond->flush);
    return err;
}

/* A session has one principal, the client's: what goes out under another name is none of it. */
static bool is_ours(const chanserv_client *client, const struct chanserv__pairs *metadata)
{
    return metadata == client->bearer ||
           (!chanserv__pairs_get(metadata, MUX_BEHALF).base &&
            cs_same(chanserv__pairs_get(metadata, "authorization"),
                    chanserv__pairs_get(client->bearer, "authorization")));
}

struct chanserv__bond *chanserv__bond_of(struct chanserv__node *node,
                                         const struct chanserv__pairs *metadata)
{
    chanserv_client *client = node->client;
    struct chanserv__bond *bond = node->bond;

    if (!is_ours(client, metadata))
        return NULL;
    if (bond)
        return bond->standing == CHANSERV__BOND_OFF || bond->elsewhere ? NULL : bond;
    if (client->options.resume_ms == CS_OFF || (!node->addr && !client->resumes_local) ||
        !cs_linked(&node->link) || !(bond = cs_zalloc(sizeof *bond)))
        return NULL; /* without memory for it there is just no session */
    bond->node = node;
    cs_list_init(&bond->ties);
    cs_list_init(&bond->due);
    cs_task_init(&bond->task, step);
    if (cs_random(bond->id, sizeof bond->id) != CS_OK || timers(bond, client->loop) != CS_OK ||
        mux_limbo_new(client->loop, NULL, &bond->limbo) != CS_OK) {
        chanserv__bond_free(bond);
        return NULL;
    }
    chanserv__tie_sorts(bond);
    node->bond = bond;
    return bond;
}

void chanserv__bond_free(struct chanserv__bond *bond)
{
    if (!bond)
        return;
    cs_task_drop(&bond->task);
    cs_timer_free(bond->flush);
    cs_timer_free(bond->again);
    cs_timer_free(bond->give_up);
    cs_buf_fini(&bond->out);
    cs_map_fini(&bond->talks);
    cs_free(bond->dones);
    cs_free(bond->story);
    cs_free(bond);
}

void chanserv__bond_drop(mux_stream **stream)
{
    if (*stream)
        mux_stream_cancel(*stream, CS_ECANCELED); /* its end() comes later, and is nobody's */
    *stream = NULL;
}

/* The lines have been closed; what they said is said, if the kernel takes it now. */
void chanserv__bond_bye(struct chanserv__bond *bond)
{
    if (!bond)
        return;
    bond->freed = true;
    cs_timer_set(bond->flush, CS_OFF);
    cs_timer_set(bond->again, CS_OFF);
    cs_timer_set(bond->give_up, CS_OFF);
    cs_task_drop(&bond->task);
    mux_conn_free(bond->limbo);
    chanserv__bond_drop(&bond->next);
    if (bond->stream) {
        chanserv__bond_flush(bond);
        mux_stream_finish(bond->stream, CS_OK, NULL);
    }
}

void chanserv__bond_changed(struct chanserv__bond *bond)
{
    if (!bond->freed)
        cs_task_post(bond->node->client->loop, CS_CALL, &bond->task);
}

bool chanserv__bond_carries(const struct chanserv__bond *bond)
{
    /* While it moves, what went out would perhaps be told that it is superseded. */
    return bond->stream && !bond->next && bond->standing == CHANSERV__BOND_STANDS;
}

/* ---- Its end -------------------------------------------------------------------------------- */

void chanserv__bond_anew(struct chanserv__bond *bond)
{
    struct cs_link *link;

    while ((link = cs_list_pop(&bond->due)) != NULL)
        ;
    bond->standing = CHANSERV__BOND_NONE;
    bond->attempt = bond->asked = 0;
    bond->leaves = bond->elsewhere = false;
    bond->out.len = 0;
    bond->dones_len = bond->dones_at = 0;
    (void)cs_random(bond->id, sizeof bond->id); /* it has not failed at first */
}

void chanserv__bond_lose(struct chanserv__bond *bond, cs_err why, const char *words, bool anew)
{
    struct cs_link *link, *next;

    CS_TRACE("client > session lost: %s", words);
    chanserv__bond_drop(&bond->stream);
    chanserv__bond_drop(&bond->next);
    chanserv__bond_anew(bond);
    undoom(bond);
    for (link = cs_list_first(&bond->ties); link; link = next) {
        next = cs_list_next(&bond->ties, link);
        chanserv__tie_lost(CS_CONTAINER(link, struct chanserv__tie, link), why, words, anew);
    }
}

void chanserv__bond_off(struct chanserv__bond *bond)
{
    struct cs_link *link;

    bond->standing = CHANSERV__BOND_OFF;
    undoom(bond);
    for (link = cs_list_first(&bond->ties); link; link = cs_list_next(&bond->ties, link))
        CS_CONTAINER(link, struct chanserv__tie, link)->plain = true;
    if (bond->stream)
        mux_stream_finish(bond->stream, CS_OK, NULL);
    chanserv__bond_changed(bond);
}

/* A fifth more or less, so that not all come at once. */
static int jittered(int ms)
{
    uint8_t dice = 128;

    (void)cs_random(&dice, sizeof dice);
    return ms - ms / 5 + 2 * ms / 5 * dice / 255;
}

void chanserv__bond_rest(struct chanserv__bond *bond)
{
    if (bond->delay_ms > 0) {
        bond->rests = true;
        cs_timer_set(bond->again, jittered(bond->delay_ms));
        bond->delay_ms = bond->delay_ms * 8 / 5 < LAST_MS ? bond->delay_ms * 8 / 5 : LAST_MS;
    } else {
        bond->delay_ms = FIRST_MS;
        chanserv__bond_changed(bond);
    }
}

static void doom(struct chanserv__bond *bond, int linger_ms)
{
    const int resume_ms = bond->node->client->options.resume_ms;

    if (bond->doomed)
        return;
    bond->doomed = true;
    cs_timer_set(bond->give_up, linger_ms > 0 && linger_ms < resume_ms ? linger_ms : resume_ms);
}

void chanserv__bond_doom(struct chanserv__bond *bond, const char *words)
{
    if (bond->doomed)
        return;
    cs_log(CS_INFO, "client", "%.*s: waits for the connection to come back: %s",
           CS_FMT(chanserv__node_name(bond->node)), words);
    doom(bond, bond->linger_ms);
}

void chanserv__bond_stands(struct chanserv__bond *bond)
{
    bond->standing = CHANSERV__BOND_STANDS;
    if (bond->doomed && bond->attempt > 1)
        cs_log(CS_INFO, "client", "%.*s: the connection is back",
               CS_FMT(chanserv__node_name(bond->node)));
    undoom(bond);
    cs_free(bond->story);
    bond->story = NULL;
}

void chanserv__bond_unheard(struct chanserv__bond *bond, cs_err why, const char *words)
{
    if (mux_conn_was_met(bond->node->conn))
        bond->strangers = 0;
    else
        bond->strangers++;
    cs_story(&bond->story, "%s", words);
    unheard(bond, why, words, bond->strangers >= STRANGERS);
    if (why == CS_EPEER)
        chanserv__bond_rest(bond);
}

void chanserv__bond_broke(struct chanserv__bond *bond, const char *words)
{
    CS_TRACE("client > session broke: %s", words);
    cs_story(&bond->story, "%s", words);
    bond->leaves = false;
    chanserv__bond_doom(bond, words);
    if (bond->moved) /* and not only greeted, again and again */
        bond->delay_ms = 0;
    else if (bond->standing == CHANSERV__BOND_STANDS && bond->delay_ms > STOOD_MS)
        bond->delay_ms = STOOD_MS;
    bond->standing = CHANSERV__BOND_BROKEN;
    bond->moved = false;
    chanserv__bond_rest(bond);
}

/* ---- What has to be done --------------------------------------------------------------------- */

void chanserv__bond_begin(struct chanserv__bond *bond)
{
    if (bond->standing == CHANSERV__BOND_OFF)
        return;
    if (is_new(bond) && !cs_list_empty(&bond->ties))
        doom(bond, 0);
    if (!bond->stream && !bond->rests)
        chanserv__bond_call(bond);
}

void chanserv__bond_ahead(struct chanserv__node *node)
{
    struct chanserv__bond *bond = chanserv__bond_of(node, node->client->bearer);

    if (bond)
        chanserv__bond_begin(bond);
}

/* What has to be done, looked at as a whole: a connection that breaks takes many streams along, and only
 * then it is known that it did. */
static void step(cs_task *task)
{
    struct chanserv__bond *bond = CS_CONTAINER(task, struct chanserv__bond, task);
    int64_t now = cs_loop_now_ms(bond->node->client->loop), wait_ms = -1;
    struct cs_link *link, *next;

    if (!bond->node->conn || bond->freed)
        return;
    if (bond->standing == CHANSERV__BOND_STANDS && (bond->leaves || bond->elsewhere))
        chanserv__bond_leave(bond);
    if (!cs_list_empty(&bond->ties))
        chanserv__bond_begin(bond);
    else if (is_new(bond))
        undoom(bond); /* who waited has gone */
    for (link = cs_list_first(&bond->ties); link; link = next) {
        struct chanserv__tie *tie = CS_CONTAINER(link, struct chanserv__tie, link);

        next = cs_list_next(&bond->ties, link);
        if (tie->broken && tie->broken->not_before_ms > now &&
            (wait_ms < 0 || tie->broken->not_before_ms - now < wait_ms))
            wait_ms = tie->broken->not_before_ms - now;
        chanserv__tie_go(tie);
    }
    if (wait_ms >= 0 && !bond->rests)
        cs_timer_set(bond->again, (int)wait_ms);
    if (bond->out.len > 0 || !cs_list_empty(&bond->due))
        chanserv__bond_flush(bond);
}
