/* Who meets whom, against a specification that tries every subset. */
#include "services/rendezvous/hall__in.h"
#include "test/services/naive.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTIES = 10 };

struct one {
    struct rendezvous__party party;
    char actor[8];
    bool is_in;
};

static struct {
    struct rendezvous__hall hall;
    struct rendezvous__group *formed[PARTIES];
    size_t formed_len;
} stage;

static void formed(struct rendezvous__group *group, void *user)
{
    (void)user;
    if (stage.formed_len < PARTIES)
        stage.formed[stage.formed_len] = group;
    stage.formed_len++;
}

static void begin(void)
{
    rendezvous__hall_init(&stage.hall, formed, NULL);
    stage.formed_len = 0;
}

static void end(void)
{
    cr_assert_eq(stage.hall.len, 0);
    cr_assert_null(stage.hall.events);
    rendezvous__hall_fini(&stage.hall);
}

static void make(struct one *one, const char *actor, int64_t mates, const char *labels,
                 const char *selector)
{
    char why[RENDEZVOUS__WHY];

    *one = (struct one){.party.event = cs_str("e"), .party.mates = mates};
    snprintf(one->actor, sizeof one->actor, "%s", actor);
    one->party.actor = cs_str(one->actor);
    if (labels)
        cr_assert_eq(rendezvous__labels_parse(cs_str(labels), &one->party.labels, why), CS_OK);
    else
        cr_assert_eq(rendezvous__labels_of(cs_str(actor), &one->party.labels), CS_OK);
    if (selector)
        cr_assert_eq(rendezvous__selector_parse(cs_str(selector), &one->party.selector, why),
                     CS_OK);
    else
        cr_assert_eq(rendezvous__selector_of(cs_str(actor), &one->party.selector), CS_OK);
}

static void unmake(struct one *one)
{
    rendezvous__leave(&stage.hall, &one->party);
    rendezvous__labels_fini(&one->party.labels);
    rendezvous__selector_fini(&one->party.selector);
}

static void enter(struct one *one)
{
    cr_assert_eq(rendezvous__enter(&stage.hall, &one->party), CS_OK);
}

static void come(struct one *one, const char *actor, int64_t mates, const char *labels,
                 const char *selector)
{
    make(one, actor, mates, labels, selector);
    enter(one);
}

static bool is_with(const struct one *a, const struct one *b)
{
    return a->party.group && a->party.group == b->party.group;
}

/* ---- The original's tests, and its faults --------------------------------------------------- */

Test(hall, two_meet)
{
    struct one a, b;

    begin();
    come(&a, "a", 1, NULL, NULL);
    cr_assert_eq(stage.formed_len, 0, "nobody passes alone");
    cr_assert_eq(rendezvous__missing(&stage.hall, &a.party), 1);
    come(&b, "b", 1, NULL, NULL);
    cr_assert_eq(stage.formed_len, 1);
    cr_assert_eq(stage.formed[0]->len, 2);
    rendezvous__release(&stage.hall, stage.formed[0]);
    unmake(&a);
    unmake(&b);
    end();
}

Test(hall, who_wants_nobody_has_met_at_once)
{
    struct one a, b;

    begin();
    come(&a, "a", 1, NULL, NULL);
    come(&b, "b", 0, NULL, NULL);
    cr_assert_eq(stage.formed_len, 1);
    cr_assert_eq(stage.formed[0]->len, 1);
    unmake(&b);
    unmake(&a);
    end();
}

/* What was told of an event is not told of the next, which may lie where that one lay. */
Test(hall, the_same_event_again_is_of_another_version)
{
    struct one a;
    uint64_t before;

    begin();
    come(&a, "a", 1, NULL, NULL);
    before = rendezvous__version(&a.party);
    unmake(&a);
    come(&a, "b", 1, NULL, NULL);
    cr_assert_neq(rendezvous__version(&a.party), before);
    unmake(&a);
    end();
}

/* Mates 3, 1, 1: the two that could meet did so in 7 of 20 runs. */
Test(hall, a_modest_pair_does_not_wait_for_who_wants_more)
{
    struct one a, b, c;

    begin();
    come(&a, "a", 3, NULL, NULL);
    come(&b, "b", 1, NULL, NULL);
    come(&c, "c", 1, NULL, NULL);
    cr_assert_eq(stage.formed_len, 1);
    cr_assert(is_with(&b, &c));
    cr_assert_null(a.party.group);
    unmake(&a);
    unmake(&b);
    cr_assert_null(c.party.group, "he whose mate left waits again");
    unmake(&c);
    end();
}

Test(hall, one_actor_meets_itself_only_in_lists)
{
    struct one all[2];

    for (int lists = 0; lists < 4; lists++) {
        begin();
        for (int i = 0; i < 2; i++) {
            make(&all[i], "a", 1, "x=1", "");
            all[i].party.takes_twins = lists >> i & 1;
            enter(&all[i]);
        }
        cr_assert_eq(stage.formed_len, lists == 3, "both have to: %d", lists);
        unmake(&all[0]);
        unmake(&all[1]);
        end();
    }
}

/* The original compared only the newest with each. */
Test(hall, all_of_a_group_accept_each_other)
{
    struct one a, b, c, d;

    begin();
    come(&a, "a", 2, "x=1", "x");
    come(&b, "b", 2, "x=2,no=1", "x");
    come(&c, "c", 2, "x=3", "x,!no");
    cr_assert_eq(stage.formed_len, 0);
    come(&d, "d", 2, "x=4", "x");
    cr_assert_eq(stage.formed_len, 1);
    cr_assert(is_with(&a, &b) && is_with(&b, &d), "the oldest decide");
    unmake(&a);
    cr_assert_eq(stage.formed_len, 1, "b and c do not accept each other");
    cr_assert_null(b.party.group);
    unmake(&b);
    unmake(&c);
    unmake(&d);
    end();
}

Test(hall, who_vanished_before_release_dissolves_the_group_and_others_may_meet)
{
    struct one a, b, c;

    begin();
    come(&a, "a", 1, NULL, NULL);
    come(&b, "b", 1, NULL, NULL);
    come(&c, "c", 1, NULL, NULL);
    cr_assert_eq(stage.formed_len, 1);
    unmake(&a);
    cr_assert_eq(stage.formed_len, 2);
    cr_assert_eq(stage.hall.dissolved, 1);
    cr_assert(is_with(&b, &c));
    unmake(&b);
    unmake(&c);
    end();
}

/* Those of the same selector are asked as one: "x" of one is not "all but x" of another. */
Test(hall, who_is_called_as_another_wants_is_not_taken_for_him)
{
    struct one a, b, c;

    begin();
    come(&a, "x", 1, "n=1", NULL);
    come(&b, "b", 1, "actor=x", "x");
    come(&c, "c", 1, "n=1", NULL);
    cr_assert_eq(stage.formed_len, 1);
    cr_assert(is_with(&a, &c));
    unmake(&a);
    unmake(&b);
    unmake(&c);
    end();
    begin();
    come(&b, "b", 1, "actor=x", "x");
    come(&a, "x", 1, "n=1", NULL);
    come(&c, "c", 1, "n=1", NULL);
    cr_assert(is_with(&a, &c));
    unmake(&a);
    unmake(&b);
    unmake(&c);
    end();
}

/* ---- Small scope, all of it ----------------------------------------------------------------- */

/* As naive.h has them. */
static struct rendezvous__party *const *those(struct one *all)
{
    static struct rendezvous__party *parties[PARTIES];

    for (unsigned i = 0; i < PARTIES; i++)
        parties[i] = &all[i].party;
    return parties;
}

static unsigned members(struct one *all, const struct rendezvous__group *group)
{
    unsigned set = 0;

    for (unsigned i = 0; i < PARTIES; i++)
        if (all[i].is_in && all[i].party.group == group)
            set |= 1u << i;
    cr_assert_eq((size_t)__builtin_popcount(set), group->len);
    return set;
}

static void make_random(struct one *one)
{
    static const char *const actors[] = {"a", "b", "c", "d"};
    const unsigned selector = naive_below(NAIVE_SELECTORS), labels = naive_below(NAIVE_LABELS);

    make(one, actors[naive_below(4)], 1 + (int64_t)naive_below(4) * (naive_below(3) > 0),
         naive_labels[labels], naive_selectors[selector]);
    one->party.takes_twins = naive_below(2);
    if (naive_below(20) == 0)
        one->party.mates = 0;
}

static void let_go(struct one *all, unsigned set)
{
    for (unsigned i = 0; i < PARTIES; i++)
        if (set >> i & 1) {
            unmake(&all[i]);
            all[i].is_in = false;
        }
}

/* Each step one comes or goes; groups are released at once. */
static void play(unsigned seed, unsigned parties)
{
    struct one all[PARTIES] = {{.is_in = false}};
    unsigned waiting = 0;

    naive_seed = seed;
    begin();
    for (int step = 0; step < 40; step++) {
        unsigned i = naive_below(parties);
        stage.formed_len = 0;
        if (all[i].is_in) {
            waiting &= ~(1u << i);
            let_go(all, 1u << i);
            cr_assert_eq(stage.formed_len, 0, "seed %u: who leaves makes nobody meet", seed);
            continue;
        }
        make_random(&all[i]);
        all[i].is_in = true;
        all[i].party.number = UINT64_MAX;
        unsigned wanted = naive_group(those(all), waiting, i);
        enter(&all[i]);
        cr_assert_eq(stage.formed_len, wanted != 0, "seed %u, step %d: %x", seed, step, wanted);
        waiting |= 1u << i;
        if (!wanted)
            continue;
        unsigned got = members(all, stage.formed[0]);
        cr_assert_eq(got, wanted, "seed %u, step %d: %x and not %x", seed, step, got, wanted);
        rendezvous__release(&stage.hall, stage.formed[0]);
        let_go(all, got);
        waiting &= ~got;
    }
    cr_assert_eq(stage.hall.greedy, 0);
    let_go(all, waiting);
    end();
}

Test(hall, groups_are_those_of_the_specification)
{
    for (unsigned seed = 1; seed <= 4000; seed++)
        play(seed, 5);
    for (unsigned seed = 1; seed <= 1000; seed++)
        play(seed, PARTIES);
}

/* Whoever waits is in no possible group, and each group is one. */
static void check(struct one *all, unsigned seed)
{
    unsigned waiting = 0;

    for (unsigned i = 0; i < PARTIES; i++) {
        if (!all[i].is_in)
            continue;
        if (!all[i].party.group)
            waiting |= 1u << i;
        else
            cr_assert(naive_is_group(those(all), members(all, all[i].party.group)), "seed %u",
                      seed);
    }
    cr_assert_eq(naive_starving(those(all), waiting), 0, "seed %u", seed);
}

/* Groups stand for a while, and dissolve when one of them leaves. */
static void play_slowly(unsigned seed)
{
    struct one all[PARTIES] = {{.is_in = false}};

    naive_seed = seed;
    begin();
    for (int step = 0; step < 60; step++) {
        unsigned i = naive_below(PARTIES);
        if (!all[i].is_in) {
            make_random(&all[i]);
            all[i].is_in = true;
            enter(&all[i]);
        } else if (all[i].party.group && naive_below(3) == 0) {
            unsigned set = members(all, all[i].party.group);
            rendezvous__release(&stage.hall, all[i].party.group);
            let_go(all, set);
        } else {
            let_go(all, 1u << i);
        }
        check(all, seed);
    }
    for (unsigned i = 0; i < PARTIES; i++)
        if (all[i].is_in)
            let_go(all, 1u << i);
    end();
}

Test(hall, nobody_waits_who_could_meet)
{
    for (unsigned seed = 1; seed <= 500; seed++)
        play_slowly(seed);
}

/* ---- All orders of coming and going, of up to five -------------------------------------------- */

static struct {
    struct one all[PARTIES];
    unsigned waiting, groups[PARTIES]; /* by the specification; groups[i]: of i, or 0 */
    unsigned stories, met, dissolved;
} scope;

/* `newest` waits: with whom does he have to meet? */
static void specify(unsigned newest)
{
    const unsigned set = naive_group(those(scope.all), scope.waiting & ~(1u << newest), newest);

    for (unsigned i = 0; i < PARTIES; i++)
        if (set >> i & 1)
            scope.groups[i] = set;
    scope.waiting &= ~set;
}

/* The others of his group keep their places, and the oldest of them looks first. */
static void specify_leaving(unsigned one)
{
    unsigned others = scope.groups[one] & ~(1u << one), oldest;

    scope.waiting &= ~(1u << one);
    scope.groups[one] = 0;
    scope.dissolved += others != 0;
    scope.waiting |= others;
    for (unsigned i = 0; i < PARTIES; i++)
        if (others >> i & 1)
            scope.groups[i] = 0;
    for (; others; others &= ~(1u << oldest)) {
        oldest = (unsigned)__builtin_ctz(others);
        for (unsigned i = 0; i < PARTIES; i++)
            if ((others >> i & 1) && scope.all[i].party.number < scope.all[oldest].party.number)
                oldest = i;
        if (scope.waiting >> oldest & 1)
            specify(oldest);
    }
}

static void compare(unsigned at)
{
    for (unsigned i = 0; i < PARTIES; i++) {
        const struct rendezvous__group *group = scope.all[i].party.group;
        if (scope.all[i].is_in)
            cr_assert_eq(group ? members(scope.all, group) : 0, scope.groups[i], "order %u: %u", at,
                         i);
    }
    cr_assert_eq(naive_starving(those(scope.all), scope.waiting), 0, "order %u", at);
}

/* A turn ends: who is in a group has met. */
static void release_all(void)
{
    for (unsigned i = 0; i < PARTIES; i++) {
        const unsigned set = scope.all[i].is_in ? scope.groups[i] : 0;
        if (!set)
            continue;
        rendezvous__release(&stage.hall, scope.all[i].party.group);
        let_go(scope.all, set);
        scope.met++;
        for (unsigned j = 0; j < PARTIES; j++)
            if (set >> j & 1)
                scope.groups[j] = 0;
    }
}

/* Who comes again, goes: by himself, or because his time is up; the hall does not tell them apart. */
static void play_order(const unsigned *events, unsigned len, unsigned at)
{
    bool came[PARTIES] = {false};

    naive_seed = ++scope.stories;
    begin();
    for (unsigned e = 0; e < len; e++) {
        const unsigned i = events[e];
        if (!came[i]) {
            make_random(&scope.all[i]);
            scope.all[i].is_in = came[i] = true;
            enter(&scope.all[i]);
            scope.waiting |= 1u << i;
            specify(i);
        } else if (scope.all[i].is_in) {
            specify_leaving(i);
            let_go(scope.all, 1u << i);
        }
        compare(at);
        if ((e + at) % 3 == 0)
            release_all();
    }
    release_all();
    end();
}

Test(hall, all_orders_of_up_to_five_are_as_specified)
{
    for (unsigned parties = 1; parties <= 4; parties++)
        for (int parts = 0; parts < 3; parts++)
            naive_orders(parties, play_order);
    naive_orders(5, play_order);
    cr_assert_eq(scope.stories, 3 * (1 + 6 + 90 + 2520) + 113400);
    cr_assert(scope.met > 30000 && scope.dissolved > 5000, "%u %u", scope.met, scope.dissolved);
}

/* ---- Many ----------------------------------------------------------------------------------- */

/* A group is judged as a whole; it has to be as if each were asked. */
Test(sums, fit_whom_each_would_accept)
{
    int fits = 0;

    for (unsigned seed = 1; seed <= 3000; seed++) {
        struct one all[PARTIES];
        struct rendezvous__sums sums = {.epoch = 0};
        unsigned set = 0;
        naive_seed = seed;
        begin();
        for (unsigned i = 0; i < PARTIES; i++) {
            make_random(&all[i]);
            all[i].party.mates = PARTIES;
            enter(&all[i]);
        }
        sums.epoch = ++stage.hall.epoch;
        for (unsigned i = 0; i < PARTIES; i++) {
            bool accepted = true;
            all[i].party.mates = __builtin_popcount(set); /* so that it is one if it fits */
            for (unsigned j = 0; j < i; j++)
                if (set >> j & 1)
                    all[j].party.mates = all[i].party.mates;
            accepted = naive_is_group(those(all), set | 1u << i);
            cr_assert_eq(set == 0 || rendezvous__sums_fit(&sums, &all[i].party), accepted,
                         "seed %u, %u to %x", seed, i, set);
            if (accepted) {
                fits += set != 0;
                rendezvous__sums_add(&sums, &all[i].party);
                set |= 1u << i;
            }
        }
        for (unsigned i = 0; i < PARTIES; i++)
            all[i].party.mates = PARTIES;
        for (unsigned i = 0; i < PARTIES; i++)
            unmake(&all[i]);
        end();
    }
    cr_assert_gt(fits, 1000, "%d fit", fits);
}

static struct one *crowd(size_t n, int64_t mates)
{
    struct one *all = calloc(n, sizeof *all);

    for (size_t i = 0; i < n; i++) {
        char name[8] = {(char)('a' + i % 26), (char)('a' + i / 26 % 26), (char)('a' + i / 676)};
        make(&all[i], name, mates, NULL, NULL);
    }
    return all;
}

Test(hall, ten_thousand_meet_at_a_barrier)
{
    enum { N = 10000 };
    struct one *all = crowd(N, N - 1);

    begin();
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(stage.formed_len, 0);
        enter(&all[i]);
    }
    cr_assert_eq(stage.formed_len, 1);
    cr_assert_eq(stage.formed[0]->len, N);
    cr_assert_eq(stage.hall.greedy, 1, "so many are not searched exactly, and it is counted");
    rendezvous__release(&stage.hall, stage.formed[0]);
    for (size_t i = 0; i < N; i++)
        unmake(&all[i]);
    end();
    free(all);
}

/* By age: who wants more than he can get is left out, not waited for. */
Test(hall, of_many_those_who_want_too_much_are_left_out)
{
    enum { GREEDY = 30, MODEST = 70, ALL = GREEDY + MODEST };
    struct one *all = crowd(ALL, MODEST - 1);

    begin();
    for (size_t i = 0; i < GREEDY; i++) {
        rendezvous__labels_fini(&all[i].party.labels);
        rendezvous__selector_fini(&all[i].party.selector);
        make(&all[i], all[i].actor, 95, "greedy=1", "!greedy");
    }
    for (size_t i = 0; i < ALL; i++) {
        cr_assert_eq(stage.formed_len, 0);
        enter(&all[i]);
    }
    cr_assert_eq(stage.formed_len, 1);
    cr_assert_eq(stage.formed[0]->len, MODEST);
    cr_assert_null(all[0].party.group);
    rendezvous__release(&stage.hall, stage.formed[0]);
    for (size_t i = 0; i < ALL; i++)
        unmake(&all[i]);
    end();
    free(all);
}

/* ---- Without memory ------------------------------------------------------------------------- */

static int allocations_left;

static void *fails(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

Test(hall, who_does_not_fit_into_memory_is_not_in)
{
    struct one a, b;
    cs_err err = CS_ENOMEM;

    begin();
    make(&a, "a", 2, "x=1,y=2", "x in (1,2),z!=3,!w");
    make(&b, "b", 2, "x=1,y=3", "x in (1,2),z!=4,!w");
    for (int n = 0; err != CS_OK; n++) {
        rendezvous__alloc = fails;
        allocations_left = n;
        err = rendezvous__enter(&stage.hall, &a.party);
        rendezvous__alloc = malloc;
        cr_assert_eq(stage.hall.len, err == CS_OK);
        cr_assert(err == CS_OK || !stage.hall.events);
    }
    err = CS_ENOMEM;
    for (int n = 0; err != CS_OK; n++) {
        rendezvous__alloc = fails;
        allocations_left = n;
        err = rendezvous__enter(&stage.hall, &b.party);
        rendezvous__alloc = malloc;
        cr_assert_eq(stage.hall.len, 1 + (err == CS_OK));
    }
    unmake(&a);
    unmake(&b);
    end();
}
