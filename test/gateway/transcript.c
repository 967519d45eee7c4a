#include "test/gateway/transcript.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void add(struct cs_buf *to, cs_bytes text)
{
    if (cs_buf_add(to, text) != CS_OK)
        abort();
}

static void say(struct cs_buf *to, const char *format, ...) CS_PRINTF(2, 3);
static void say(struct cs_buf *to, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add(to, cs_bytes_of(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1));
}

static void say_head(const struct gateway__http1 *http1, const struct gateway__http1_head *head,
                     struct cs_buf *to)
{
    add(to, head->method);
    add(to, cs_str(" "));
    add(to, head->target);
    add(to, cs_str(" of="));
    add(to, head->authority);
    say(to, " 1.%d", head->minor);
    if (head->length != 0)
        say(to, " len=%lld", (long long)head->length);
    add(to, cs_str(head->keeps ? " keep" : " close"));
    add(to, cs_str(head->expects ? " expects |" : " |"));
    for (size_t i = 0; i < head->fields_len; i++) {
        cs_pair field = gateway__http1_field(http1, i);
        add(to, cs_str(" "));
        add(to, field.name);
        add(to, cs_str(": "));
        add(to, field.value);
        add(to, cs_str(" |"));
    }
}

static void say_event(const struct gateway__http1 *http1, const struct gateway__http1_event *event,
                      bool *in_body, struct cs_buf *to)
{
    if (event->kind == GATEWAY__HTTP1_HEAD) {
        add(to, cs_str(to->len > 0 ? "\n" : ""));
        say_head(http1, &event->head, to);
    } else if (event->kind == GATEWAY__HTTP1_BODY) {
        add(to, cs_str(*in_body ? "" : " \""));
        add(to, event->piece);
        *in_body = true;
    } else {
        add(to, cs_str(*in_body ? "\" ." : " ."));
        *in_body = false;
    }
}

void transcript(cs_bytes bytes, size_t step, struct cs_buf *ret)
{
    struct gateway__http1 http1;
    struct gateway__http1_event event;
    const uint8_t *from = bytes.base;
    bool in_body = false;
    cs_err err = CS_AGAIN;

    gateway__http1_init(&http1, 65536, TRANSCRIPT_BODY_MAX);
    for (size_t at = 0; at < bytes.len && err == CS_AGAIN; at += step) {
        size_t len = bytes.len - at < step ? bytes.len - at : step;
        cs_bytes in = cs_bytes_of(from + at, len);
        while ((err = gateway__http1_next(&http1, &in, &event)) == CS_OK)
            say_event(&http1, &event, &in_body, ret);
        if (err == CS_AGAIN && in.len > 0)
            abort();
    }
    if (err != CS_AGAIN) {
        cs_bytes more = cs_str("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        if (gateway__http1_next(&http1, &more, &event) != err)
            abort();
        say(ret, "%s!%d %s", ret->len > 0 ? "\n" : "", http1.status, http1.words);
    } else if (!gateway__http1_is_between(&http1))
        add(ret, cs_str("~"));
    gateway__http1_fini(&http1);
}
