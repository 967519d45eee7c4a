/* A session whose first stream reads gzip and whose next does not, and the other way round: what is kept is
 * unpacked on its way, or goes as it is (docs/CONFORMANCE, 17). */
#include "raw.h"

static const struct mux_options READS = {.gzip = true};
enum { FRAMES = 12, WIDE = 60, MASTER = 1, SOURCE = 2, HEADER = 400 };

/* Short frames, which are not worth it, and long ones. */
static cs_bytes text_of(int n, char *to)
{
    size_t len = n % 3 == 0 ? 3 : (size_t)(500 * n);

    memset(to, 'a' + n, len);
    return cs_bytes_of(to, len);
}

struct text {
    int at;
    char text[500 * FRAMES];
};

static cs_err text_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct text *t = state;

    (void)o;
    if (t->at == FRAMES)
        return CS_DONE;
    *frame = text_of(t->at++, t->text);
    return CS_OK;
}

static const struct chanserv_outlet_ops text_ops = {.state_bytes = sizeof(struct text),
                                                    .next = text_next};

static cs_err text(chanserv_post *post, cs_bytes body, void *user)
{
    static struct text none;
    char header[HEADER];

    (void)body, (void)user;
    for (int i = 0; i < WIDE; i++) {
        memset(header, '0' + i, sizeof header);
        if (chanserv_announce(post, cs_bytes_of(header, sizeof header), &text_ops, &none, NULL) !=
            CS_OK)
            return CS_ENOMEM;
    }
    return CS_DONE;
}

static void up(void)
{
    memset(&raw, 0, sizeof raw);
    raw_up(&(struct chanserv_server_options){.net.gzip = true});
    cr_assert_eq(chanserv_serve(raw.server, "text", text, NULL), CS_OK);
}

TestSuite(session_gzip, .init = up, .fini = raw_down);

/* ---- Said ----------------------------------------------------------------------------------------- */

static void join(const struct mux_options *options, uint32_t attempt)
{
    mux_conn_free(raw.conn);
    cs_loop_settle(raw.loop);
    raw_join_with(options);
    raw_runs(raw_session(RAW_ID, attempt));
}

static struct raw_call *post_as(uint32_t attempt, uint64_t from)
{
    return raw_post_as(attempt, MASTER, "text", "", from);
}

static struct raw_call *open_as(uint32_t attempt, const struct raw_call *post, uint64_t from)
{
    return raw_open_as(attempt, SOURCE, post, from);
}

/* ---- Heard ---------------------------------------------------------------------------------------- */

static void heard_from(const struct raw_call *c, int from)
{
    char *all = cs_strdup(""), text[500 * FRAMES];

    for (int i = from; i < FRAMES; i++) {
        cs_bytes frame = text_of(i, text);
        char *more = frame.len > 64 ? cs_printf("%s%zu bytes|", all, frame.len)
                                    : cs_printf("%s%.*s|", all, CS_FMT(frame));
        cs_free(all);
        all = more;
    }
    cr_assert_str_eq(c->heard ? c->heard : "", all, "%s %s", c->errmsg, cs_strerror(c->why));
    cs_free(all);
    raw_ended(c, CS_DONE, "", "");
}

static void announced(const struct raw_call *c, const struct raw_call *first, size_t from)
{
    cr_assert_eq(c->tickets_len, WIDE - from);
    cr_assert_arr_eq(c->tickets, first->tickets[from], 32 * (WIDE - from));
    raw_ended(c, CS_DONE, "", "");
}

Test(session_gzip, first_and_then_a_reader_without_it)
{
    join(&READS, 1);
    struct raw_call *post = post_as(1, 0);
    heard_from(open_as(1, post, 0), 0);
    cr_assert_gt(raw_counters().messages_gzipped, WIDE);
    uint64_t packed = raw_counters().messages_gzipped;

    join(NULL, 2);
    heard_from(open_as(2, post, 0), 0);
    heard_from(open_as(2, post, 5), 5);
    heard_from(open_as(2, post, FRAMES), FRAMES);
    announced(post_as(2, 0), post, 0);
    announced(post_as(2, WIDE - 1), post, WIDE - 1);

    join(&READS, 3);
    heard_from(open_as(3, post, 2), 2);
    announced(post_as(3, 7), post, 7);
    cr_assert_eq(raw_counters().messages_gzipped, packed, "nothing is compressed twice");
}

Test(session_gzip, not_at_first_and_then_a_reader_with_it)
{
    join(NULL, 1);
    struct raw_call *post = post_as(1, 0);
    heard_from(open_as(1, post, 0), 0);
    join(&READS, 2);
    heard_from(open_as(2, post, 4), 4);
    announced(post_as(2, 3), post, 3);
    cr_assert_eq(raw_counters().messages_gzipped, 0);
}
