/* tie -- a feed or a source of a session: its stream may break, and another one goes on.
 *
 * The stream is lasting (mux/lasting.h), so the line looks at it as at any other; here is what happens when
 * it is detached, and what the server is told of what arrived.  The tie of a feed stays until the
 * Opens of all its sources were answered, or they were closed, because the server's end of it is what keeps them. */
#include "chanserv/client__in.h"

#include "mux/lasting.h"

#include <stdlib.h>

enum { BREAKS_MAX = 3, BREAKS_MS = 60000, PAUSE_MS = 100, UPLINK_MAX = 1 << 20 };

static const cs_bytes NO_WORDS = {NULL, 0};
static const struct mux_lasting_ops feed_lasting, source_lasting;

void chanserv__tie_sorts(struct chanserv__bond *bond)
{
    const size_t bytes = sizeof(struct chanserv__tie);

    bond->posting = (struct mux_lasting_sort){&feed_lasting, bond->limbo, 0, 0};
    bond->reading = (struct mux_lasting_sort){&source_lasting, bond->limbo, 0, bytes};
    bond->talking = (struct mux_lasting_sort){&source_lasting, bond->limbo, UPLINK_MAX, bytes};
}

/* ---- Asking --------------------------------------------------------------------------------- */

uint64_t chanserv__tie_first(const struct chanserv__tie *tie)
{
    return tie->line->is_feed
               ? 0
               : chanserv__source_from(CS_CONTAINER(tie->line, chanserv_source, line));
}

/* `*ret` is `few`, or to be freed. */
static cs_err ask_bytes(const struct chanserv__tie *tie, uint8_t few[WIRE_OPEN_MAX], uint8_t **ret,
                        size_t *ret_len)
{
    const struct chanserv__bond *bond = tie->bond;
    struct chanserv__line *line = tie->line;
    uint64_t from =
        chanserv__tie_first(tie) + (line->stream ? mux_stream_received(line->stream) : 0);
    struct wire_channel channel = {.present = !tie->plain,
                                   .session = cs_bytes_of(bond->id, sizeof bond->id),
                                   .attempt = bond->attempt,
                                   .number = tie->number};

    if (line->is_feed)
        return chanserv__feed_ask_bytes(CS_CONTAINER(line, chanserv_feed, line), &channel, from,
                                        ret, ret_len);
    *ret = few;
    *ret_len =
        chanserv__source_ask_bytes(CS_CONTAINER(line, chanserv_source, line), &channel, from, few);
    return CS_OK;
}

/* On the connection of the moment: what `call` makes, or, NULL, again what is there. */
static cs_err go_out(struct chanserv__tie *tie, const struct mux_lasting_call *call)
{
    mux_conn *conn = tie->bond->node->conn;
    mux_stream **stream = &tie->line->stream;
    uint8_t few[WIRE_OPEN_MAX], *bytes;
    size_t len;
    cs_err err = ask_bytes(tie, few, &bytes, &len);

    if (err != CS_OK)
        return err;
    tie->alone = tie->plain;
    tie->out = true;
    err = call ? mux_stream_open_lasting(call, conn, cs_bytes_of(bytes, len), stream)
               : mux_stream_reopen(*stream, conn, cs_bytes_of(bytes, len));
    if (bytes != few)
        cs_free(bytes);
    return err;
}

static uint64_t progress_of(const struct chanserv__tie *tie)
{
    return mux_stream_received(tie->line->stream) + mux_stream_oldest(tie->line->stream);
}

void chanserv__tie_go(struct chanserv__tie *tie)
{
    struct chanserv__line *line = tie->line;
    cs_err err;

    if (!line || line->over || !cs_linked(&tie->link) || !mux_stream_is_detached(line->stream) ||
        !tie->bond->node->conn ||
        (tie->broken && cs_loop_now_ms(line->client->loop) < tie->broken->not_before_ms))
        return;
    if (tie->bond->elsewhere && !tie->plain) {
        if (!mux_stream_never_ran(line->stream)) {
            chanserv__tie_lost(tie, CS_ELOST, "it broke, and what is dialed now is another process",
                               false);
            return;
        }
        tie->plain = true;
    }
    if (!tie->plain && !chanserv__bond_carries(tie->bond))
        return;
    if (tie->broken)
        tie->broken->progress = progress_of(tie);
    if ((err = go_out(tie, NULL)) != CS_OK)
        chanserv__line_fail(line, err, NULL);
}

/* As a rule the session stands, and it is made where it belongs; else it is detached from the first. */
static cs_err make(struct chanserv__tie *tie, const struct mux_lasting_call *call)
{
    const struct chanserv__bond *bond = tie->bond;

    return bond->node->conn && chanserv__bond_carries(bond)
               ? go_out(tie, call)
               : mux_stream_open_lasting(call, NULL, cs_bytes_of(NULL, 0), &tie->line->stream);
}

cs_err chanserv__tie_open(struct chanserv__line *line, struct chanserv__bond *bond,
                          const char *method, const struct mux_call_options *options,
                          const struct mux_stream_ops *ops, void *state)
{
    chanserv_source *source = line->is_feed ? NULL : CS_CONTAINER(line, chanserv_source, line);
    const bool talks = source && source->uplink;
    struct chanserv__tie copied = {0}, *tie = source ? &copied : cs_zalloc(sizeof *tie);
    const struct mux_lasting_call call = {.sort = talks    ? &bond->talking
                                                  : source ? &bond->reading
                                                           : &bond->posting,
                                          .method = method,
                                          .options = options,
                                          .ops = ops,
                                          .state = state,
                                          .user = tie};
    cs_err err = CS_OK;

    if (!tie)
        return CS_ENOMEM;
    tie->bond = bond;
    tie->line = line;
    tie->refs = 1;
    tie->own = line->is_feed;
    tie->number = ++bond->number;
    tie->acked = chanserv__tie_first(tie);
    if (talks)
        err = cs_map_put(&bond->talks, tie->number, line);
    if (err == CS_OK && (err = make(tie, &call)) != CS_OK)
        (void)cs_map_remove(&bond->talks, tie->number);
    if (err != CS_OK) {
        if (tie->own)
            cs_free(tie);
        return err;
    }
    tie = mux_stream_lasting_user(line->stream);
    cs_link_init(&tie->due);
    line->client->streams++;
    cs_list_push(&bond->ties, &tie->link);
    line->tie = tie;
    if (tie->out)
        return CS_OK;
    chanserv__bond_begin(bond);
    chanserv__tie_go(tie);
    if (mux_stream_is_detached(line->stream))
        chanserv__bond_changed(bond);
    return CS_OK;
}

/* ---- Detached ------------------------------------------------------------------------------- */

/* Nobody heard of it: the post may go elsewhere, an Open be told at once, but for a refused dial: the session
 * stood, and it can only go where its source is. */
static bool goes_elsewhere(const struct chanserv__tie *tie, mux_stream *stream, cs_err why)
{
    const bool is_feed = tie->line->is_feed;

    if (!mux_stream_never_ran(stream))
        return false;
    return why == CS_ELIMIT || (is_feed && why == CS_EREFUSED) ||
           (is_feed && !chanserv__nodes_one(tie->line->client));
}

/* A stream that breaks alone, again and again, and brings nothing.  If the session broke as well since
 * it did so last, then it was not alone: of what breaks together, the session may be told last. */
static bool is_hopeless(const struct chanserv__tie *tie, int64_t now)
{
    struct chanserv__broken *b = tie->broken;

    if (progress_of(tie) > b->progress || now - b->not_before_ms > BREAKS_MS ||
        b->attempt != tie->bond->attempt)
        b->breaks = 0;
    b->attempt = tie->bond->attempt;
    b->not_before_ms = now + (b->breaks > 0 ? (int64_t)PAUSE_MS << b->breaks : 0);
    return ++b->breaks > BREAKS_MAX;
}

static void on_detached(mux_stream *stream, cs_err why, void *user)
{
    struct chanserv__tie *tie = user;
    struct chanserv__line *line = tie->line;
    int64_t now = cs_loop_now_ms(line->client->loop);
    const bool unsaid = tie->unsaid;

    CS_TRACE("client > %u detached: %s", (unsigned)tie->number, mux_stream_errmsg(stream));
    tie->unsaid = false;
    /* A server without sessions may have run it, and would run it again. */
    if (line->client->freed || (tie->plain && !unsaid && !mux_stream_never_ran(stream)) ||
        tie->alone || goes_elsewhere(tie, stream, why)) {
        mux_stream_give_up(stream, CS_OK, NULL);
        return;
    }
    if (!tie->broken && !(tie->broken = cs_zalloc(sizeof *tie->broken))) {
        chanserv__line_fail(line, CS_ENOMEM, NULL);
        return;
    }
    if (tie->bond->standing != CHANSERV__BOND_BROKEN && is_hopeless(tie, now)) {
        mux_stream_give_up(stream, CS_OK, NULL);
        return;
    }
    if (progress_of(tie) > tie->broken->progress && cs_linked(&tie->link)) {
        cs_unlink(&tie->link); /* the others go first next time: connections may be short */
        cs_list_push(&tie->bond->ties, &tie->link);
    }
    tie->broken->why = why;
    if (!unsaid && !mux_stream_never_ran(stream))
        chanserv__line_detached(line, true);
    chanserv__bond_changed(tie->bond);
}

/* The session is not there yet, or a newer attempt is: not the call's own end. */
static bool is_of_session(mux_stream *stream, cs_err why, void *user)
{
    struct chanserv__tie *tie = user;
    cs_bytes token;

    if ((why != CS_EPRECOND && why != CS_EABORTED) || tie->alone ||
        mux_stream_trailer(stream, "chanserv-reason", &token) != CS_OK)
        return false;
    tie->unsaid = cs_same(token, cs_str(wire_reason_token(WIRE_R_SUPERSEDED))) ||
                  cs_same(token, cs_str(wire_reason_token(WIRE_R_NO_SESSION)));
    return tie->unsaid;
}

static void tie_end(struct chanserv__tie *tie, cs_bytes why, bool now)
{
    if (!cs_linked(&tie->link))
        return; /* said already */
    cs_unlink(&tie->link);
    cs_unlink(&tie->due);
    if (tie->bond->talks.len > 0)
        (void)cs_map_remove(&tie->bond->talks, tie->number);
    if (tie->bond->leaves || tie->bond->elsewhere || tie->bond->doomed)
        chanserv__bond_changed(tie->bond);
    if (!tie->plain)
        chanserv__bond_done(tie->bond, tie->number, why, now);
}

void chanserv__tie_lost(struct chanserv__tie *tie, cs_err why, const char *words, bool anew)
{
    struct chanserv__line *line = tie->line;

    if (!line)
        tie_end(tie, NO_WORDS, false); /* what nobody opened is lost with it */
    if (!line || line->over || (anew && line->is_feed && !tie->out))
        return;
    if (tie->out && mux_stream_never_ran(line->stream))
        mux_stream_give_up(line->stream, CS_OK, NULL);
    else
        chanserv__line_fail(line, why, words);
}

void chanserv__tie_unheard(struct chanserv__tie *tie, cs_err why, const char *words, bool last)
{
    struct chanserv__line *line = tie->line;

    if (!line || line->over) /* what is left of one that went without a session */
        return;
    if (why == CS_EPEER && !last && (!line->is_feed || chanserv__nodes_one(line->client)))
        return;
    mux_stream_give_up(line->stream, why, words);
    tie_end(tie, NO_WORDS, false);
}

/* ---- Arrived -------------------------------------------------------------------------------- */

static uint64_t one(cs_bytes message)
{
    (void)message;
    return 1;
}

static uint64_t weigh_frame(cs_bytes message)
{
    struct wire_frame f;

    if (wire_frame_parse(message, &f) != CS_OK)
        return 1;
    return f.kind == WIRE_GAP ? f.gap_count : f.kind == WIRE_PAYLOAD;
}

static const struct mux_lasting_ops feed_lasting = {
    .detached = on_detached, .again = is_of_session, .weigh = one};
static const struct mux_lasting_ops source_lasting = {
    .detached = on_detached, .again = is_of_session, .weigh = weigh_frame};

void chanserv__tie_heard(struct chanserv__tie *tie, uint64_t next)
{
    mux_stream *stream = tie->line->stream;
    const uint64_t before = mux_stream_oldest(stream);

    if (mux_stream_acked(stream, next) == CS_OK && mux_stream_oldest(stream) > before)
        tie->bond->moved = true;
}

static void resend(chanserv_source *source)
{
    mux_stream *stream = source->line.stream;
    char text[24] = "";
    uint64_t from;
    cs_bytes next;
    cs_err err;

    if (!source->uplink || mux_stream_header(stream, "chanserv-next", &next) != CS_OK ||
        next.len >= sizeof text)
        return;
    memcpy(text, next.base, next.len);
    from = strtoull(text, NULL, 10);
    err = mux_stream_resend(stream, from);
    if (err == CS_OK)
        chanserv__tie_heard(source->line.tie, from);
    if (err == CS_ERANGE || err == CS_EINVAL)
        chanserv__line_fail(&source->line, CS_EPROTO, "the server lost count of what it was sent");
}

void chanserv__tie_arrived(struct chanserv__line *line)
{
    struct chanserv__tie *tie = line->tie;

    if (!tie || tie->plain || !line->stream)
        return;
    if (line->detached && mux_stream_has_headers(line->stream)) {
        CS_TRACE("client > %u attached", (unsigned)tie->number);
        chanserv__line_detached(line, false);
    }
    if (!line->is_feed)
        resend(CS_CONTAINER(line, chanserv_source, line));
    if (chanserv__tie_first(tie) + mux_stream_received(line->stream) > tie->acked)
        chanserv__bond_due(tie->bond, tie);
    chanserv__bond_arrived(tie->bond);
}

/* ---- Ended ---------------------------------------------------------------------------------- */

struct chanserv__tie *chanserv__tie_hold(struct chanserv__tie *tie)
{
    if (tie)
        tie->refs++;
    return tie;
}

void chanserv__tie_release(struct chanserv__tie *tie)
{
    if (!tie || --tie->refs > 0)
        return;
    tie_end(tie, NO_WORDS, false);
    cs_free(tie->broken);
    if (tie->own)
        cs_free(tie);
}

void chanserv__tie_ended(struct chanserv__line *line, cs_err why)
{
    struct chanserv__tie *tie = line->tie;

    if (!tie)
        return;
    line->tie = NULL;
    tie->line = NULL;
    if (why != CS_DONE) /* of a feed that was given up, what nobody opened goes too */
        tie_end(tie, why == CS_ECANCELED ? cs_str("no longer wanted") : NO_WORDS, line->by_us);
    chanserv__tie_release(tie);
}
