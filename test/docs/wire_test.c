/* wire -- the dumps, the messages and the status table of docs/WIRE are those of the code. */
#include "test/docs/doc.h"

#include "base/mem.h"
#include "proto/chanserv.pb-c.h"
#include "proto/status.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- What each dump must be ----------------------------------------------------------------- */

struct out { /* the message that was packed, and whether its prefix is shown */
    uint8_t bytes[512];
    size_t len;
};

static const uint8_t instance[8] = {0x39, 0xa5, 0x2f, 0xa7, 0x5a, 0x16, 0x29, 0x73};
static const uint8_t ticket[32] = {0x39, 0xa5, 0x2f, 0xa7, 0x5a, 0x16, 0x29, 0x73, 0,    0,    0,
                                   0,    0,    0,    0,    1,    0xf8, 0x09, 0x04, 0x6c, 0x29, 0x61,
                                   0x20, 0xba, 0x65, 0xa1, 0xe6, 0xdb, 0xc4, 0xab, 0xfb, 0x09};
static uint8_t session[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#define BYTES(array) cs_bytes_of(array, sizeof(array))

static void add(struct out *out, const void *bytes, size_t len)
{
    cr_assert_leq(out->len + len, sizeof out->bytes);
    if (len > 0)
        memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static void prefixed(struct out *out, const void *bytes, size_t len)
{
    uint8_t prefix[WIRE_PREFIX];

    wire_prefix_put(prefix, false, (uint32_t)len);
    add(out, prefix, sizeof prefix);
    add(out, bytes, len);
}

static void packed(struct out *out, cs_err err, uint8_t *bytes, size_t len)
{
    cr_assert_eq(err, CS_OK);
    prefixed(out, bytes, len);
    cs_free(bytes);
}

static void post(struct out *out, bool all)
{
    struct wire_post p = {.service = cs_str("ticker"), .body = cs_str("hello")};
    uint8_t *bytes;
    size_t len;

    if (all) {
        p.bucket = cs_str("user");
        p.inline_bytes = 4096;
        p.from = 3;
        p.channel = (struct wire_channel){true, BYTES(session), 1, 2};
    }
    cs_err err = wire_post_pack(&p, &bytes, &len);
    packed(out, err, bytes, len);
}
static void post_request(struct out *out)
{
    post(out, false);
}
static void post_request_with_all(struct out *out)
{
    post(out, true);
}

static void open_request(struct out *out)
{
    struct wire_open o = {.ticket = BYTES(ticket), .from = 2};
    uint8_t *bytes;
    size_t len;
    cs_err err = wire_open_pack(&o, &bytes, &len);

    packed(out, err, bytes, len);
}

static void announcement(struct out *out)
{
    struct wire_announcement a = {.seq = 2, .ticket = BYTES(ticket), .header = cs_str("hello")};
    uint8_t *bytes;
    size_t len;
    cs_err err = wire_announcement_pack(&a, &bytes, &len);

    packed(out, err, bytes, len);
}

static void announcement_inline(struct out *out)
{
    struct wire_frame frames[] = {{.kind = WIRE_PAYLOAD, .payload = cs_str("ab")},
                                  {.kind = WIRE_GAP, .gap_count = 2},
                                  {.kind = WIRE_PAYLOAD, .payload = cs_str("")}};
    struct wire_announcement a = {.seq = 3,
                                  .header = cs_str("h"),
                                  .frames = frames,
                                  .frames_len = 3,
                                  .end = {true, 5, cs_str("no such file: ü"), cs_str("")},
                                  .eager = true,
                                  .uplink = true};
    uint8_t *bytes;
    size_t len;
    cs_err err = wire_announcement_pack(&a, &bytes, &len);

    packed(out, err, bytes, len);
}

static void service_list(struct out *out)
{
    cs_bytes names[] = {cs_str("ticker"), cs_str("go")};
    struct wire_services s = {.instance = BYTES(instance),
                              .node = cs_str("host:80"),
                              .draining = true,
                              .names = names,
                              .names_len = 2};
    uint8_t *bytes;
    size_t len;
    cs_err err = wire_services_pack(&s, &bytes, &len);

    packed(out, err, bytes, len);
}

static void payload(struct out *out, const char *text, bool more)
{
    uint8_t msg[WIRE_FRAME_HEAD + 64];
    size_t len = wire_frame_head(msg, strlen(text), more);

    memcpy(msg + len, text, strlen(text));
    prefixed(out, msg, len + strlen(text));
}
static void frame(struct out *out)
{
    payload(out, "wait for me!", false);
}
static void frame_empty(struct out *out)
{
    payload(out, "", false);
}
static void frame_part(struct out *out)
{
    payload(out, "ab", true);
}
static void nothing(struct out *out)
{
    prefixed(out, NULL, 0);
}

static void frame_gap(struct out *out)
{
    uint8_t msg[WIRE_GAP_MAX];

    prefixed(out, msg, wire_gap_put(msg, 300, 1));
}

/* Those that nobody packs yet but protobuf-c. */
static void by_protobuf(struct out *out, const ProtobufCMessage *message, bool prefix)
{
    uint8_t msg[256];
    size_t len = protobuf_c_message_get_packed_size(message);

    cr_assert_leq(len, sizeof msg);
    protobuf_c_message_pack(message, msg);
    if (prefix)
        prefixed(out, msg, len);
    else
        add(out, msg, len);
}

static void service(struct out *out)
{
    Chanserv__V1__Service s = CHANSERV__V1__SERVICE__INIT;
    s.name = (char[]){"ticker"};
    by_protobuf(out, &s.base, false);
}

static void status(struct out *out)
{
    Chanserv__V1__Status s = CHANSERV__V1__STATUS__INIT;
    s.code = 13;
    s.message = (char[]){"oops"};
    s.reason = (char[]){"protocol"};
    by_protobuf(out, &s.base, false);
}

static void channel(struct out *out)
{
    Chanserv__V1__Channel c = CHANSERV__V1__CHANNEL__INIT;
    c.session = (ProtobufCBinaryData){sizeof session, session};
    c.attempt = 1;
    c.number = 2;
    by_protobuf(out, &c.base, false);
}

static void up_open(struct out *out)
{
    struct wire_open o = {.ticket = cs_str("t")};
    uint8_t *bytes;
    size_t len;
    cs_err err = wire_up_open_pack(&o, &bytes, &len);

    packed(out, err, bytes, len);
}

static void up_payload(struct out *out, const char *text, bool more)
{
    uint8_t msg[WIRE_UP_HEAD + 64];
    size_t len = wire_up_head(msg, strlen(text), more);

    memcpy(msg + len, text, strlen(text));
    prefixed(out, msg, len + strlen(text));
}
static void up_frame(struct out *out)
{
    up_payload(out, "hi", false);
}
static void up_part(struct out *out)
{
    up_payload(out, "ab", true);
}

static void ack_init(Chanserv__V1__Ack *ack)
{
    chanserv__v1__ack__init(ack);
    ack->number = 2;
    ack->next = 7;
}

static void ack(struct out *out)
{
    Chanserv__V1__Ack a;
    ack_init(&a);
    a.done = 1;
    a.reason = (char[]){"enough"};
    a.n_skip = 2;
    a.skip = (uint64_t[]){3, 5};
    by_protobuf(out, &a.base, false);
}

static void session_up(struct out *out)
{
    Chanserv__V1__SessionUp up = CHANSERV__V1__SESSION_UP__INIT;
    Chanserv__V1__Ack a;
    ack_init(&a);
    up.session = (ProtobufCBinaryData){sizeof session, session};
    up.attempt = 1;
    up.n_acks = 1;
    up.acks = (Chanserv__V1__Ack *[]){&a};
    by_protobuf(out, &up.base, true);
}

static void session_down(struct out *out)
{
    Chanserv__V1__SessionDown down = CHANSERV__V1__SESSION_DOWN__INIT;
    Chanserv__V1__Ack a;
    uint8_t of[sizeof instance];
    ack_init(&a);
    memcpy(of, instance, sizeof of);
    down.instance = (ProtobufCBinaryData){sizeof of, of};
    down.linger_ms = 30000;
    down.n_acks = 1;
    down.acks = (Chanserv__V1__Ack *[]){&a};
    by_protobuf(out, &down.base, true);
}

static const struct {
    const char *name;
    void (*make)(struct out *out);
} dumps[] = {
    {"services-request", nothing},
    {"service-list", service_list},
    {"service", service},
    {"post-request", post_request},
    {"post-request-with-all", post_request_with_all},
    {"open-request", open_request},
    {"announcement", announcement},
    {"announcement-inline", announcement_inline},
    {"status", status},
    {"frame", frame},
    {"frame-empty", frame_empty},
    {"frame-heartbeat", nothing},
    {"frame-part", frame_part},
    {"frame-gap", frame_gap},
    {"up-open", up_open},
    {"up-frame", up_frame},
    {"up-part", up_part},
    {"channel", channel},
    {"session-up", session_up},
    {"ack", ack},
    {"session-down", session_down},
};
enum { DUMPS = sizeof dumps / sizeof *dumps };

Test(wire, each_dump_of_the_page_is_what_the_codec_makes)
{
    char *page = doc_read("docs/WIRE");
    struct doc_block block;
    const char *at = page;
    size_t n = 0;

    for (; doc_next(&at, "hex", &block); n++) {
        struct doc_bytes said = {.len = 0};
        struct out is = {.len = 0};
        cs_bytes line;
        char *dump;

        cr_assert_lt(n, DUMPS, "nobody knows what %s is", block.name);
        cr_assert_str_eq(block.name, dumps[n].name);
        while (doc_line(&block.text, &line))
            doc_hex(&said, line);
        dumps[n].make(&is);
        dump = doc_dump(cs_bytes_of(is.bytes, is.len));
        cr_assert(doc_same(&said, cs_bytes_of(is.bytes, is.len)), "%s is: %s", block.name, dump);
        free(dump);
    }
    cr_assert_eq(n, DUMPS, "the page has no %s", dumps[n < DUMPS ? n : 0].name);
    free(page);
}

/* ---- Nothing of the schema is left out ------------------------------------------------------ */

/* "  uint32 code = 1;  // ..." of message `name`. */
static void field_is_there(const char *page, const char *name, cs_bytes line)
{
    char text[256], field[64], heading[96], words[96];
    unsigned number;
    const char *equals;

    snprintf(text, sizeof text, "%.*s", CS_FMT(line));
    if (strstr(text, "//"))
        *strstr(text, "//") = 0;
    if (!(equals = strstr(text, " = ")) || sscanf(equals, " = %u;", &number) != 1)
        return;
    while (equals > text && equals[-1] != ' ')
        equals--;
    cr_assert_eq(sscanf(equals, "%63s", field), 1);
    snprintf(heading, sizeof heading, "### `%s`", name);
    snprintf(words, sizeof words, " %u %s", number, field);
    if (strcmp(name, "Gap") == 0) /* shown inside of a Frame */
        snprintf(heading, sizeof heading, "### `Frame`");
    cr_assert(doc_has(doc_section(page, heading), words), "%s does not show \"%s\"", name, words);
}

Test(wire, each_field_of_the_schema_is_shown)
{
    char *page = doc_read("docs/WIRE"), *schema = doc_read("proto/chanserv.proto");
    cs_bytes rest = cs_str(schema), line;
    char name[64] = "";
    size_t messages = 0;

    while (doc_line(&rest, &line)) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", CS_FMT(line));
        if (sscanf(text, "message %63[A-Za-z]", name) == 1) {
            char heading[96];
            snprintf(heading, sizeof heading, "### `%s`", name);
            doc_section(page, heading);
            messages++;
        } else if (name[0]) {
            field_is_there(page, name, line);
        }
    }
    cr_assert_geq(messages, 14);
    free(page);
    free(schema);
}

/* ---- Statuses ------------------------------------------------------------------------------- */

static const struct {
    const char *err, *token, *words;
    cs_err number;
    uint32_t code;
} reasons[] = {
#define X(name, err, code, token, words) {#err, token, words, err, code},
    WIRE_REASONS(X)
#undef X
};
enum { REASONS = sizeof reasons / sizeof *reasons };

Test(wire, the_table_of_statuses_is_the_one_that_is_sent)
{
    char *page = doc_read("docs/WIRE");
    cs_bytes text = doc_section(page, "## Statuses"), line, cells[DOC_CELLS];
    size_t n = 0;

    while (doc_line(&text, &line)) {
        char *end;
        unsigned long code;

        if (doc_row(line, cells) != 6)
            continue;
        code = strtoul(cells[0].base, &end, 10);
        if (end == cells[0].base)
            continue; /* the heading */
        cr_assert_lt(n, REASONS, "there is no %.*s", CS_FMT(cells[2]));
        cr_assert_eq(code, reasons[n].code, "%s is %u", reasons[n].token, reasons[n].code);
        cr_assert(cs_same(cells[1], cs_str(wire_code_name(reasons[n].code))));
        cr_assert(cs_same(cells[2], cs_str(reasons[n].token)), "here is %s", reasons[n].token);
        cr_assert(cs_same(cells[3], cs_str(reasons[n].err)), "%s", reasons[n].err);
        cr_assert(cs_same(cells[4], cs_str(reasons[n].words)), "%s", reasons[n].words);
        cr_assert_gt(cells[5].len, 0);
        n++;
    }
    cr_assert_eq(n, REASONS, "the page has no %s", reasons[n < REASONS ? n : 0].token);
    free(page);
}
