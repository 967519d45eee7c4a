/* json_stat -- an entry of chanserv/stat.h as JSON. */
#include "chanserv/stat.h"
#include "gateway/json.h"

static void put_text(gateway_put_fn *put, void *to, const char *name, cs_bytes text)
{
    if (text.len == 0)
        return;
    put(to, ",", 1);
    gateway_json_member(put, to, name, text);
}

static void put_number(gateway_put_fn *put, void *to, const char *name, int64_t value)
{
    if (value != 0)
        gateway_json_format(put, to, ",\"%s\":%lld", name, (long long)value);
}

void gateway_json_stat(gateway_put_fn *put, void *to, const struct chanserv_stat *s, cs_bytes waits)
{
    static const char *const kinds[] = {"connection", "session", "post", "source"};

    gateway_json_format(put, to, "{\"kind\":\"%s\",\"loop\":%u,\"number\":%llu", kinds[s->kind],
                        (unsigned)s->loop, (unsigned long long)s->number);
    put_number(put, to, "of", (int64_t)s->of);
    put_text(put, to, "service", s->service);
    put_text(put, to, "peer", s->peer);
    put_text(put, to, "waits", waits);
    put_number(put, to, "age_ms", s->age_ms);
    put_number(put, to, "still_ms", s->still_ms);
    put_number(put, to, "bytes_in", (int64_t)s->bytes_in);
    put_number(put, to, "bytes_out", (int64_t)s->bytes_out);
    put_number(put, to, "messages", (int64_t)s->messages);
    put_number(put, to, "queued", (int64_t)s->queued);
    put_number(put, to, "kept", (int64_t)s->kept);
    put_number(put, to, "credit", s->credit);
    put_number(put, to, "parts", (int64_t)s->parts);
    put(to, "}", 1);
}
