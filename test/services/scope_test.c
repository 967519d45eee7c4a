/* Small scope, through the service: all orders in which up to four come, leave and time out, with random
 * selectors, against the specification of naive.h. */
#include "services/rendezvous/rendezvous.h"
#include "test/services/naive.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { PARTIES = 10, STEP_MS = 10 };

struct one {
    struct rendezvous__party says; /* for the specification; never in a hall */
    rendezvous_meeting *meeting;   /* NULL: not there */
    char payload[2];               /* which of them he is */
    bool came, times_out;
    unsigned met; /* with whom, by the specification; 0: with nobody */
    int ends;
    cs_err why;
};

static struct {
    cs_loop *loop;
    chanserv_server *server;
    rendezvous *desk;
    chanserv_client *client;
    struct one all[PARTIES];
    unsigned waiting, stories, met, late;
} scope;

static void on_end(rendezvous_meeting *meeting, cs_err why, void *user)
{
    struct one *one = user;

    (void)meeting;
    one->ends++;
    one->why = why;
}
static const struct rendezvous_meeting_ops ops = {.end = on_end};

static cs_bytes text(const char *words)
{
    return words ? cs_str(words) : (cs_bytes){NULL, 0};
}

/* As the service reads them; an empty text is none. */
static void describe(struct rendezvous__party *says, const struct rendezvous_ask *ask)
{
    static uint64_t clock;
    char why[RENDEZVOUS__WHY];

    *says = (struct rendezvous__party){.actor = ask->actor,
                                       .mates = ask->mates == CS_OFF ? 0 : ask->mates,
                                       .takes_twins = ask->list,
                                       .number = ++clock};
    cr_assert_eq(ask->labels.len > 0 ? rendezvous__labels_parse(ask->labels, &says->labels, why)
                                     : rendezvous__labels_of(ask->actor, &says->labels),
                 CS_OK);
    cr_assert_eq(ask->selector.len > 0
                     ? rendezvous__selector_parse(ask->selector, &says->selector, why)
                     : rendezvous__selector_of(ask->actor, &says->selector),
                 CS_OK);
}

static void come(unsigned i, unsigned at, int timeout_ms)
{
    static const char *const actors[] = {"a", "b", "c", "d"};
    struct one *one = &scope.all[i];
    struct rendezvous__party *parties[PARTIES];
    unsigned set;
    char event[24];

    snprintf(event, sizeof event, "e%u.%u", scope.stories, at);
    snprintf(one->payload, sizeof one->payload, "%u", i % 10);
    const struct rendezvous_ask ask = {
        .event = cs_str(event),
        .actor = cs_str(actors[naive_below(4)]),
        .payload = cs_str(one->payload),
        .labels = text(naive_labels[naive_below(NAIVE_LABELS)]),
        .selector = text(naive_selectors[naive_below(NAIVE_SELECTORS)]),
        .mates = naive_below(20) == 0 ? CS_OFF : 1 + (int64_t)naive_below(3),
        .list = naive_below(2),
        .timeout_ms = timeout_ms};
    describe(&one->says, &ask);
    for (unsigned p = 0; p < PARTIES; p++)
        parties[p] = &scope.all[p].says;
    set = naive_group(parties, scope.waiting, i);
    scope.waiting = (scope.waiting | 1u << i) & ~set;
    for (unsigned p = 0; p < PARTIES; p++)
        if (set >> p & 1)
            scope.all[p].met = set;
    scope.met += set != 0;
    cr_assert_eq(naive_starving(parties, scope.waiting), 0);
    cr_assert_eq(rendezvous_come(scope.client, &ask, &ops, one, &one->meeting), CS_OK);
    cs_loop_settle(scope.loop);
}

/* Is it those of `set` whom he was told to have met? */
static bool is_told(struct one *one, unsigned set)
{
    const struct rendezvous_party *all;
    size_t n;

    cr_assert_eq(rendezvous_parties(one->meeting, &all, &n), CS_OK);
    for (size_t i = 0; i < n; i++)
        set ^= 1u << (*(const char *)all[i].payload.base - '0');
    return set == 0;
}

static void compare(unsigned at)
{
    struct rendezvous_counters count;

    rendezvous_count(scope.desk, &count);
    cr_assert_eq(count.waiting, (uint64_t)__builtin_popcount(scope.waiting), "story %u", at);
    for (unsigned i = 0; i < PARTIES; i++) {
        struct one *one = &scope.all[i];
        if (!one->meeting)
            continue;
        cr_assert_eq(one->ends, !(scope.waiting >> i & 1), "story %u, %u", at, i);
        if (one->ends)
            cr_assert_eq(one->why, one->met ? CS_OK : CS_ETIMEOUT, "story %u, %u: %s", at, i,
                         cs_strerror(one->why));
        cr_assert(!one->met || is_told(one, one->met), "story %u, %u", at, i);
    }
}

static void go(struct one *one, unsigned i)
{
    if (!(scope.waiting >> i & 1))
        return;
    scope.waiting &= ~(1u << i);
    if (one->times_out) {
        scope.late++;
        return; /* his time is up just now */
    }
    rendezvous_close(one->meeting);
    one->meeting = NULL;
    cs_loop_settle(scope.loop);
}

static void forget_all(void)
{
    for (unsigned i = 0; i < PARTIES; i++) {
        rendezvous_close(scope.all[i].meeting);
        if (scope.all[i].came) {
            rendezvous__labels_fini(&scope.all[i].says.labels);
            rendezvous__selector_fini(&scope.all[i].says.selector);
        }
        scope.all[i] = (struct one){.came = false};
    }
    cs_loop_settle(scope.loop);
}

static void play(const unsigned *events, unsigned len, unsigned at)
{
    naive_seed = ++scope.stories;
    for (unsigned e = 0; e < len; e++) {
        struct one *one = &scope.all[events[e]];
        unsigned last = e + 1;
        cs_loop_advance(scope.loop, STEP_MS);
        if (!one->came) {
            while (last < len && events[last] != events[e])
                last++;
            one->came = true;
            one->times_out = naive_below(2);
            come(events[e], at, one->times_out ? STEP_MS * (int)(last - e) : 0);
        } else {
            go(one, events[e]);
        }
        compare(at);
    }
    cr_assert_eq(scope.waiting, 0);
    forget_all();
}

Test(scope, all_orders_of_coming_leaving_and_being_late_are_as_specified)
{
    cr_assert_eq(cs_loop_new_virtual(&scope.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(scope.loop, NULL, &scope.server), CS_OK);
    cr_assert_eq(rendezvous_new(scope.server, NULL, &scope.desk), CS_OK);
    cr_assert_eq(chanserv_client_new(scope.loop, NULL, &scope.client), CS_OK);
    cr_assert_eq(chanserv_join_local(scope.client, scope.server), CS_OK);
    for (int parts = 0; parts < 8; parts++)
        for (unsigned parties = 1; parties <= 3; parties++)
            naive_orders(parties, play);
    naive_orders(4, play);
    cr_assert(scope.met > 500 && scope.late > 1000, "%u %u", scope.met, scope.late);
    chanserv_client_free(scope.client);
    rendezvous_free(scope.desk);
    chanserv_server_free(scope.server);
    cs_loop_free(scope.loop);
}
