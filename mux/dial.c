#include "mux/sock__in.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* Addresses are tried in turn, the next as soon as one refuses, or beside it when it has not
 * answered for a while; the first that answers wins (RFC 8305, 5). */
enum {
    NEXT_MS = 250, /* the Connection Attempt Delay that RFC 8305 recommends */
    AGAIN_MS = 5,  /* a unix socket whose backlog is full has no other way to say "later" */
    TIMEOUT_MS = 5000,
    STORY = 512
};

struct attempt {
    mux__dial *dial;
    int fd;    /* -1: not under way */
    cs_io *io; /* NULL while we wait to ask a full backlog again */
    int error; /* how it ended */
};

struct mux__dial {
    cs_loop *loop;
    cs_task task; /* the start; or, freed from another thread, the end */
    mux__dialed_fn *done;
    void *user;
    size_t lowat_max;
    struct mux__addr addr;
    mux__resolve *resolve;
    cs_timer *limit, *step;
    struct mux__addrs addrs;
    size_t begun, live; /* attempts: at [0 .. begun), and how many are under way */
    struct attempt attempts[MUX__ADDRS_MAX];
    char *refusal;   /* what to say instead of dialing, or NULL */
    char why[STORY]; /* it begins with "dial ADDRESS: " from the first moment on */
    size_t why_head;
};

static void attempts_next(mux__dial *dial);

/* ---- The end ------------------------------------------------------------------------------ */

static void attempt_end(struct attempt *attempt, int error)
{
    if (attempt->fd < 0)
        return;
    if (attempt->io)
        cs_io_free(attempt->io);
    close(attempt->fd);
    attempt->io = NULL;
    attempt->fd = -1;
    attempt->error = error;
    attempt->dial->live--;
}

static void settle(mux__dial *dial)
{
    for (size_t i = 0; i < dial->begun; i++)
        attempt_end(&dial->attempts[i], ETIMEDOUT);
    cs_timer_set(dial->limit, CS_OFF);
    cs_timer_set(dial->step, CS_OFF);
    mux__resolve_free(dial->resolve);
    dial->resolve = NULL;
}

/* `done` may free the dial; nothing of it is touched afterwards. */
static void fail(mux__dial *dial, const char *words)
{
    char why[STORY];

    settle(dial);
    snprintf(dial->why + dial->why_head, sizeof dial->why - dial->why_head, "%s", words);
    memcpy(why, dial->why, sizeof why);
    dial->done(NULL, why, dial->user);
}

static void tell(const mux__dial *dial, char *to, size_t len)
{
    char words[MUX__WORDS], addr[136];
    const struct attempt *first = &dial->attempts[0];
    bool all_alike = true;
    int n;

    for (size_t i = 1; i < dial->addrs.len; i++)
        all_alike = all_alike && dial->attempts[i].error == first->error;
    if (all_alike) {
        mux__sock_words(first->error, to, len);
        return;
    }
    for (size_t i = 0; i < dial->addrs.len; i++) {
        mux__sockaddr_format(&dial->addrs.at[i], addr, sizeof addr);
        mux__sock_words(dial->attempts[i].error, words, sizeof words);
        n = snprintf(to, len, "%s%s: %s", i > 0 ? "; " : "", addr, words);
        if (n < 0 || (size_t)n >= len)
            return; /* sixteen addresses do not fit a line, and need not */
        to += n;
        len -= (size_t)n;
    }
}

static void fail_all(mux__dial *dial)
{
    char words[STORY];

    settle(dial);
    tell(dial, words, sizeof words);
    fail(dial, words);
}

static void on_limit(void *user)
{
    mux__dial *dial = user;

    cs_task_drop(&dial->task); /* a loop that was busy for so long has not even begun */
    for (size_t i = dial->begun; i < dial->addrs.len; i++)
        dial->attempts[i].error = ETIMEDOUT;
    if (dial->addrs.len > 0)
        fail_all(dial);
    else
        fail(dial, dial->resolve ? "timed out looking up the name" : "timed out");
}

/* ---- One address -------------------------------------------------------------------------- */

/* A dial of a free port on this host can meet itself: the kernel may pick the very port that is
 * dialed as its own, and TCP knows a simultaneous open. */
static bool is_itself(int fd)
{
    struct mux__sockaddr here = {.len = sizeof here.u}, there = {.len = sizeof there.u};

    return getsockname(fd, &here.u.any, &here.len) == 0 &&
           getpeername(fd, &there.u.any, &there.len) == 0 && here.u.any.sa_family != AF_UNIX &&
           here.len == there.len && memcmp(&here.u, &there.u, here.len) == 0;
}

/* True: `done` was called, and the dial may be gone. */
static bool attempt_won(struct attempt *attempt)
{
    mux__dial *dial = attempt->dial;
    mux__link *link;
    int fd = attempt->fd;
    cs_err err;

    if (is_itself(fd)) {
        attempt_end(attempt, ECONNREFUSED);
        return false;
    }
    if (attempt->io)
        cs_io_free(attempt->io); /* one for each descriptor: the link makes its own */
    attempt->io = NULL;
    err = mux__link_of_socket(dial->loop, fd, dial->lowat_max, &link);
    if (err != CS_OK) {
        attempt_end(attempt, err == CS_ENOMEM ? ENOMEM : EIO);
        return false;
    }
    attempt->fd = -1;
    dial->live--;
    settle(dial);
    dial->done(link, NULL, dial->user);
    return true;
}

static void on_io(int can, void *user)
{
    struct attempt *attempt = user;
    mux__dial *dial = attempt->dial;
    int error = 0;
    socklen_t len = sizeof error;

    (void)can; /* writable is the answer of a connect(), be it a refusal */
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0)
        attempt_end(attempt, error);
    else if (attempt_won(attempt))
        return;
    attempts_next(dial);
}

/* True: the dial may be gone. */
static bool attempt_connect(struct attempt *attempt)
{
    mux__dial *dial = attempt->dial;
    const struct mux__sockaddr *sa = &dial->addrs.at[attempt - dial->attempts];
    int err;

    err = connect(attempt->fd, &sa->u.any, sa->len) == 0 ? 0 : errno;
    if (err == 0)
        return attempt_won(attempt);
    if (err == EAGAIN && sa->u.any.sa_family == AF_UNIX) {
        cs_timer_set(dial->step, AGAIN_MS);
        return false;
    }
    /* Interrupted, it goes on by itself. */
    if (err != EINPROGRESS && err != EINTR)
        attempt_end(attempt, err);
    else if (cs_io_new(dial->loop, attempt->fd, on_io, attempt, &attempt->io) != CS_OK)
        attempt_end(attempt, ENOMEM);
    else
        cs_io_want(attempt->io, CS_IO_WRITE);
    return false;
}

/* ---- All of them -------------------------------------------------------------------------- */

/* Begins attempts until one is under way.  With none left to begin it waits for those that are
 * under way, and with none of these it is over. */
static void attempts_next(mux__dial *dial)
{
    size_t live = dial->live;

    while (dial->begun < dial->addrs.len && dial->live <= live) {
        struct attempt *attempt = &dial->attempts[dial->begun];

        attempt->dial = dial;
        attempt->fd = mux__sock_new(dial->addrs.at[dial->begun].u.any.sa_family);
        dial->begun++;
        if (attempt->fd < 0) {
            attempt->error = errno;
            continue;
        }
        dial->live++;
        if (attempt_connect(attempt))
            return;
    }
    if (dial->live == 0)
        fail_all(dial);
    else if (dial->begun < dial->addrs.len)
        cs_timer_set(dial->step, NEXT_MS);
}

static void on_step(void *user)
{
    mux__dial *dial = user;
    struct attempt *first = &dial->attempts[0];

    /* A unix address is the only one of its dial: it waits for room in the backlog. */
    if (!dial->addr.is_unix)
        attempts_next(dial);
    else if (!attempt_connect(first) && first->fd < 0)
        fail_all(dial);
}

static void on_resolved(const struct mux__addrs *addrs, void *user)
{
    mux__dial *dial = user;

    mux__resolve_free(dial->resolve);
    dial->resolve = NULL;
    if (addrs->len == 0) {
        fail(dial, addrs->words);
        return;
    }
    dial->addrs = *addrs;
    attempts_next(dial);
}

static void start(cs_task *task)
{
    mux__dial *dial = CS_CONTAINER(task, mux__dial, task);
    cs_err err;

    if (dial->refusal) {
        fail(dial, dial->refusal);
    } else if (cs_loop_is_virtual(dial->loop)) {
        fail(dial, "a virtual loop has no sockets");
    } else if (mux__addr_expand(&dial->addr, dial->addrs.at, &dial->addrs.len) == CS_OK) {
        attempts_next(dial);
    } else {
        dial->addrs.len = 0;
        err = mux__resolve_new(dial->loop, &dial->addr, on_resolved, dial, &dial->resolve);
        if (err != CS_OK)
            fail(dial, err == CS_ENOMEM ? "no memory" : "no thread to look up the name");
    }
}

cs_err mux__dial_new(cs_loop *loop, const char *addr, int timeout_ms, size_t lowat_max,
                     mux__dialed_fn *done, void *user, mux__dial **ret)
{
    mux__dial *dial;
    struct mux__addr parsed;

    if (mux__addr_parse(addr, &parsed) != CS_OK)
        return CS_EINVAL;
    if (parsed.is_fd || (!parsed.is_unix && (parsed.host[0] == '\0' || parsed.port == 0)))
        return CS_EINVAL; /* good for listening only */
    dial = cs_zalloc(sizeof *dial);
    if (!dial)
        return CS_ENOMEM;
    dial->loop = loop;
    dial->done = done;
    dial->user = user;
    dial->lowat_max = lowat_max;
    dial->addr = parsed;
    for (size_t i = 0; i < MUX__ADDRS_MAX; i++)
        dial->attempts[i].fd = -1;
    dial->why_head = (size_t)snprintf(dial->why, sizeof dial->why, "dial %s: ", addr);
    cs_task_init(&dial->task, start);
    if (cs_timer_new(loop, on_limit, dial, &dial->limit) != CS_OK ||
        cs_timer_new(loop, on_step, dial, &dial->step) != CS_OK) {
        if (dial->limit)
            cs_timer_free(dial->limit);
        cs_free(dial);
        return CS_ENOMEM;
    }
    /* Without a limit it is a long one, which keeps the loop waiting for the helper thread too. */
    cs_timer_set(dial->limit, timeout_ms < 0 ? INT_MAX : timeout_ms > 0 ? timeout_ms : TIMEOUT_MS);
    cs_task_post(loop, CS_IO, &dial->task);
    *ret = dial;
    return CS_OK;
}

void mux__dial_refuse(mux__dial *dial, const char *words)
{
    cs_story(&dial->refusal, "%s", words);
}

static void reap(cs_task *task)
{
    mux__dial *dial = CS_CONTAINER(task, mux__dial, task);

    settle(dial);
    cs_timer_free(dial->limit);
    cs_timer_free(dial->step);
    cs_free(dial->refusal);
    cs_free(dial);
}

/* What a dial that is waiting to be reaped says instead of `done`. */
static void tell_nobody(mux__link *link, const char *why, void *user)
{
    (void)why;
    (void)user;
    mux__link_free(link);
}

void mux__dial_free(mux__dial *dial)
{
    if (!dial)
        return;
    cs_task_drop(&dial->task);
    if (!cs_loop_is_shared(dial->loop) || cs_loop_in_turn(dial->loop)) {
        reap(&dial->task);
        return;
    }
    /* Another thread, with the loop's lock: descriptors are not its to touch. */
    mux__resolve_free(dial->resolve);
    dial->resolve = NULL;
    dial->done = tell_nobody;
    cs_timer_set(dial->limit, CS_OFF);
    cs_timer_set(dial->step, CS_OFF);
    cs_task_init(&dial->task, reap);
    cs_task_post(dial->loop, CS_REAP, &dial->task);
}
