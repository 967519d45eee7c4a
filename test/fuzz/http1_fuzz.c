/* Any bytes as requests of HTTP/1.1: read whole and cut anywhere they are the same; and what was
 * understood is still that when it is written down anew and read again.  The same bytes as a path, a
 * form and a host; and as a body of gRPC-Web. */
#include "gateway/http1__in.h"
#include "gateway/url__in.h"
#include "gateway/web__in.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { HEAD_MAX = 4096, BODY_MAX = 2048 };

static void must(bool held)
{
    if (!held)
        abort();
}

static void add(struct cs_buf *to, cs_bytes bytes)
{
    must(cs_buf_add(to, bytes) == CS_OK);
}

/* ---- Written down anew ------------------------------------------------------------------------ */

/* What was read, as a client would send it that sends all in its plainest way. */
struct copy {
    struct cs_buf text, body;
    size_t whole; /* of the text: what was read to its end */
    struct gateway__http1_head head;
};

static bool about_the_body(cs_bytes name)
{
    return cs_same(name, cs_str("content-length")) || cs_same(name, cs_str("transfer-encoding"));
}

static void copy_head(struct copy *copy, const struct gateway__http1 *http1)
{
    const struct gateway__http1_head *head = &copy->head;
    char version[] = " HTTP/1.0\r\n";

    version[8] = (char)('0' + head->minor);
    add(&copy->text, head->method);
    add(&copy->text, cs_str(" "));
    add(&copy->text, head->target);
    add(&copy->text, cs_str(version));
    for (size_t i = 0; i < head->fields_len; i++) {
        cs_pair field = gateway__http1_field(http1, i);
        if (about_the_body(field.name))
            continue;
        add(&copy->text, field.name);
        add(&copy->text, cs_str(":"));
        add(&copy->text, field.value);
        add(&copy->text, cs_str("\r\n"));
    }
}

static void copy_end(struct copy *copy)
{
    char said[64];

    /* Never longer than it was, so that limits hold as they did. */
    if (copy->head.length < 0)
        snprintf(said, sizeof said, "Transfer-Encoding:chunked\r\n\r\n");
    else if (copy->head.length > 0)
        snprintf(said, sizeof said, "content-length:%" PRId64 "\r\n\r\n", copy->head.length);
    else
        snprintf(said, sizeof said, "\r\n");
    add(&copy->text, cs_str(said));
    must(copy->head.length < 0 || copy->head.length == (int64_t)copy->body.len);
    if (copy->head.length < 0 && copy->body.len > 0) {
        snprintf(said, sizeof said, "%zX\r\n", copy->body.len);
        add(&copy->text, cs_str(said));
    }
    add(&copy->text, cs_bytes_of(copy->body.base, copy->body.len));
    if (copy->head.length < 0)
        add(&copy->text, cs_str(copy->body.len > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n"));
    copy->body.len = 0;
    copy->whole = copy->text.len;
}

static void look(const struct gateway__http1_head *head)
{
    const char *target = head->target.base;

    must(head->method.len > 0 && head->method.len <= GATEWAY__METHOD_MAX);
    must(head->target.len > 0 && head->target.len <= GATEWAY__TARGET_MAX);
    must(target[0] == '/' || cs_same(head->target, cs_str("*")));
    must(head->length <= BODY_MAX && head->fields_len <= GATEWAY__FIELDS_MAX);
    must(head->authority.len > 0 || head->minor == 0);
}

/* Reads `in`, cut behind each byte of which `cuts` has a bit; answers the status of a refusal. */
static int reading(cs_bytes in, uint64_t cuts, struct copy *copy)
{
    struct gateway__http1 http1;
    struct gateway__http1_event event;
    const uint8_t *from = in.base;
    cs_err err = CS_AGAIN;

    gateway__http1_init(&http1, HEAD_MAX, BODY_MAX);
    for (size_t at = 0, end; at < in.len && err == CS_AGAIN; at = end) {
        for (end = at + 1; end < in.len && !(cuts >> end % 64 & 1);)
            end++;
        cs_bytes some = cs_bytes_of(from + at, end - at);
        while ((err = gateway__http1_next(&http1, &some, &event)) == CS_OK) {
            if (event.kind == GATEWAY__HTTP1_HEAD) {
                look(&event.head);
                copy->head = event.head;
                copy_head(copy, &http1);
            } else if (event.kind == GATEWAY__HTTP1_BODY) {
                must(event.piece.len > 0);
                add(&copy->body, event.piece);
            } else
                copy_end(copy);
        }
        must(err != CS_AGAIN || some.len == 0);
    }
    must(err == CS_AGAIN || err == CS_EPROTO);
    int status = http1.status;
    must(err == CS_AGAIN ? status == 0 : status >= 400 && http1.words);
    gateway__http1_fini(&http1);
    return status;
}

static void copy_fini(struct copy *copy)
{
    cs_buf_fini(&copy->text);
    cs_buf_fini(&copy->body);
}

static void requests(cs_bytes in, uint64_t cuts)
{
    struct copy whole = {.text = {0}}, cut = {.text = {0}}, again = {.text = {0}};
    int status = reading(in, 0, &whole);

    must(reading(in, cuts, &cut) == status);
    must(cs_same(cs_bytes_of(whole.text.base, whole.text.len),
                 cs_bytes_of(cut.text.base, cut.text.len)));
    must(cs_same(cs_bytes_of(whole.body.base, whole.body.len),
                 cs_bytes_of(cut.body.base, cut.body.len)));
    cs_bytes text = cs_bytes_of(whole.text.base, whole.whole);
    must(reading(text, 0, &again) == 0);
    must(cs_same(text, cs_bytes_of(again.text.base, again.text.len)));
    copy_fini(&whole);
    copy_fini(&cut);
    copy_fini(&again);
}

/* ---- URLs ------------------------------------------------------------------------------------- */

static void urls(cs_bytes text)
{
    char *room = malloc(text.len + 1), *to = room;
    cs_bytes plain, rest = text;
    cs_pair pair;
    int port;
    cs_err err;

    must(room != NULL);
    if (gateway__url_path(text, room, &plain) == CS_OK) {
        must(plain.len <= text.len && room[0] == '/' && !memchr(plain.base, 0, plain.len));
        must(!memmem(plain.base, plain.len, "/../", 4));
    }
    if (gateway__url_decode(text, room, &plain) == CS_OK)
        must(plain.len <= text.len);
    while ((err = gateway__url_form_next(&rest, &to, &pair)) == CS_OK)
        must(to <= room + text.len);
    must(err == CS_DONE || err == CS_EINVAL);
    if (gateway__url_host(text, &plain, &port))
        must(plain.len > 0 && plain.len <= text.len && port >= 0 && port <= 65535);
    free(room);
}

/* ---- gRPC-Web --------------------------------------------------------------------------------- */

/* Its messages lie in it, behind each other. */
static void messages(cs_bytes body)
{
    const uint8_t *end, *at = body.base;
    cs_bytes msg;
    cs_err err;

    if (body.len == 0)
        return;
    end = at + body.len;
    while ((err = gateway__web_message(&body, &msg)) == CS_OK) {
        must((const uint8_t *)msg.base == at + 5);
        at = (const uint8_t *)msg.base + msg.len;
        must(at <= end && body.base == at && body.len == (size_t)(end - at));
    }
    must(err == CS_DONE ? at == end : err == CS_EPROTO || err == CS_ENOTSUP);
}

static void web(cs_bytes body)
{
    struct cs_buf plain = {.base = NULL};

    messages(body);
    if (gateway__web_decode(body, &plain) == CS_OK) {
        must(plain.len <= body.len);
        messages(cs_bytes_of(plain.base, plain.len));
    }
    cs_buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint64_t cuts = 0;

    /* The first bytes say where it is cut; in a text they are many places. */
    for (size_t i = 0; i < 8 && i < len; i++)
        cuts = cuts << 8 | bytes[i];
    requests(cs_bytes_of(bytes, len), cuts * 0x9e3779b97f4a7c15u);
    requests(cs_bytes_of(bytes, len), UINT64_MAX);
    urls(cs_bytes_of(bytes, len));
    web(cs_bytes_of(bytes, len));
    return 0;
}
