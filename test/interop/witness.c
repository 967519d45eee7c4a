/* witness -- a server for the tests with other people's clients: it does what `chanserv serve`
 * has no service for, and tells what it saw of the reader's doings.
 *
 *   witness [gzip] [age=MS] [listen=ADDR] [cert=FILE] [key=FILE] [ca=FILE]
 *
 * `gzip` compresses, connections of this `age` are rolled over, `listen` is an address more, the
 * others are those of TLS.
 *
 *   mirror   the metadata that came, sent back as headers and as trailers, names turned from
 *            "x-" to "y-"; one source, whose header is the body's length
 *   well     body "COUNT SIZE": endless sources; frame k is "k:" and dots
 *   quiet    body "COUNT": sources that never say a word, and a master stream that never ends
 *   odd      one source: an empty frame, "a", a gap of 7, an empty frame, "z"
 *   eager    one source that may be asked ahead: "first", "second"
 *   talk     one source that listens: each frame comes back behind its number and a colon, a long
 *            one as its length; "enough" ends it well; the reader's last word is answered with
 *            "bye"
 *   seen     body "ID": one source, a frame a line: "NAME VALUE" of every counter, "end.REASON
 *            COUNT" of the ends that sources were told, "pulled FRAMES" of the well with this ID
 *
 * and unary methods, /interop.Calls/...:
 *
 *   Echo     the message back, and the metadata as mirror does
 *   Fail     FAILED_PRECONDITION, with a message in UTF-8
 *   Slow     answers no one
 *   Late     answers those of Slow after all: "ANSWERED LEFT", all of them and how many had left
 *
 * and health and reflection.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/admin.h"

enum { WELLS_MAX = 64 * 1024, ENDS_MAX = 16, SIZE_MAX_BYTES = 1024 * 1024 };

static uint64_t pulled[WELLS_MAX];
static unsigned wells;
static struct {
    char reason[24];
    uint64_t count;
} ends[ENDS_MAX];
static unsigned ends_len;

/* Two numbers of a body; what is missing stays as it was. */
static void read_numbers(cs_bytes body, unsigned *a, unsigned *b)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", CS_FMT(body));
    if (sscanf(text, "%u %u", a, b) < 1)
        *a = 1;
}

static void on_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    const char *reason = chanserv_outlet_reason(outlet);
    unsigned i = 0;
    (void)why;
    (void)state;
    while (i < ends_len && strcmp(ends[i].reason, reason) != 0)
        i++;
    if (i == ENDS_MAX)
        return;
    if (i == ends_len)
        snprintf(ends[ends_len++].reason, sizeof ends[i].reason, "%s", reason);
    ends[i].count++;
}

/* ---- mirror ------------------------------------------------------------------------------- */

struct said {
    unsigned at, well;
    char line[128];
};

static cs_err mirror_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)outlet;
    (void)frame;
    (void)state;
    return CS_DONE;
}

static cs_err mirror(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next = mirror_next, .end = on_end};
    static const char *const names[][2] = {{"x-word", "y-word"}, {"x-raw-bin", "y-raw-bin"}};
    char length[32];
    (void)user;
    for (size_t i = 0; i < 2; i++) {
        cs_bytes value = chanserv_post_metadata(post, names[i][0]);
        if (value.len == 0)
            continue;
        if (chanserv_post_set_header(post, names[i][1], value) != CS_OK ||
            chanserv_post_set_trailer(post, names[i][1], value) != CS_OK)
            return chanserv_post_fail(post, CS_EINTERNAL, "%s was not taken", names[i][1]);
    }
    snprintf(length, sizeof length, "%zu", body.len);
    chanserv_announce(post, cs_str(length), &ops, NULL, NULL);
    return CS_DONE;
}

/* ---- well --------------------------------------------------------------------------------- */

struct well {
    unsigned id, size;
    char *frame;
};

static cs_err well_open(chanserv_outlet *outlet, uint64_t from, void *state)
{
    struct well *well = state;
    (void)from;
    well->frame = malloc(well->size + 32);
    if (!well->frame)
        return chanserv_outlet_fail(outlet, CS_ENOMEM, "no memory for well %u", well->id);
    memset(well->frame, '.', well->size + 32);
    return CS_OK;
}

static cs_err well_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct well *well = state;
    int len = snprintf(well->frame, 32, "%" PRIu64 ":", pulled[well->id]++);
    (void)outlet;
    well->frame[len] = '.';
    *frame = cs_bytes_of(well->frame, (size_t)len > well->size ? (size_t)len : well->size);
    return CS_OK;
}

static void well_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    on_end(outlet, why, state);
    free(((struct well *)state)->frame);
}

static cs_err well(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(struct well), .open = well_open, .next = well_next, .end = well_end};
    unsigned count = 1, size = 16;
    (void)user;
    read_numbers(body, &count, &size);
    if (size > SIZE_MAX_BYTES || count > WELLS_MAX - wells)
        return chanserv_post_fail(post, CS_EINVAL, "too many wells, or too wide");
    while (count-- > 0) {
        struct well state = {.id = wells++, .size = size};
        char header[32];
        snprintf(header, sizeof header, "%u", state.id);
        chanserv_announce(post, cs_str(header), &ops, &state, NULL);
    }
    return CS_DONE;
}

/* ---- quiet -------------------------------------------------------------------------------- */

static cs_err quiet_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)outlet;
    (void)frame;
    (void)state;
    return CS_AGAIN;
}

static cs_err quiet_more(chanserv_post *post, void *state)
{
    (void)post;
    (void)state;
    return CS_AGAIN;
}

static cs_err quiet(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next = quiet_next, .end = on_end};
    static const struct chanserv_post_ops kept = {.next = quiet_more};
    unsigned count = 1, unused = 0;
    cs_err err = chanserv_post_keep(post, &kept, NULL);
    (void)user;
    if (err != CS_OK)
        return err;
    read_numbers(body, &count, &unused);
    for (unsigned i = 0; i < count; i++)
        chanserv_announce(post, cs_str("quiet"), &ops, NULL, NULL);
    return CS_AGAIN;
}

/* ---- odd, eager --------------------------------------------------------------------------- */

static cs_err odd_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    static const char *const frames[] = {"", "a", "", "z"};
    struct said *said = state;
    if (said->at == 2)
        chanserv_outlet_skip(outlet, 7, CHANSERV_GAP_OVERFLOW);
    if (said->at == 4)
        return CS_DONE;
    *frame = cs_str(frames[said->at++]);
    return CS_OK;
}

static cs_err odd(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(struct said), .next = odd_next, .end = on_end};
    (void)body;
    (void)user;
    chanserv_announce(post, cs_str("odd"), &ops, NULL, NULL);
    return CS_DONE;
}

static cs_err eager_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct said *said = state;
    (void)outlet;
    if (said->at == 2)
        return CS_DONE;
    *frame = cs_str(said->at++ == 0 ? "first" : "second");
    return CS_OK;
}

static cs_err eager(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(struct said), .next = eager_next, .end = on_end, .eager = true};
    (void)body;
    (void)user;
    chanserv_announce(post, cs_str("eager"), &ops, NULL, NULL);
    return CS_DONE;
}

/* ---- talk --------------------------------------------------------------------------------- */

static cs_err talk_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct said *said = state;
    cs_bytes heard;
    cs_err err = said->at ? CS_DONE : chanserv_outlet_recv(outlet, &heard);
    unsigned long long seq = chanserv_outlet_seq(outlet);
    if (said->at || cs_failed(err) || err == CS_AGAIN)
        return err;
    if (err == CS_DONE) {
        said->at = 1;
        *frame = cs_str("bye");
        return CS_OK;
    }
    if (cs_same(heard, cs_str("enough")))
        return CS_DONE;
    if (heard.len > 100)
        snprintf(said->line, sizeof said->line, "%llu:%zu bytes", seq, heard.len);
    else
        snprintf(said->line, sizeof said->line, "%llu:%.*s", seq, CS_FMT(heard));
    *frame = cs_str(said->line);
    return CS_OK;
}

static void talk_readable(chanserv_outlet *outlet, void *state)
{
    (void)state;
    chanserv_outlet_wake(outlet);
}

static cs_err talk(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct said),
                                                   .next = talk_next,
                                                   .readable = talk_readable,
                                                   .end = on_end,
                                                   .uplink = true};
    (void)body;
    (void)user;
    chanserv_announce(post, cs_str("talk"), &ops, NULL, NULL);
    return CS_DONE;
}

/* ---- seen --------------------------------------------------------------------------------- */

static chanserv_server *server;

static cs_err seen_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct said *said = state;
    struct chanserv_counters counters;
    unsigned at = said->at++, n = 0;
    (void)outlet;
    chanserv_server_counters(server, &counters);
#define X(name, help)                                                                              \
    if (at == n++)                                                                                 \
        snprintf(said->line, sizeof said->line, "%s %" PRIu64, #name, counters.name);
    CHANSERV_COUNTERS(X)
#undef X
    if (at >= n && at - n < ends_len)
        snprintf(said->line, sizeof said->line, "end.%s %" PRIu64, ends[at - n].reason,
                 ends[at - n].count);
    n += ends_len;
    if (at == n++)
        snprintf(said->line, sizeof said->line, "pulled %" PRIu64, pulled[said->well]);
    if (at >= n)
        return CS_DONE;
    *frame = cs_str(said->line);
    return CS_OK;
}

static cs_err seen(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct said),
                                                   .next = seen_next};
    struct said said = {0};
    unsigned unused = 0;
    (void)user;
    if (body.len > 0)
        read_numbers(body, &said.well, &unused);
    if (said.well >= WELLS_MAX)
        return chanserv_post_fail(post, CS_EINVAL, "there is no well %u", said.well);
    chanserv_announce(post, cs_str("seen"), &ops, &said, NULL);
    return CS_DONE;
}

/* ---- Unary methods ------------------------------------------------------------------------ */

enum { SLOW_MAX = 16 };

static mux_request *slow_ones[SLOW_MAX];
static unsigned slow_len;

static void echo_one(mux_request *request, cs_bytes message, void *user)
{
    static const char *const names[][2] = {{"x-word", "y-word"}, {"x-raw-bin", "y-raw-bin"}};
    mux_stream *stream = mux_request_stream(request);
    cs_err err = CS_OK;
    (void)user;
    for (size_t i = 0; i < 2 && err == CS_OK; i++) {
        cs_bytes value;
        if (mux_stream_header(stream, names[i][0], &value) != CS_OK)
            continue;
        err = mux_stream_set_header(stream, names[i][1], value);
        if (err == CS_OK)
            err = mux_stream_set_trailer(stream, names[i][1], value);
    }
    mux_request_answer(request, err, message, NULL);
}

static void fail_one(mux_request *request, cs_bytes message, void *user)
{
    (void)message;
    (void)user;
    mux_request_answer(request, CS_EPRECOND, cs_str(""),
                       "Gr\xc3\xb6\xc3\x9f"
                       "e: 5 % \xe2\x9c\x93");
}

static void slow_one(mux_request *request, cs_bytes message, void *user)
{
    (void)message;
    (void)user;
    if (slow_len == SLOW_MAX)
        mux_request_answer(request, CS_ELIMIT, cs_str(""), "too many slow ones");
    else
        slow_ones[slow_len++] = request;
}

static void answer_late(mux_request *request, cs_bytes message, void *user)
{
    unsigned left = 0, all = slow_len;
    char text[64];
    (void)message;
    (void)user;
    while (slow_len > 0) {
        left += !mux_request_stream(slow_ones[--slow_len]);
        mux_request_answer(slow_ones[slow_len], CS_OK, cs_str("late"), NULL);
    }
    snprintf(text, sizeof text, "%u %u", all, left);
    mux_request_answer(request, CS_OK, cs_str(text), NULL);
}

static void handle_calls(void)
{
    static struct {
        const char *path;
        struct mux_method method;
    } calls[] = {{"/interop.Calls/Echo", {echo_one, NULL}},
                 {"/interop.Calls/Fail", {fail_one, NULL}},
                 {"/interop.Calls/Slow", {slow_one, NULL}},
                 {"/interop.Calls/Late", {answer_late, NULL}}};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        chanserv_handle(server, calls[i].path, mux_serve_unary, &calls[i].method);
}

static void serve_all(void)
{
    chanserv_serve(server, "mirror", mirror, NULL);
    chanserv_serve(server, "well", well, NULL);
    chanserv_serve(server, "quiet", quiet, NULL);
    chanserv_serve(server, "odd", odd, NULL);
    chanserv_serve(server, "eager", eager, NULL);
    chanserv_serve(server, "talk", talk, NULL);
    chanserv_serve(server, "seen", seen, NULL);
}

/* What ARG is when it is NAME=VALUE; else TO stays as it was. */
static bool take(const char *arg, const char *name, const char **to)
{
    size_t len = strlen(name);
    if (strncmp(arg, name, len) != 0 || arg[len] != '=')
        return false;
    *to = arg + len + 1;
    return true;
}

static cs_err listen_all(const char *more)
{
    cs_err err = chanserv_listen(server, "127.0.0.1:0");
    if (err == CS_OK && more)
        err = chanserv_listen(server, more);
    if (err == CS_OK) {
        printf("listening %s\n", chanserv_server_addr(server, 0));
        fflush(stdout);
    }
    return err;
}

int main(int argc, char **argv)
{
    struct mux_tls tls = {0};
    struct chanserv_server_options options = {.signals = true};
    const char *more = NULL, *age = NULL;
    gateway_admin *admin = NULL;
    cs_err err;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "gzip") == 0) {
            options.net.gzip = true;
        } else if (!take(argv[i], "age", &age) && !take(argv[i], "listen", &more) &&
                   !take(argv[i], "cert", &tls.cert_file) && !take(argv[i], "key", &tls.key_file) &&
                   !take(argv[i], "ca", &tls.ca_file)) {
            fprintf(stderr, "witness: what is %s?\n", argv[i]);
            return 2;
        }
    }
    if (tls.cert_file)
        options.net.tls = &tls;
    if (age)
        options.net.connection_age_ms = atoi(age);
    err = chanserv_server_new(NULL, &options, &server);
    if (err != CS_OK) {
        fprintf(stderr, "witness: %s\n", cs_strerror(err));
        return 1;
    }
    serve_all();
    handle_calls();
    err = gateway_admin_new(server, &admin);
    if (err == CS_OK)
        err = listen_all(more);
    if (err == CS_OK)
        err = chanserv_server_run(server);
    if (err != CS_OK)
        fprintf(stderr, "witness: %s\n", chanserv_server_errmsg(server));
    chanserv_server_free(server);
    gateway_admin_free(admin);
    return err == CS_OK ? 0 : 1;
}
