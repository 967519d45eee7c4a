/* lasting -- see lasting.h.
 *
 * What belongs to the HTTP/2 stream (its id, its window, how far its half of the talk has come) moves
 * between objects; what belongs to the call stays: ops and state, what it keeps, its metadata, its
 * deadline, its last word. */
#include "mux/lasting.h"

#include "mux/count__in.h"
#include "mux/mux__in.h"
#include "proto/wire.h"

#include <stddef.h>

/* ---- What its user has ----------------------------------------------------------------------- */

static size_t bytes_behind(const struct mux_lasting_sort *sort)
{
    return sort->user_bytes > 0 ? sort->user_bytes : sizeof(void *);
}

static void *user_of(struct mux__lasting *lasting)
{
    void *user = lasting + 1;

    if (lasting->points)
        memcpy(&user, lasting + 1, sizeof user);
    return user;
}

static void user_set(struct mux__lasting *lasting, void *user)
{
    lasting->points = lasting->sort->user_bytes == 0;
    if (lasting->points)
        memcpy(lasting + 1, &user, sizeof user);
    else if (user)
        memcpy(lasting + 1, user, lasting->sort->user_bytes);
}

/* ---- What it keeps --------------------------------------------------------------------------- */

/* Most of those that are very many never send anything: what keeps it is made for the first message. */
static mux_keep *keep_of(const struct mux__lasting *lasting)
{
    return lasting->made ? lasting->of.keep : NULL;
}

/* As with a keep that has nothing. */
static cs_err may_attach(const struct mux__lasting *lasting, uint64_t from)
{
    uint64_t first;

    if (keep_of(lasting))
        return mux__keep_may_attach(keep_of(lasting), from);
    first = lasting->of.first;
    return from == first ? CS_OK : from < first ? CS_ERANGE : CS_EINVAL;
}

static cs_err attach(struct mux__lasting *lasting, mux_stream *stream, uint64_t from)
{
    mux_keep *keep = keep_of(lasting);

    return keep ? mux_keep_attach(keep, stream, from) : may_attach(lasting, from);
}

cs_err mux__lasting_keeps(mux_stream *stream)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);
    const struct mux_lasting_sort *sort = lasting->sort;
    uint64_t first = lasting->of.first;
    mux_keep *keep;

    if (!lasting->keeps || lasting->made)
        return CS_OK;
    if (!(keep = cs_alloc(sizeof *keep)))
        return CS_ENOMEM;
    mux__keep_init(keep, sort->keep_max, first,
                   sort->ops->sum ? sort->ops->sum(user_of(lasting)) : NULL);
    lasting->of.keep = keep;
    lasting->made = true;
    mux__keep_begin(keep, stream);
    return CS_OK;
}

/* ---- Made ------------------------------------------------------------------------------------ */

/* There are very many: all that is known at once lies in one block, with what its user has behind it. */
struct block {
    mux_stream stream;
    struct mux__lasting lasting;
};
_Static_assert(offsetof(struct block, stream) == 0, "it is freed as its stream");

static struct block *block_of(mux_stream *stream)
{
    return CS_CONTAINER(stream, struct block, stream);
}

static mux_stream *block_new(mux_conn *conn, const struct mux_stream_ops *ops, void *state,
                             size_t room)
{
    struct block *block = cs_zalloc(sizeof *block + room);

    if (!block)
        return NULL;
    if (mux__stream_begin(&block->stream, conn, ops, state) != CS_OK) {
        cs_free(block);
        return NULL;
    }
    block->stream.has_room = true;
    block->lasting.of.room = room;
    return &block->stream;
}

mux_stream *mux__lasting_new(mux_conn *conn)
{
    return block_new(conn, NULL, NULL, conn->user_room);
}

/* In memory that is zero but for `room`, which is no more needed. */
static void last(mux_stream *stream, struct mux__lasting *lasting,
                 const struct mux_lasting_sort *sort, uint64_t first, void *user)
{
    lasting->sort = sort;
    user_set(lasting, user);
    lasting->of.first = first;
    lasting->keeps = sort->keep_max > 0;
    lasting->stays = stream->is_server;
    lasting->extra = stream->more.extra;
    stream->more.lasting = lasting;
    stream->lasts = true;
}

cs_err mux_limbo_new(cs_loop *loop, mux_handlers *handlers, mux_conn **ret)
{
    cs_err err = mux__conn_new(loop, NULL, handlers != NULL, ret);

    if (err == CS_OK && handlers) {
        (*ret)->handlers = handlers;
        handlers->refs++;
        (*ret)->stats = &handlers->stats;
    }
    return err;
}

cs_err mux_stream_last(mux_stream *stream, const struct mux_lasting_sort *sort, uint64_t first,
                       void *user)
{
    const size_t behind = bytes_behind(sort);
    struct mux__lasting *lasting;

    if (stream->lasts || stream->over || stream->finished || stream->sent_any)
        return CS_EMISUSE;
    lasting = stream->has_room && block_of(stream)->lasting.of.room >= behind
                  ? &block_of(stream)->lasting
                  : cs_zalloc(sizeof *lasting + behind);
    if (!lasting)
        return CS_ENOMEM;
    last(stream, lasting, sort, first, user);
    if (stream->conn->user_room < behind)
        stream->conn->user_room = (uint32_t)behind;
    return CS_OK;
}

static void lasting_free(mux_stream *stream, struct mux__lasting *lasting)
{
    if (!stream->has_room || lasting != &block_of(stream)->lasting)
        cs_free(lasting);
}

void mux_stream_last_undo(mux_stream *stream)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);

    stream->lasts = false;
    stream->more.extra = lasting->extra;
    lasting->of.room = 0;
    lasting_free(stream, lasting);
}

/* The extra is not there any more. */
void mux__lasting_free(mux_stream *stream)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);

    if (keep_of(lasting)) {
        mux__keep_fini(keep_of(lasting));
        cs_free(keep_of(lasting));
        lasting->made = false;
    }
    lasting->gone = lasting->stays;
    if (lasting->gone)
        return;
    lasting_free(stream, lasting);
    cs_free(stream);
}

/* ---- What belongs to the HTTP/2 stream ------------------------------------------------------- */

static struct mux__wire wire_none(const mux_conn *conn)
{
    return (struct mux__wire){.window = (uint32_t)conn->opt.window_bytes};
}

static void move(mux_stream *s, mux_conn *to)
{
    mux_conn *before = s->conn;

    if (before == to)
        return;
    before->stats->streams--;
    to->stats->streams++;
    cs_unlink(&s->link_in);
    cs_list_push(&to->streams, &s->link_in);
    mux__held_move(s, to);
    s->conn = to;
    mux__conn_stream_gone(before);
}

static void carry(mux_stream *s, mux_conn *conn, const struct mux__wire *wire)
{
    s->wire = *wire;
    if (s->rx)
        mux__inflow_of(s)->stream = s;
    if (s->id > 0)
        mux__h2_attach(s, conn);
    move(s, conn);
}

/* ---- Detached ------------------------------------------------------------------------------- */

static void detach(mux_stream *stream, cs_err why)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);
    struct mux__wire none = wire_none(lasting->sort->limbo);
    bool said = stream->is_server && stream->finished;

    if (!stream->is_server) {
        lasting->ran = lasting->ran || !mux_stream_never_ran(stream);
        if (stream->waits)
            mux__front_give_up(stream);
    }
    if (stream->conn->h2 && stream->id > 0)
        mux__h2_detach(stream);
    stream->conn->grown -= stream->window - stream->conn->opt.window_bytes;
    mux__sendq_fini(&stream->out); /* what is kept stays */
    if (stream->is_server)
        mux__inflow_free(stream); /* what was not taken was not acknowledged */
    none.rx = stream->rx;
    none.gzip_out = stream->gzip_out && !stream->is_server;
    stream->wire = none;
    move(stream, lasting->sort->limbo);
    stream->cut = true;
    lasting->why = why;
    lasting->tell = !said;
    if (!said) /* else all is told, or will be: finish() posted it */
        mux__stream_post(stream);
}

void mux__stream_broken(mux_stream *stream, cs_err why, const char *story)
{
    if (stream->over || stream->cut)
        return;
    if (!stream->lasts || stream->conn->freed) {
        mux__stream_over(stream, why, story);
        return;
    }
    if (story && story != mux__story_of(stream))
        mux__stream_tell(stream, "%s", story);
    detach(stream, why);
}

/* All that its owner has to say is kept: he need not wait until it has arrived. */
static void end(mux_stream *stream)
{
    const struct mux_stream_ops *ops = stream->ops;

    stream->ops = NULL;
    ops->end(stream, stream->aborted ? stream->status : CS_DONE, stream->state);
    mux_stream_hand_over(stream, NULL, NULL);
    mux__lasting_of(stream)->ended = true;
}

void mux_stream_detach(mux_stream *stream)
{
    if (!stream->lasts || stream->cut || stream->over)
        return;
    mux__h2_reset(stream, false);
    mux__conn_flush_soon(stream->conn);
    detach(stream, CS_EPEER);
}

void mux__lasting_tell(mux_stream *stream)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);

    if (stream->over)
        return;
    if (stream->is_server && stream->finished && !lasting->ended)
        end(stream);
    if (!lasting->tell)
        return;
    lasting->tell = false;
    if (lasting->sort->ops->detached)
        lasting->sort->ops->detached(stream, lasting->why, user_of(lasting));
}

void mux_stream_forget(mux_stream *stream, cs_err why)
{
    static const struct mux_lasting_ops none;
    static const struct mux_lasting_sort nobody = {.ops = &none};
    bool said = stream->is_server && stream->finished && !stream->aborted;
    struct mux__lasting *lasting = mux__lasting_of(stream);

    if (lasting)
        lasting->stays = false;
    if (lasting && lasting->gone) {
        mux__lasting_free(stream);
        return;
    }
    if (lasting && lasting->ended && stream->cut && !stream->over) {
        mux__stream_free(stream); /* as most: nobody has anything to hear */
        return;
    }
    if (lasting) {
        lasting->sort = &nobody;
        if (keep_of(lasting))
            mux_keep_summed(keep_of(lasting), NULL);
    }
    if (stream->over)
        return;
    if (!said) {
        mux_stream_cancel(stream, why);
        return;
    }
    if (stream->id > 0 && !stream->trailers_out) {
        mux__h2_reset(stream, false);
        mux__conn_flush_soon(stream->conn);
    }
    mux__stream_over(stream, CS_DONE, NULL);
}

/* ---- Carried on: a server's ------------------------------------------------------------------ */

cs_err mux_stream_graft(mux_stream *stream, mux_stream *fresh, uint64_t from)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);
    struct mux__wire mine;
    mux_conn *conn;
    cs_err err;

    if (!lasting || !lasting->keeps || stream->over || stream->in_pull || !fresh->is_server ||
        fresh->submitted || fresh->finished || fresh->over || fresh->lasts)
        return CS_EMISUSE;
    err = stream->aborted ? CS_OK : may_attach(lasting, from);
    if (err != CS_OK)
        return err;
    mine = stream->wire;
    conn = stream->conn;
    mux__keep_promise(stream, fresh);
    carry(stream, fresh->conn, &fresh->wire);
    carry(fresh, conn, &mine);
    fresh->drop_rx = true;
    if (fresh->id > 0)
        mux__stream_kill(fresh, WIRE_R_SUPERSEDED);
    else
        mux__stream_over(fresh, CS_DONE, NULL);
    stream->cut = lasting->tell = false;
    stream->told = true;
    stream->dry = false;
    stream->awake = true;
    mux__stream_post(stream);
    return stream->aborted ? CS_OK : attach(lasting, stream, from);
}

void mux_stream_unset_header(mux_stream *stream, const char *name)
{
    struct mux__extra *extra = mux__extra_of(stream);

    if (extra && extra->own_headers)
        mux__meta_remove(extra->own_headers, cs_str(name));
}

/* ---- Carried on: a client's ------------------------------------------------------------------ */

static mux_stream *client_new(const struct mux_lasting_call *call, mux_conn *conn)
{
    const struct mux_lasting_sort *sort = call->sort;
    mux_stream *stream = block_new(conn, call->ops, call->state, bytes_behind(sort));

    if (stream)
        last(stream, &block_of(stream)->lasting, sort, 0, call->user);
    return stream;
}

cs_err mux_stream_open_lasting(const struct mux_lasting_call *call, mux_conn *conn,
                               cs_bytes message, mux_stream **ret)
{
    mux_stream *stream = client_new(call, conn ? conn : call->sort->limbo);
    cs_err err = CS_OK;

    if (!stream)
        return CS_ENOMEM;
    stream->what.method = call->method;
    stream->finished = call->sort->keep_max == 0;
    stream->cut = !conn;
    if (call->options)
        err = mux__stream_options(stream, call->options);
    if (err == CS_OK && conn && (err = mux__message_queue(stream, message)) == CS_OK)
        err = mux__front_open(stream);
    if (err == CS_OK)
        *ret = stream;
    else
        mux__stream_free(stream);
    return err;
}

void mux_stream_give_up(mux_stream *stream, cs_err why, const char *words)
{
    if (!stream->cut)
        return;
    if (why == CS_OK)
        why = mux__lasting_of(stream)->why ? mux__lasting_of(stream)->why : CS_ECANCELED;
    mux__stream_over(stream, why, words);
}

bool mux__lasting_again(mux_stream *stream, cs_err why)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);

    return lasting && lasting->sort->ops->again &&
           lasting->sort->ops->again(stream, why, user_of(lasting));
}

bool mux__lasting_ran(const mux_stream *stream)
{
    return stream->lasts && mux__lasting_of(stream)->ran;
}

/* What the last stream brought, but for whole messages. */
static void forget_answer(mux_stream *stream)
{
    struct mux__extra *extra = mux__extra_of(stream);

    if (stream->rx)
        mux_rx_restart(stream->rx);
    mux_stream_drop_headers(stream);
    if (extra) {
        mux__meta_free(extra->trailers);
        extra->trailers = NULL;
        cs_free(extra->story);
        extra->story = NULL;
    }
}

cs_err mux_stream_reopen(mux_stream *stream, mux_conn *conn, cs_bytes message)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);
    struct mux__wire fresh;
    cs_err err;

    if (!lasting || !stream->cut || stream->over || stream->is_server)
        return CS_EMISUSE;
    if ((err = mux__message_queue(stream, message)) != CS_OK)
        return err;
    fresh = wire_none(conn);
    fresh.born_ms = (uint32_t)cs_loop_now_ms(conn->loop);
    fresh.rx = stream->rx;
    fresh.gzip_out = conn->opt.gzip;
    carry(stream, conn, &fresh);
    mux__inflow_restart(stream);
    forget_answer(stream);
    if (stream->rx)
        mux__count_anew(&mux__inflow_of(stream)->counting);
    stream->cut = lasting->tell = false;
    /* Or nothing has been said so far. */
    stream->resends = keep_of(lasting) && mux_keep_next(keep_of(lasting)) > 0;
    if (keep_of(lasting) && !stream->resends &&
        (err = mux_keep_attach(keep_of(lasting), stream, 0)) != CS_OK)
        return err;
    err = mux__front_open(stream);
    if (stream->writable_due)
        mux__stream_post(stream);
    return err;
}

cs_err mux_stream_resend(mux_stream *stream, uint64_t from)
{
    struct mux__lasting *lasting = mux__lasting_of(stream);
    cs_err err;

    if (!lasting || !stream->resends || stream->cut)
        return CS_EMISUSE;
    if (stream->over)
        return CS_OK; /* nobody wants it any more: end() comes */
    if ((err = mux_keep_attach(keep_of(lasting), stream, from)) != CS_OK)
        return err;
    stream->resends = false;
    mux__stream_sent(stream);
    if (stream->writable_due)
        mux__stream_post(stream);
    return CS_OK;
}

bool mux_stream_was_answered(const mux_stream *stream)
{
    return stream->has_status || (stream->http_status > 0 && stream->http_status != 200);
}

bool mux__lasting_count(mux_stream *stream, const uint8_t *bytes, size_t len)
{
    const struct mux_lasting_sort *sort = mux__lasting_of(stream)->sort;

    sort->limbo->arrived += len;
    return !sort->ops->weigh ||
           mux__count(sort->ops, &mux__inflow_of(stream)->counting, bytes, len);
}

/* ---- What is known -------------------------------------------------------------------------- */

bool mux_stream_is_lasting(const mux_stream *stream)
{
    return stream->lasts;
}

bool mux_stream_is_detached(const mux_stream *stream)
{
    return stream->cut;
}

bool mux_stream_is_gone(const mux_stream *stream)
{
    return stream->lasts && mux__lasting_of(stream)->gone;
}

void *mux_stream_lasting_user(const mux_stream *stream)
{
    return stream->lasts ? user_of(mux__lasting_of(stream)) : NULL;
}

mux_keep *mux_stream_kept(const mux_stream *stream)
{
    return stream->lasts ? keep_of(mux__lasting_of(stream)) : NULL;
}

cs_err mux_stream_acked(mux_stream *stream, uint64_t next)
{
    const struct mux__lasting *lasting = mux__lasting_of(stream);

    if (!lasting || !lasting->keeps)
        return CS_EMISUSE;
    if (keep_of(lasting))
        return mux_keep_acked(keep_of(lasting), next);
    return next > lasting->of.first ? CS_EINVAL : CS_OK;
}

uint64_t mux_stream_oldest(const mux_stream *stream)
{
    const struct mux__lasting *lasting = mux__lasting_of(stream);

    if (!lasting || !lasting->keeps)
        return 0;
    return keep_of(lasting) ? mux_keep_oldest(keep_of(lasting)) : lasting->of.first;
}

uint64_t mux_stream_received(const mux_stream *stream)
{
    return stream->rx ? mux__inflow_of(stream)->counting.received : 0;
}

uint64_t mux_limbo_arrived(const mux_conn *limbo)
{
    return limbo->arrived;
}
