/* web_frame -- the bytes of gRPC-Web, both ways. */
#include "gateway/web__in.h"
#include "proto/status.h"
#include "proto/wire.h"

#include <stdio.h>
#include <strings.h>

bool gateway__is_binary(cs_bytes name)
{
    return name.len > 4 && memcmp((const char *)name.base + name.len - 4, "-bin", 4) == 0;
}

/* ---- Which it is ---------------------------------------------------------------------------------- */

static const char BINARY[] = "application/grpc-web+proto",
                  TEXT[] = "application/grpc-web-text+proto";

/* `type`, in either case, or with "+proto" and the like, or parameters, behind it. */
static bool is_type(cs_bytes given, const char *type)
{
    const size_t n = strlen(type);

    return given.len >= n && strncasecmp(given.base, type, n) == 0 &&
           (given.len == n || memchr("+; \t", ((const char *)given.base)[n], 4));
}

struct gateway__web gateway__web_of(const gateway_request *request)
{
    const cs_bytes type = gateway_header(request, "content-type");
    struct gateway__web web = {.sends_text = is_type(type, "application/grpc-web-text")};

    web.is = cs_same(request->method, cs_str("POST")) &&
             (web.sends_text || is_type(type, "application/grpc-web"));
    if (!web.is)
        return (struct gateway__web){0};
    if (gateway_accepts(request, TEXT) || gateway_accepts(request, "application/grpc-web-text"))
        web.reads_text = true;
    else
        web.reads_text = web.sends_text && !gateway_accepts(request, BINARY) &&
                         !gateway_accepts(request, "application/grpc-web");
    return web;
}

const char *gateway__web_type(struct gateway__web web)
{
    return web.reads_text ? TEXT : BINARY;
}

/* ---- The request ---------------------------------------------------------------------------------- */

cs_err gateway__web_decode(cs_bytes text, struct cs_buf *to)
{
    const char *at = text.base, *end = at + text.len;
    cs_err err = cs_buf_reserve(to, text.len);

    while (err == CS_OK && at < end) {
        const char *pad = memchr(at, '=', (size_t)(end - at));
        const size_t left = (size_t)(end - at);
        const size_t four = pad ? (size_t)(pad - at) / 4 * 4 + 4 : left;
        const size_t n = four < left ? four : left;
        size_t len;

        err = wire_base64_decode((uint8_t *)to->base + to->len, cs_bytes_of(at, n), &len);
        if (err == CS_OK)
            to->len += len;
        at += n;
    }
    return err;
}

cs_err gateway__web_message(cs_bytes *rest, cs_bytes *ret)
{
    const uint8_t *at = rest->base;
    size_t len;

    if (rest->len == 0)
        return CS_DONE;
    if (rest->len < WIRE_PREFIX || at[0] > 1 ||
        (len = wire_prefix_len(at)) > rest->len - WIRE_PREFIX)
        return CS_EPROTO;
    if (at[0] == 1)
        return CS_ENOTSUP;
    *ret = cs_bytes_of(at + WIRE_PREFIX, len);
    *rest = cs_bytes_of(at + WIRE_PREFIX + len, rest->len - WIRE_PREFIX - len);
    return CS_OK;
}

/* ---- The answer ----------------------------------------------------------------------------------- */

static void add_base64(struct gateway__text *to, cs_bytes bytes)
{
    const size_t room = wire_base64_len(bytes.len) + 3;
    char *at;

    if (to->err != CS_OK || (to->err = cs_buf_reserve(&to->buf, room)) != CS_OK)
        return;
    at = (char *)to->buf.base + to->buf.len;
    for (size_t n = wire_base64_encode(at, bytes);; at[n++] = '=')
        if (n % 4 == 0) {
            to->buf.len += n;
            return;
        }
}

void gateway__web_add(struct gateway__text *to, struct gateway__web web,
                      enum gateway__web_kind kind, cs_bytes bytes)
{
    const uint8_t *from = bytes.base;
    uint8_t head[WIRE_PREFIX + 1];
    size_t n = WIRE_PREFIX;

    wire_prefix_put(head, false, (uint32_t)bytes.len);
    head[0] = (uint8_t)kind;
    if (!web.reads_text) {
        gateway__text_put(to, head, n);
        gateway__text_put(to, from, bytes.len);
        return;
    }
    if (bytes.len > 0) /* six bytes are eight digits, and nothing has to be moved together */
        head[n++] = *from++;
    add_base64(to, cs_bytes_of(head, n));
    add_base64(to, cs_bytes_of(from, bytes.len - (n - WIRE_PREFIX)));
}

void gateway__web_add_line(struct gateway__text *to, cs_pair pair)
{
    gateway__text_put(to, pair.name.base, pair.name.len);
    gateway__text_words(to, ": ");
    if (gateway__is_binary(pair.name))
        add_base64(to, pair.value);
    else
        gateway__text_put(to, pair.value.base, pair.value.len);
    gateway__text_words(to, "\r\n");
}

void gateway__web_add_status(struct gateway__text *to, cs_err err, const char *words)
{
    const uint32_t code = cs_failed(err) ? wire_code_of(err) : 0;
    const char *name = wire_code_name(code);
    const size_t len = strlen(name);
    char text[WIRE_MESSAGE_ENCODED_MAX];

    if (strncmp(words, name, len) == 0 && strncmp(words + len, ": ", 2) == 0)
        words += len + 2;
    snprintf(text, sizeof text, "grpc-status: %u\r\n", (unsigned)code);
    gateway__text_words(to, text);
    if (code == 0 || !words[0])
        return;
    gateway__text_words(to, "grpc-message: ");
    gateway__text_put(to, text, wire_percent_encode(text, cs_str(words)));
    gateway__text_words(to, "\r\n");
}

void gateway__web_add_error(struct gateway__text *to, struct gateway__web web, cs_err err,
                            const char *words)
{
    struct gateway__text lines = {.err = CS_OK};

    gateway__web_add_status(&lines, err, words);
    if (lines.err == CS_OK)
        gateway__web_add(to, web, GATEWAY__WEB_TRAILERS,
                         cs_bytes_of(lines.buf.base, lines.buf.len));
    else
        to->err = lines.err;
    cs_buf_fini(&lines.buf);
}
