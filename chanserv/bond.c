/* bond -- a client's session with a node: the Session call, taken up again when it breaks.
 *
 *     NONE ──▶ ASKED ──▶ STANDS ◀──────────────┐
 *                │         │ broke             │ attempt n + 1
 *                │         ▼                   │
 *                │       BROKEN ── again ──▶ ASKED
 *                ▼         │ too late, or the server does not know it
 *               OFF        └──▶ NONE: all ties are lost
 *
 * At attempt 1 the calls of the session go out right behind it; at a higher one they wait for its answer,
 * because a server that does not know the session may be another process, and must not run a post that
 * perhaps ran before (PROTOCOL, A6).  What it says is in bond_say.c. */
#include "chanserv/client__in.h"

#include "mux/lasting.h"

enum { FIRST_MS = 100, LAST_MS = 5000, CALM_MS = 60000 };

static void step(cs_task *task);
static const struct mux_stream_ops session_ops;

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

static void lose(struct chanserv__bond *bond, const char *words, bool anew);

static void on_give_up(void *user)
{
    lose(user, "the connection broke, and nobody took it up again in time", false);
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

struct chanserv__bond *chanserv__bond_of(struct chanserv__node *node)
{
    chanserv_client *client = node->client;
    struct chanserv__bond *bond = node->bond;

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
    cs_free(bond);
}

static void drop(mux_stream **stream)
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
    drop(&bond->next);
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
    return bond->stream && !bond->next &&
           (bond->standing == CHANSERV__BOND_STANDS || bond->attempt == 1);
}

/* ---- Its end -------------------------------------------------------------------------------- */

/* From now on it is another session. */
static void begin_anew(struct chanserv__bond *bond)
{
    struct cs_link *link;

    while ((link = cs_list_pop(&bond->due)) != NULL)
        ;
    bond->standing = CHANSERV__BOND_NONE;
    bond->session++;
    bond->attempt = bond->asked = 0;
    bond->leaves = bond->elsewhere = false;
    bond->out.len = 0;
    bond->dones_len = bond->dones_at = 0;
    (void)cs_random(bond->id, sizeof bond->id); /* it has not failed at first */
    bond->doomed = false;
    cs_timer_set(bond->give_up, CS_OFF);
}

static void lose(struct chanserv__bond *bond, const char *words, bool anew)
{
    struct cs_link *link, *next;

    CS_TRACE("client > session lost: %s", words);
    drop(&bond->stream);
    drop(&bond->next);
    begin_anew(bond);
    for (link = cs_list_first(&bond->ties); link; link = next) {
        next = cs_list_next(&bond->ties, link);
        chanserv__tie_lost(CS_CONTAINER(link, struct chanserv__tie, link), words, anew);
    }
}

void chanserv__bond_off(struct chanserv__bond *bond)
{
    struct cs_link *link;

    bond->standing = CHANSERV__BOND_OFF;
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

/* The first time not at all, then longer and longer. */
static void rest(struct chanserv__bond *bond)
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

static void doom(struct chanserv__bond *bond)
{
    const int resume_ms = bond->node->client->options.resume_ms;

    if (!bond->doomed)
        cs_timer_set(bond->give_up, bond->linger_ms > 0 && bond->linger_ms < resume_ms
                                        ? bond->linger_ms
                                        : resume_ms);
    bond->doomed = true;
}

static void broke(struct chanserv__bond *bond, const char *words)
{
    if (bond->standing == CHANSERV__BOND_ASKED && bond->attempt == 1 &&
        cs_list_empty(&bond->ties)) {
        begin_anew(bond);
        return;
    }
    CS_TRACE("client > session broke: %s", words);
    bond->leaves = false;
    doom(bond);
    bond->standing = CHANSERV__BOND_BROKEN;
    if (bond->moved) /* and not only greeted, again and again */
        bond->delay_ms = 0;
    bond->moved = false;
    rest(bond);
}

/* ---- The call ------------------------------------------------------------------------------- */

/* The next stream is the one. */
static void follow(struct chanserv__bond *bond)
{
    CS_TRACE("client > session moves");
    bond->stream = bond->next;
    bond->next = NULL;
    bond->attempt = bond->asked;
    bond->leaves = false;
    bond->standing = CHANSERV__BOND_ASKED;
}

static void hear(struct chanserv__bond *bond, const struct wire_session_down *down)
{
    cs_bytes acks = down->acks;
    struct wire_ack ack;

    if (bond->standing == CHANSERV__BOND_ASKED) {
        CS_TRACE("client > session stands, attempt %u", (unsigned)bond->attempt);
        bond->standing = CHANSERV__BOND_STANDS;
        bond->doomed = false;
        cs_timer_set(bond->give_up, CS_OFF);
        bond->linger_ms = down->linger_ms < INT32_MAX ? (int)down->linger_ms : INT32_MAX;
        if (bond->attempt > 1)
            chanserv__bond_say_again(bond);
        chanserv__bond_changed(bond);
    }
    while (wire_ack_next(&acks, &ack)) {
        const struct chanserv__tie *tie = cs_map_get(&bond->talks, ack.number);

        if (tie && tie->line && mux_stream_kept(tie->line->stream))
            (void)mux_keep_acked(mux_stream_kept(tie->line->stream), ack.next);
    }
}

static void on_readable(mux_stream *stream, void *state)
{
    struct chanserv__bond *bond = state;
    struct wire_session_down down;
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK) {
        if ((bond->stream != stream && bond->next != stream) ||
            bond->standing == CHANSERV__BOND_OFF)
            continue;
        if (wire_session_down_parse(msg, &down) != CS_OK) {
            mux_stream_cancel(stream, CS_EPROTO);
            continue;
        }
        if (bond->next == stream) {
            drop(&bond->stream);
            follow(bond);
        }
        hear(bond, &down);
    }
}

static void on_writable(mux_stream *stream, void *state)
{
    (void)stream;
    chanserv__bond_flush(state);
}

static void on_rolled(mux_stream *stream, void *state)
{
    struct chanserv__bond *bond = state;

    const int64_t now = cs_loop_now_ms(bond->node->client->loop);

    if (bond->next == stream)
        drop(&bond->next); /* and on to the one after that */
    else if (bond->stream != stream || bond->freed)
        return;
    bond->leaves = true;
    if (now - bond->rolled_ms > CALM_MS)
        bond->delay_ms = 0;
    bond->rolled_ms = now;
    rest(bond);
}

/* The session stays where it is, as long as it can. */
static void not_moved(struct chanserv__bond *bond, cs_err why, const char *words)
{
    CS_TRACE("client > session has not moved: %s", words);
    bond->next = NULL;
    bond->elsewhere = why == CS_ELOST || why == CS_EEXIST;
    if (bond->elsewhere)
        chanserv__bond_changed(bond);
    else
        rest(bond);
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct chanserv__bond *bond = state;
    chanserv_client *client = bond->node->client;
    const bool first = bond->standing == CHANSERV__BOND_ASKED && bond->attempt == 1;

    client->streams--;
    if (bond->stream == stream && !bond->freed && bond->standing != CHANSERV__BOND_OFF) {
        bond->stream = NULL;
        if (bond->next) { /* perhaps it superseded this one */
            follow(bond);
            doom(bond);
        } else if (why == CS_ELOST || why == CS_EEXIST)
            lose(bond, mux_stream_errmsg(stream), true);
        else if (first && mux_stream_never_ran(stream)) {
            begin_anew(bond); /* the calls behind it have the same to tell, */
            if (why == CS_EPEER)
                rest(bond); /* or go again */
        } else if (first && (why == CS_ENOTSUP || cs_failed(why)) && why != CS_EDRAIN &&
                   why != CS_EUNAVAIL && why != CS_ECANCELED && mux_stream_was_answered(stream))
            chanserv__bond_off(bond);
        else if (bond->standing != CHANSERV__BOND_NONE)
            broke(bond, mux_stream_errmsg(stream));
        chanserv__bond_changed(bond);
    }
    if (bond->stream == stream)
        bond->stream = NULL;
    if (bond->next == stream)
        not_moved(bond, why, mux_stream_errmsg(stream));
    chanserv__node_release(bond->node);
}

static const struct mux_stream_ops session_ops = {
    .readable = on_readable, .writable = on_writable, .end = on_end, .rolled = on_rolled};

static cs_err open_at(struct chanserv__bond *bond, uint32_t attempt, mux_stream **ret)
{
    chanserv_client *client = bond->node->client;
    struct mux_call_options options = {0};
    uint8_t msg[WIRE_SESSION_MAX];
    size_t n = wire_session_up_put(msg, cs_bytes_of(bond->id, sizeof bond->id), attempt);
    cs_err err;

    if (client->bearer) {
        options.metadata = client->bearer->pairs;
        options.metadata_len = client->bearer->len;
    }
    err = mux_stream_open(bond->node->conn, "/chanserv.v1.Chanserv/Session", &options, &session_ops,
                          bond, ret);
    if (err != CS_OK)
        return err;
    chanserv__node_hold(bond->node);
    client->streams++;
    if (mux_stream_send(*ret, cs_bytes_of(msg, n), cs_bytes_of(NULL, 0)) != CS_OK)
        mux_stream_cancel(*ret, CS_ENOMEM);
    return CS_OK;
}

static void call(struct chanserv__bond *bond)
{
    cs_err err;

    bond->standing = CHANSERV__BOND_ASKED;
    bond->attempt = ++bond->asked;
    if ((err = open_at(bond, bond->attempt, &bond->stream)) != CS_OK)
        broke(bond, cs_strerror(err));
}

/* Open channels stay on the connection that goes (PROTOCOL, B24).  It stands until they are over, so
 * the old stream is good until the new one is answered; without channels there is no need of one. */
static void leave(struct chanserv__bond *bond)
{
    cs_err err;

    if (cs_list_empty(&bond->ties)) {
        chanserv__bond_flush(bond);
        mux_stream_finish(bond->stream, CS_OK, NULL);
        bond->stream = NULL;
        drop(&bond->next);
        begin_anew(bond);
    } else if (!bond->elsewhere && !bond->next && !bond->rests &&
               (err = open_at(bond, ++bond->asked, &bond->next)) != CS_OK)
        not_moved(bond, err, cs_strerror(err));
}

void chanserv__bond_begin(struct chanserv__bond *bond)
{
    if (!bond->stream && !bond->rests && bond->standing != CHANSERV__BOND_OFF)
        call(bond);
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
        leave(bond);
    if (!cs_list_empty(&bond->ties))
        chanserv__bond_begin(bond);
    for (link = cs_list_first(&bond->ties); link; link = next) {
        struct chanserv__tie *tie = CS_CONTAINER(link, struct chanserv__tie, link);

        next = cs_list_next(&bond->ties, link);
        if (tie->not_before_ms > now && (wait_ms < 0 || tie->not_before_ms - now < wait_ms))
            wait_ms = tie->not_before_ms - now;
        chanserv__tie_go(tie);
    }
    if (wait_ms >= 0 && !bond->rests)
        cs_timer_set(bond->again, (int)wait_ms);
    if (bond->out.len > 0 || !cs_list_empty(&bond->due))
        chanserv__bond_flush(bond);
}
