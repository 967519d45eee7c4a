/* dialect -- a stream as lines of JSON, as Server-Sent Events, or as it is. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"

#include <inttypes.h>

enum gateway__dialect gateway__dialect_of(const gateway_request *request,
                                          enum gateway__dialect standard)
{
    if (gateway_accepts(request, "text/event-stream"))
        return GATEWAY__SSE;
    if (gateway_accepts(request, "application/x-ndjson"))
        return GATEWAY__NDJSON;
    return standard;
}

/* Nothing of it is anybody else's to keep or to point at: URLs in it are capabilities. */
void gateway__stream_begin(gateway_request *request, enum gateway__dialect dialect)
{
    static const char *const types[] = {"application/octet-stream", "application/x-ndjson",
                                        "text/event-stream"};

    (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
    (void)gateway_set_header(request, "referrer-policy", cs_str("no-referrer"));
    (void)gateway_set_header(request, "x-accel-buffering", cs_str("no"));
    gateway_begin(request, 200, types[dialect]);
    /* Else browsers rest for seconds after a cut; Chromium for three. */
    if (dialect == GATEWAY__SSE)
        request->piece = cs_str("retry: 500\n\n");
}

void gateway__line_begin(struct gateway__text *to, enum gateway__dialect dialect, const char *event,
                         const uint64_t *id)
{
    to->buf.len = 0;
    to->err = CS_OK;
    if (dialect != GATEWAY__SSE)
        return;
    if (event) {
        gateway__text_words(to, "event: ");
        gateway__text_words(to, event);
        gateway__text_words(to, "\n");
    }
    if (id)
        gateway_json_format(gateway__text_put, to, "id: %" PRIu64 "\n", *id);
    gateway__text_words(to, "data: ");
}

void gateway__line_end(struct gateway__text *to, enum gateway__dialect dialect)
{
    gateway__text_words(to, dialect == GATEWAY__SSE ? "\n\n" : "\n");
}
