/* kind_stdin -- `stdin:[history=N]`: the lines of our own standard input, for every reader.
 *
 * It is read as it comes and never stopped: who reads more slowly than it is written gets gaps.
 * What is kept for the slow, and for those that come later, is one ring for all of them. */
#include "tools/kind.h"
#include "tools/lines.h"
#include "tools/loop_watch.h"
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* At once no more is read than a reader's turn has room for (FAIRNESS in server.h), so that one who
 * takes all he can is not behind. */
enum { KEPT_BYTES = 1 << 20, KEPT_LINES = 10000, AT_ONCE = 16 << 10 };

struct input {
    chanserv_fanout *fanout;
    struct lines lines;
    struct tool_watch *watch; /* of a pipe, a socket, a terminal */
    cs_timer *again;          /* of anything else, which is always ready */
};

/* It has one end to read from, and two services would tear its lines apart. */
static bool taken;

/* ---- Reading -------------------------------------------------------------------------------- */

static void stop_reading(struct input *in)
{
    tool_watch_free(in->watch);
    in->watch = NULL;
    if (in->again)
        cs_timer_free(in->again);
    in->again = NULL;
    lines_clear(&in->lines);
}

static cs_err publish(struct input *in, cs_bytes line)
{
    cs_ref frame;
    cs_err err = cs_ref_copy(line, &frame);

    if (err == CS_OK && (err = chanserv_fanout_publish(in->fanout, &frame)) != CS_OK)
        cs_ref_drop(&frame);
    return err;
}

/* CS_DONE: that was all. */
static cs_err read_some(struct input *in)
{
    size_t len;
    uint8_t *to = lines_room(&in->lines, &len);
    cs_bytes line;
    cs_err err = CS_OK;
    ssize_t n;

    if (!to)
        return CS_ENOMEM;
    n = read(STDIN_FILENO, to, len < AT_ONCE ? len : AT_ONCE);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return CS_OK;
    if (n < 0) {
        tool_complain("serve", "read standard input: %s", strerror(errno));
        return CS_ESYS;
    }
    lines_added(&in->lines, (size_t)n);
    while (err == CS_OK && lines_next(&in->lines, &line))
        err = publish(in, line);
    if (n > 0 || err != CS_OK)
        return err;
    if (lines_rest(&in->lines, &line))
        err = publish(in, line);
    return err == CS_OK ? CS_DONE : err;
}

static void readable(void *user)
{
    struct input *in = user;
    cs_err err = read_some(in);

    if (err == CS_OK) {
        if (in->again)
            cs_timer_set(in->again, 0);
        return;
    }
    stop_reading(in);
    chanserv_fanout_finish(in->fanout, err);
}

/* epoll(7) knows no regular files, nor devices like /dev/null. */
static bool can_be_watched(void)
{
    struct stat st;

    return isatty(STDIN_FILENO) ||
           (fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

static cs_err begin(struct input *in, cs_loop *loop)
{
    cs_err err;

    if (can_be_watched())
        return tool_watch_new(loop, STDIN_FILENO, readable, in, &in->watch);
    err = cs_timer_new(loop, readable, in, &in->again);
    if (err == CS_OK)
        cs_timer_set(in->again, 0);
    return err;
}

/* ---- The service ---------------------------------------------------------------------------- */

static cs_err stdin_post(chanserv_post *post, cs_bytes body, void *user)
{
    struct input *in = user;
    cs_err err = chanserv_fanout_announce(in->fanout, post, cs_str("stdin"));

    (void)body;
    return err == CS_OK ? CS_DONE : err;
}

static void stdin_close(void *service)
{
    struct input *in = service;

    taken = false;
    stop_reading(in);
    if (in->fanout)
        chanserv_fanout_free(in->fanout);
    free(in);
}

static cs_err parse(const char *args, uint64_t *history, char *why, size_t why_len)
{
    int mode = fcntl(STDIN_FILENO, F_GETFL);
    cs_bytes rest = cs_str(args ? args : "");
    cs_pair pair;

    while (tool_query_next(&rest, &pair)) {
        if (cs_same(pair.name, cs_str("history")) && tool_number(pair.value, KEPT_LINES, history))
            continue;
        snprintf(why, why_len, "wants history=N, from 0 to %d, or nothing, but got '%s'",
                 KEPT_LINES, args);
        return CS_EINVAL;
    }
    if (taken) {
        snprintf(why, why_len, "standard input can be only one service");
        return CS_EINVAL;
    }
    if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY) {
        snprintf(why, why_len, "standard input is closed");
        return CS_EINVAL;
    }
    return CS_OK;
}

static cs_err stdin_open(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len)
{
    struct chanserv_fanout_options options = {
        .bytes = KEPT_BYTES, .frames = KEPT_LINES, .slow = CHANSERV_SLOW_SKIP};
    struct input *in;
    uint64_t history = 0;
    cs_err err = parse(args, &history, why, why_len);

    if (err != CS_OK)
        return err;
    in = calloc(1, sizeof *in);
    if (!in)
        return CS_ENOMEM;
    options.history = (int64_t)history;
    err = chanserv_fanout_new(loop, &options, &in->fanout);
    if (err == CS_OK)
        err = begin(in, loop);
    if (err != CS_OK) {
        stdin_close(in);
        return err;
    }
    taken = true;
    *ret = in;
    return CS_OK;
}

const struct tool_kind tool_kind_stdin = {
    .name = "stdin", .open = stdin_open, .post = stdin_post, .close = stdin_close};
