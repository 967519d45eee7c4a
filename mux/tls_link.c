/* tls_link -- see tls__in.h: a link over a link.
 *
 *     reading   inner link ──▶ OpenSSL's buffer (64 KiB) ──▶ the reader's block
 *     writing   pieces ──▶ records of up to 16 KiB ──▶ `out` (64 KiB) ──▶ inner link
 *
 * OpenSSL's writing never fails for want of room: `out` takes each record whole, and new ones are
 * made only when the inner link has had enough of the old.  So what was accepted is never asked for
 * again, and few system calls carry many records. */
#include "mux/tls__ssl.h"

#include <openssl/err.h>

enum {
    RECORD = 16 * 1024,                /* of plain bytes (RFC 8446, 5.1) */
    OUT_ROOM = 64 * 1024,              /* of `out` */
    OUT_HIGH = OUT_ROOM - RECORD - 512 /* with more in it, it is written before more is made */
};

static struct mux__tls_link *of(mux__link *link)
{
    return CS_CONTAINER(link, struct mux__tls_link, link);
}

/* ---- The inner link, as OpenSSL sees it ----------------------------------------------------- */

static int bio_read(BIO *bio, char *to, int room)
{
    struct mux__tls_link *link = BIO_get_data(bio);
    size_t n = 0;
    cs_err err = link->inner_over;

    BIO_clear_retry_flags(bio);
    if (err == CS_OK)
        err = mux__link_read(link->inner, to, (size_t)room, &n);
    if (err == CS_OK) {
        if (link->first < 0)
            link->first = (uint8_t)to[0];
        return (int)n;
    }
    if (err == CS_AGAIN && link->mute)
        err = CS_EPEER; /* all was heard; what it waits for cannot be asked any more */
    if (err == CS_AGAIN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    link->inner_over = err;
    return err == CS_DONE ? 0 : -1;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    struct mux__tls_link *link = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (link->mute)
        return len; /* reading goes on: the other side may have said why */
    if (cs_buf_add(&link->out, cs_bytes_of(from, (size_t)len)) == CS_OK)
        return len;
    link->starved = true;
    return -1;
}

static long bio_control(BIO *bio, int command, long number, void *user)
{
    (void)bio;
    (void)number;
    (void)user;
    return command == BIO_CTRL_FLUSH; /* nothing is held back here */
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *mux__tls_bio(void)
{
    BIO_METHOD *bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "link");

    if (!bio)
        return NULL;
    (void)BIO_meth_set_read(bio, bio_read);
    (void)BIO_meth_set_write(bio, bio_write);
    (void)BIO_meth_set_ctrl(bio, bio_control);
    (void)BIO_meth_set_create(bio, bio_create);
    return bio;
}

/* ---- What waits to go out ------------------------------------------------------------------- */

bool mux__tls_flush(struct mux__tls_link *link)
{
    while (link->at < link->out.len) {
        struct iovec iov = {link->out.base + link->at, link->out.len - link->at};
        size_t n = 0;
        cs_err err = mux__link_write(link->inner, &iov, 1, &n);

        if (err == CS_AGAIN)
            return false;
        if (err != CS_OK) {
            link->mute = link->more = true;
            cs_task_post(link->link.loop, CS_IO, &link->again); /* its last words, if any */
            break;
        }
        link->at += n;
    }
    link->out.len = link->at = 0;
    return true;
}

void mux__tls_settle(struct mux__tls_link *link)
{
    bool waits = link->at < link->out.len;

    if (!waits)
        cs_buf_fini(&link->out); /* an idle connection keeps no buffer */
    mux__link_want(link->inner, !link->shaken || link->wants_read, waits || link->wants_write);
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* Why OpenSSL has no bytes for us. */
static cs_err stopped(struct mux__tls_link *link)
{
    int error = SSL_get_error(link->ssl, 0);
    bool refused;

    if (error == SSL_ERROR_WANT_READ)
        return CS_AGAIN;
    if (error == SSL_ERROR_ZERO_RETURN)
        return CS_DONE;
    if (link->starved)
        return CS_ENOMEM;
    if (error == SSL_ERROR_SYSCALL && link->inner_over != CS_OK)
        return link->inner_over; /* h2 has its own ends: nothing depends on a close_notify */
    /* With TLS 1.3 a client is through with its handshake before the server has seen its
     * certificate, so a refusal arrives here; nothing we asked for was read there. */
    refused = !link->tls->is_server && !link->heard && mux__tls_was_alert();
    mux__tls_explain(link, error);
    link->link.why = link->words;
    return refused ? CS_EREFUSED : CS_EPEER;
}

static void read_again(struct mux__tls_link *link)
{
    if (link->wants_read && link->more)
        cs_task_post(link->link.loop, CS_IO, &link->again);
}

static cs_err tls_read(mux__link *plain, void *to, size_t room, size_t *ret)
{
    struct mux__tls_link *link = of(plain);
    size_t sum = 0, n;
    cs_err err = link->over;

    ERR_clear_error();
    while (err == CS_OK && sum < room) {
        if (SSL_read_ex(link->ssl, (uint8_t *)to + sum, room - sum, &n) == 1)
            sum += n;
        else
            err = stopped(link);
    }
    if (err != CS_OK && err != CS_AGAIN)
        link->over = err;
    /* The inner link may be quiet from now on though there is more to say here, be it the end. */
    link->more = sum > 0 && err != CS_AGAIN;
    (void)mux__tls_flush(link); /* what reading had to answer: alerts, updates of keys */
    mux__tls_settle(link);
    read_again(link);
    if (sum == 0)
        return err == CS_OK ? CS_AGAIN : err;
    link->heard = true;
    *ret = sum;
    return CS_OK;
}

/* Like the readiness of a socket this is a level: told until it is read. */
void mux__tls_again(cs_task *task)
{
    struct mux__tls_link *link = CS_CONTAINER(task, struct mux__tls_link, again);

    if (!link->wants_read || !link->more || !link->link.ready)
        return;
    read_again(link);
    link->link.ready(CS_IO_READ, link->link.user); /* the link may be gone now */
}

/* ---- Writing -------------------------------------------------------------------------------- */

struct pieces {
    const struct iovec *iov;
    int left;
    size_t at; /* of the first */
};

/* The next record's worth: where it lies, or else in the stage, gathered. */
static const uint8_t *gather(struct pieces *pieces, uint8_t stage[RECORD], size_t *ret)
{
    size_t sum = 0, n;

    while (pieces->left > 0 && sum < RECORD) {
        const uint8_t *from = (const uint8_t *)pieces->iov->iov_base + pieces->at;

        n = pieces->iov->iov_len - pieces->at;
        if (n > RECORD - sum)
            n = RECORD - sum;
        pieces->at += n;
        if (pieces->at == pieces->iov->iov_len) {
            pieces->iov++;
            pieces->left--;
            pieces->at = 0;
        }
        if (n == RECORD) {
            *ret = n;
            return from;
        }
        memcpy(stage + sum, from, n);
        sum += n;
    }
    *ret = sum;
    return stage;
}

static cs_err put(struct mux__tls_link *link, const uint8_t *from, size_t len)
{
    size_t n;

    ERR_clear_error();
    if (SSL_write_ex(link->ssl, from, len, &n) == 1)
        return CS_OK;
    link->over = link->starved ? CS_ENOMEM : CS_EPEER;
    return link->over;
}

static cs_err tls_write(mux__link *plain, const struct iovec *iov, int iov_len, size_t *ret)
{
    struct mux__tls_link *link = of(plain);
    struct pieces pieces = {iov, iov_len, 0};
    uint8_t stage[RECORD];
    size_t taken = 0, n;
    cs_err err = CS_AGAIN;

    if (!mux__tls_flush(link))
        return CS_AGAIN;
    if (link->mute || link->over != CS_OK)
        return cs_failed(link->over) ? link->over : CS_EPEER;
    if (cs_buf_reserve(&link->out, OUT_ROOM) != CS_OK)
        return CS_ENOMEM;
    for (;;) {
        const uint8_t *from = gather(&pieces, stage, &n);

        if (n == 0 || (err = put(link, from, n)) != CS_OK)
            break;
        taken += n;
        if (link->out.len - link->at >= OUT_HIGH && !mux__tls_flush(link))
            break;
    }
    (void)mux__tls_flush(link);
    mux__tls_settle(link);
    if (taken == 0)
        return err;
    *ret = taken;
    return CS_OK;
}

/* ---- The table ------------------------------------------------------------------------------ */

void mux__tls_inner_ready(int can, void *user)
{
    struct mux__tls_link *link = user;
    int what = can & CS_IO_GONE;

    if (!link->shaken) {
        if (link->over == CS_OK)
            mux__tls_handshake(link);
        return;
    }
    if ((can & CS_IO_READ) && link->wants_read)
        what |= CS_IO_READ;
    if (mux__tls_flush(link) && link->wants_write)
        what |= CS_IO_WRITE;
    mux__tls_settle(link);
    if (what && link->link.ready)
        link->link.ready(what, link->link.user); /* the link may be gone now */
}

static void tls_want(mux__link *plain, bool read, bool write)
{
    struct mux__tls_link *link = of(plain);

    link->wants_read = read;
    link->wants_write = write;
    mux__tls_settle(link);
    read_again(link);
}

static void tls_free(mux__link *plain)
{
    struct mux__tls_link *link = of(plain);

    if (link->shaken && link->over == CS_OK && !link->shut) {
        ERR_clear_error();
        (void)SSL_shutdown(link->ssl); /* close_notify, if it is taken at once */
        (void)mux__tls_flush(link);
    }
    cs_task_drop(&link->again);
    cs_timer_free(link->limit);
    mux__link_free(link->inner);
    SSL_free(link->ssl);
    mux__tls_drop(link->tls);
    mux__tls_peer_fini(&link->link.peer);
    cs_buf_fini(&link->out);
    cs_free(link);
}

static cs_err tls_shut(mux__link *plain)
{
    struct mux__tls_link *link = of(plain);
    bool out;

    ERR_clear_error();
    if (!link->shut && link->over == CS_OK)
        (void)SSL_shutdown(link->ssl); /* the peer's may come later: it is read as its end */
    link->shut = true;
    out = mux__tls_flush(link);
    mux__tls_settle(link);
    return out ? mux__link_shut(link->inner) : CS_AGAIN;
}

static void tls_watch(mux__link *plain, bool on)
{
    mux__link_watch(of(plain)->inner, on);
}

static void tls_leave(mux__link *plain)
{
    cs_task_drop(&of(plain)->again);
    of(plain)->wants_read = of(plain)->wants_write = false;
    of(plain)->inner->ops->leave(of(plain)->inner);
}

static cs_err tls_join(mux__link *plain, cs_loop *loop)
{
    struct mux__tls_link *link = of(plain);
    cs_err err = link->inner->ops->join(link->inner, loop);

    plain->loop = loop;
    if (err == CS_OK)
        mux__tls_settle(link);
    return err;
}

static bool tls_is_apart(mux__link *plain)
{
    return mux__link_is_apart(of(plain)->inner);
}

const struct mux__link_ops mux__tls_ops = {.read = tls_read,
                                           .write = tls_write,
                                           .want = tls_want,
                                           .free = tls_free,
                                           .shut = tls_shut,
                                           .watch = tls_watch,
                                           .leave = tls_leave,
                                           .join = tls_join,
                                           .is_apart = tls_is_apart};

mux__link *mux__tls_inner(mux__link *link)
{
    return of(link)->inner;
}
