/* server_options -- what the options of a server mean, and which cannot be. */
#include "chanserv/server__in.h"

static int64_t bytes_or(int64_t given, int64_t standard)
{
    return given == 0 ? standard : given < 0 ? INT64_MAX : given;
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

static int timeout_or(int given, int standard)
{
    return given == 0 ? standard : given < 0 ? CS_OFF : given;
}

/* A part must fit the 4 MiB that gRPC clients take by default, and so must an announcement. */
enum { PART_LIMIT = (4 << 20) - 64, INLINE_LIMIT = 1 << 20, HEADER_LIMIT = 1 << 20 };

#define RESOLVE_MS timeout_or
#define RESOLVE_BYTES bytes_or
#define RESOLVE_COUNT bytes_or

void chanserv__options_resolve(struct chanserv_server_options *o)
{
    o->serving_timeout_ms = timeout_or(o->serving_timeout_ms, CS_OFF);
    o->sourcing_timeout_ms = timeout_or(o->sourcing_timeout_ms, CS_OFF);
    o->write_timeout_ms = timeout_or(o->write_timeout_ms, CS_OFF);
    o->inline_max_bytes =
        o->inline_max_bytes < 0 ? 0 : at_most(bytes_or(o->inline_max_bytes, 65536), INLINE_LIMIT);
    o->part_bytes = at_most(bytes_or(o->part_bytes, 1 << 20), PART_LIMIT);
    o->body_max_bytes = bytes_or(o->body_max_bytes, 4 << 20);
    o->header_max_bytes = at_most(bytes_or(o->header_max_bytes, 65536), HEADER_LIMIT);
    o->linger_ms = timeout_or(o->linger_ms, 30000);
    o->grace_ms = timeout_or(o->grace_ms, 5000);
#define ROW(X, option, unit, standard, ...) o->option = RESOLVE_##unit(o->option, standard);
    CHANSERV_LIMITS(ROW, )
#undef ROW
    if (o->net.message_max_bytes == 0) /* a body is judged before it is here */
        o->net.message_max_bytes = at_most(o->body_max_bytes, UINT32_MAX);
}

static bool all_zero(const int64_t *reserved, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (reserved[i])
            return false;
    }
    return true;
}

/* One line of a lookup, and never empty. */
static bool node_ok(const char *node)
{
    size_t len = 0;

    for (; node[len]; len++)
        if (node[len] <= ' ' || node[len] > '~')
            return false;
    return len > 0 && len < 256;
}

bool chanserv__options_are_known(const struct chanserv_server_options *o)
{
    return all_zero(o->reserved, sizeof o->reserved / sizeof *o->reserved) &&
           all_zero(o->net.reserved, sizeof o->net.reserved / sizeof *o->net.reserved);
}

bool chanserv__options_names_ok(const struct chanserv_server_options *o)
{
    return (!o->name_space || wire_service_name_ok(cs_str(o->name_space))) &&
           (!o->node || node_ok(o->node));
}
