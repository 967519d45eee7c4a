/* kind_echo -- a service that says back what it is told: one source, the lines of the body.
 *
 * A frame is a line without its newline; a newline at the end makes no further line. */
#include "tools/kind.h"

#include <stdio.h>

struct echo {
    size_t at; /* in the body, which lives as long as the post */
};

static cs_err echo_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    cs_bytes body = chanserv_post_body(chanserv_outlet_post(outlet));
    const char *from = body.base, *newline;
    struct echo *e = state;
    size_t len;

    if (e->at >= body.len)
        return CS_DONE;
    from += e->at;
    newline = memchr(from, '\n', body.len - e->at);
    len = newline ? (size_t)(newline - from) : body.len - e->at;
    e->at += len + 1;
    *frame = cs_bytes_of(from, len);
    return CS_OK;
}

static const struct chanserv_outlet_ops echo_ops = {
    .state_bytes = sizeof(struct echo), .next = echo_next, .eager = true};
static const struct chanserv_post_ops post_ops = {.state_bytes = 0};

static cs_err echo_post(chanserv_post *post, cs_bytes body, void *user)
{
    /* Kept, so that the body is. */
    cs_err err = chanserv_post_keep(post, &post_ops, NULL);

    (void)body;
    (void)user;
    if (err == CS_OK)
        err = chanserv_announce(post, cs_str("echo"), &echo_ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

cs_err tool_kind_no_args(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len)
{
    (void)loop;
    *ret = NULL;
    if (!args)
        return CS_OK;
    snprintf(why, why_len, "takes no arguments, but got '%s'", args);
    return CS_EINVAL;
}

void tool_kind_nothing(void *service)
{
    (void)service;
}

const struct tool_kind tool_kind_echo = {.name = "echo",
                                         .open = tool_kind_no_args,
                                         .post = echo_post,
                                         .is_stateless = true,
                                         .close = tool_kind_nothing};
