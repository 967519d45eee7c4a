/* browser -- see browser.h. */
#include "browser.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct world world;

/* ---- The server ------------------------------------------------------------------------------------ */

struct gen {
    unsigned sources, frames, size;
    size_t announced;
};
struct gen_source {
    unsigned frames, size, at;
    char bytes[64 * 1024];
};

static size_t made;
static chanserv_outlet *slow;
static chanserv_post *hold;
static unsigned ticks, given, held;

void world_say(const char *format, ...)
{
    const size_t len = strlen(world.said);
    va_list args;

    va_start(args, format);
    vsnprintf(world.said + len, sizeof world.said - len, format, args);
    va_end(args);
}

size_t world_made(void)
{
    return made;
}

static cs_err gen_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct gen_source *g = state;
    int n;

    (void)outlet;
    if (g->at == g->frames)
        return CS_DONE;
    made++;
    n = snprintf(g->bytes, sizeof g->bytes, "f%u", g->at++);
    memset(g->bytes + n, 'x', sizeof g->bytes - (size_t)n);
    *frame = cs_bytes_of(g->bytes, g->size ? g->size : (size_t)n);
    return CS_OK;
}

static void gen_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE)
        world_say("source %s; ", chanserv_outlet_reason(outlet));
}

/* A second go at an old number is refused, as by most producers. */
static const struct chanserv_outlet_ops gen_source_ops = {
    .state_bytes = sizeof(struct gen_source), .next = gen_next, .end = gen_end};

static cs_err gen_post_next(chanserv_post *post, void *state)
{
    struct gen *g = state;
    struct gen_source source = {.frames = g->frames, .size = g->size};
    char header[16];
    cs_err err;

    if (g->announced == g->sources)
        return CS_DONE;
    snprintf(header, sizeof header, "s%zu", g->announced);
    err = chanserv_announce(post, cs_str(header), &gen_source_ops, &source, NULL);
    g->announced += err == CS_OK;
    return err;
}

static void gen_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    if (why != CS_DONE)
        world_say("post %s; ", cs_strerror(why));
}

static const struct chanserv_post_ops gen_ops = {
    .state_bytes = sizeof(struct gen), .next = gen_post_next, .closed = gen_closed};

static cs_err gen(chanserv_post *post, cs_bytes body, void *user)
{
    struct gen g = {1, 1, 0, 0};
    char text[64];
    cs_err err;

    (void)user;
    snprintf(text, sizeof text, "%.*s", CS_FMT(body));
    (void)sscanf(text, "%u %u %u", &g.sources, &g.frames, &g.size);
    err = chanserv_post_keep(post, &gen_ops, &g);
    return err == CS_OK ? CS_OK : err;
}

static cs_err none(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body, (void)user;
    return CS_DONE;
}

static cs_err bad(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_post_fail(post, CS_EPRECOND, "not \"today\"");
}

static cs_err slow_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    static char text[16];

    (void)state;
    slow = outlet;
    if (given == ticks)
        return CS_AGAIN;
    if (ticks == 1000)
        return chanserv_outlet_fail(outlet, CS_EDATALOSS, "torn");
    if (given == 2) /* two were left out on purpose */
        chanserv_outlet_skip(outlet, 2, CHANSERV_GAP_OVERFLOW);
    snprintf(text, sizeof text, "tick%u", given++);
    *frame = cs_str(text);
    return CS_OK;
}

static void slow_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    (void)state, (void)why;
    slow = NULL;
    world_say("slow %s; ", chanserv_outlet_reason(outlet));
}

static cs_err slowly(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next = slow_next, .end = slow_end};

    (void)body, (void)user;
    return chanserv_announce(post, cs_str("slow"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static cs_err hold_next(chanserv_post *post, void *state)
{
    struct gen_source source = {.frames = 1};

    (void)state;
    if (held == ticks)
        return CS_AGAIN;
    held++;
    return chanserv_announce(post, cs_str("held"), &gen_source_ops, &source, NULL);
}

static void hold_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    hold = NULL;
    world_say("hold %s; ", cs_strerror(why));
}

static cs_err holds(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = hold_next, .closed = hold_closed};

    (void)body, (void)user;
    hold = post;
    return chanserv_post_keep(post, &ops, NULL) == CS_OK ? CS_OK : CS_ENOMEM;
}

void world_tick(void)
{
    ticks++;
    if (slow)
        chanserv_outlet_wake(slow);
    if (hold)
        chanserv_post_wake(hold);
    cs_loop_settle(world.loop);
}

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    static const char *const verbs[] = {"post", "open", "list", "raw"};

    (void)user;
    for (size_t i = 0; i < request->metadata_len; i++)
        if (cs_same(request->metadata[i].value, cs_str("secret")))
            return CS_OK;
    if (world.verdict != CS_OK) {
        world_say("%s %.*s by %.*s; ", verbs[request->verb], CS_FMT(request->service),
                  CS_FMT(request->peer->addr));
        snprintf(request->why, CHANSERV_WHY_MAX, "show yourself");
    }
    return world.verdict;
}

cs_err world_up(const struct gateway_options *options)
{
    const struct chanserv_server_options so = {.authorise = authorise};
    cs_err err;

    memset(&world, 0, sizeof world);
    made = ticks = given = held = 0;
    slow = NULL;
    hold = NULL;
    if ((err = cs_loop_new_virtual(&world.loop)) == CS_OK &&
        (err = chanserv_server_new(world.loop, &so, &world.server)) == CS_OK &&
        (err = chanserv_serve(world.server, "gen", gen, NULL)) == CS_OK &&
        (err = chanserv_serve(world.server, "none", none, NULL)) == CS_OK &&
        (err = chanserv_serve(world.server, "bad", bad, NULL)) == CS_OK &&
        (err = chanserv_serve(world.server, "slow", slowly, NULL)) == CS_OK &&
        (err = chanserv_serve(world.server, "hold", holds, NULL)) == CS_OK)
        err = gateway_new(world.server, options, &world.gw);
    return err;
}

void world_down(void)
{
    gateway_free(world.gw);
    chanserv_server_free(world.server);
    cs_loop_free(world.loop);
}

/* ---- The transport ------------------------------------------------------------------------------------- */

static cs_err begin(void *carrier, const struct gateway__answer *answer)
{
    struct browser *b = carrier;

    cr_assert_eq(b->status, 0);
    cr_assert(answer->status >= 200 && answer->status < 600);
    if (b->refuses != CS_OK)
        return b->refuses;
    b->status = answer->status;
    b->length = answer->length;
    b->bare = answer->bare;
    for (size_t i = 0; i < answer->headers_len; i++) {
        const size_t len = strlen(b->headers);

        snprintf(b->headers + len, sizeof b->headers - len, "%.*s: %.*s\n",
                 CS_FMT(answer->headers[i].name), CS_FMT(answer->headers[i].value));
    }
    return CS_OK;
}

static cs_err write_piece(void *carrier, cs_bytes piece)
{
    struct browser *b = carrier;

    cr_assert_neq(b->status, 0);
    cr_assert(!b->bare && !b->finished && b->aborted == CS_OK);
    cr_assert(piece.len > 0 && piece.len <= GATEWAY__PIECE);
    if (b->refuses != CS_OK)
        return b->refuses;
    if (b->room == 0) {
        b->wants_room = true;
        return CS_AGAIN;
    }
    cr_assert_leq(b->len + piece.len, (size_t)BROWSER_BODY);
    memcpy(b->body + b->len, piece.base, piece.len);
    b->len += piece.len;
    b->body[b->len] = '\0';
    if (b->room != SIZE_MAX)
        b->room -= piece.len < b->room ? piece.len : b->room;
    return CS_OK;
}

static void finish(void *carrier)
{
    struct browser *b = carrier;

    cr_assert_neq(b->status, 0);
    cr_assert(!b->finished && b->aborted == CS_OK);
    cr_assert(b->bare || b->length < 0 || (size_t)b->length == b->len);
    b->finished = true;
    b->request = NULL;
}

static void abort_answer(void *carrier, cs_err why)
{
    struct browser *b = carrier;

    cr_assert(!b->finished && b->aborted == CS_OK);
    cr_assert(cs_failed(why));
    b->aborted = why;
    b->request = NULL;
}

static const struct gateway__transport transport = {
    .begin = begin, .write = write_piece, .finish = finish, .abort = abort_answer};

const struct gateway__transport *browser_transport(void)
{
    return &transport;
}

/* ---- The browser --------------------------------------------------------------------------------------- */

void browser_init(struct browser *b)
{
    *b = (struct browser){.room = SIZE_MAX, .body = calloc(1, BROWSER_BODY + 1)};
}

void browser_leave(struct browser *b)
{
    if (b->request)
        gateway__request_left(b->request, CS_EPEER);
    b->request = NULL;
    cs_loop_settle(world.loop);
}

void browser_fini(struct browser *b)
{
    if (world.loop)
        browser_leave(b);
    free(b->body);
}

static size_t split(const char *const *fields, cs_pair *to)
{
    size_t n = 0;

    for (; fields && fields[n]; n++) {
        const char *colon = strstr(fields[n], ": ");

        to[n].name = cs_bytes_of(fields[n], (size_t)(colon - fields[n]));
        to[n].value = cs_str(colon + 2);
    }
    return n;
}

cs_err browser_ask_from(struct browser *b, const char *addr, const char *what,
                        const char *const *fields, const char *body)
{
    const struct mux_peer peer = {.addr = cs_str(addr), .uid = -1, .gid = -1, .pid = -1};
    const char *space = strchr(what, ' ');
    cs_pair pairs[16];
    struct gateway__head head = {.method = cs_bytes_of(what, (size_t)(space - what)),
                                 .target = cs_str(space + 1),
                                 .authority = cs_str("localhost:80"),
                                 .fields = pairs,
                                 .length = body ? (int64_t)strlen(body) : 0};
    cs_err err;

    head.fields_len = split(fields, pairs);
    for (size_t i = 0; i < head.fields_len; i++)
        if (cs_same(pairs[i].name, cs_str("host")))
            head.authority = pairs[i].value;
    if ((err = gateway__request_new(world.gw, &transport, b, &peer, &b->request)) != CS_OK)
        return err;
    if (gateway__request_head(b->request, &head) &&
        (!body || gateway__request_body(b->request, cs_str(body))))
        gateway__request_end(b->request);
    cs_loop_settle(world.loop);
    return CS_OK;
}

cs_err browser_ask(struct browser *b, const char *what, const char *const *fields, const char *body)
{
    return browser_ask_from(b, "10.0.0.1:5000", what, fields, body);
}

void browser_room(struct browser *b, size_t room)
{
    b->room = room;
    if (b->wants_room && b->request) {
        b->wants_room = false;
        gateway__request_room(b->request);
    }
    cs_loop_settle(world.loop);
}

const char *browser_header(const struct browser *b, const char *name)
{
    static char value[512];
    const size_t len = strlen(name);

    for (const char *at = b->headers; *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, name, len) == 0 && at[len] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)(strchr(at, '\n') - at - (int)len - 2),
                     at + len + 2);
            return value;
        }
    return "";
}
