/* desk -- places in the hall, and the posts that sit on them.
 *
 * A place lives as long as somebody sits on it, or may come back to it by his key:
 *
 *     waits ──▶ in a group ──▶ has met ─┬─▶ his post ends ──▶ gone; with a key, key_ms later
 *       └──▶ too late, or taken over ───┘
 *
 * A group meets at the end of the turn in which it formed, so that who left in the same turn is not met by
 * anybody. */
#include "services/rendezvous/desk.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Meeting -------------------------------------------------------------------------------- */

static void formed(struct rendezvous__group *group, void *user)
{
    rendezvous *desk = user;

    cs_list_push(&desk->forming, &group->link);
    cs_timer_set(desk->release, 0);
}

static void count_wait(rendezvous *desk, int64_t ms)
{
    size_t i = 0;

    for (int64_t bound = RENDEZVOUS__WAIT_MS; i + 1 < RENDEZVOUS__WAITS && ms > bound; bound *= 10)
        i++;
    desk->waits[i]++;
    desk->waited_ms += (uint64_t)ms;
}

static void meet(rendezvous *desk, struct rendezvous__group *group)
{
    struct rendezvous__told *map = rendezvous__told_new(desk, rendezvous__tell_match(group, false));
    struct rendezvous__told *list = rendezvous__told_new(desk, rendezvous__tell_match(group, true));
    const cs_err err = map && list ? CS_OK : CS_ENOMEM;
    struct cs_link *link;

    rendezvous__release(&desk->hall, group);
    desk->counters.groups++;
    desk->counters.matched += group->len;
    if (err == CS_OK)
        rendezvous__connect(group);
    while ((link = cs_list_pop(&group->members))) {
        struct rendezvous__place *place =
            rendezvous__place_of(CS_CONTAINER(link, struct rendezvous__party, link_group));
        count_wait(desk, rendezvous__now(desk) - place->since_ms);
        if (err == CS_OK)
            place->match = rendezvous__told_share(place->ask.takes_twins ? list : map);
        rendezvous__place_end(place, err == CS_OK ? CS_DONE : err);
    }
    rendezvous__told_drop(desk, map);
    rendezvous__told_drop(desk, list);
}

static void on_release(void *user)
{
    rendezvous *desk = user;
    struct cs_link *link;

    while ((link = cs_list_pop(&desk->forming)))
        meet(desk, CS_CONTAINER(link, struct rendezvous__group, link));
}

/* ---- The source ----------------------------------------------------------------------------- */

static cs_err next_roster(struct rendezvous__sitter *sitter, cs_bytes *frame)
{
    struct rendezvous__place *place = sitter->place;
    uint64_t version;

    if (place->party.number == 0) /* it is in the hall in a moment */
        return CS_AGAIN;
    version = rendezvous__version(&place->party);
    if (!place->ask.roster || sitter->told == version)
        return CS_AGAIN;
    free(sitter->roster);
    sitter->roster_bytes = 0;
    if (!(sitter->roster = rendezvous__tell_roster(place->desk, place)))
        return CS_AGAIN;
    sitter->told = version;
    *frame = cs_str(sitter->roster);
    sitter->roster_bytes = rendezvous__cost(frame->len + 1);
    rendezvous__place_weigh(place);
    return CS_OK;
}

static cs_err meeting_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct rendezvous__sitter *sitter = state;
    struct rendezvous__place *place = sitter->place;

    if (!place)
        return chanserv_outlet_fail(outlet, sitter->why, "%s", sitter->words);
    if (place->why == CS_AGAIN)
        return next_roster(sitter, frame);
    if (cs_failed(place->why))
        return chanserv_outlet_fail(outlet, place->why, "%s",
                                    place->words ? place->words : cs_strerror(place->why));
    if (sitter->has_told_match)
        return CS_DONE;
    sitter->has_told_match = true;
    *frame = cs_bytes_of(place->match->text, place->match->len);
    return CS_OK;
}

/* ---- Who sits, and leaves ------------------------------------------------------------------- */

/* He has left: his place is free, but for who has a key. */
static void stand_up(struct rendezvous__sitter *sitter)
{
    struct rendezvous__place *place = sitter->place;
    rendezvous *desk;

    if (!place)
        return;
    sitter->place = NULL;
    place->sitter = NULL;
    desk = place->desk;
    place->away_ms = rendezvous__now(desk);
    if (place->id.len > 0) {
        rendezvous__place_weigh(place);
        rendezvous__place_wait(place);
        return;
    }
    if (place->why == CS_AGAIN) {
        desk->counters.left++;
        rendezvous__rosters_soon(desk);
    }
    rendezvous__place_free(place);
}

/* Who gives up the source, or never takes it, does not wait for the match. */
static void meeting_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct rendezvous__sitter *sitter = state;

    (void)outlet;
    sitter->meeting = NULL;
    if (!sitter->place || sitter->place->why != CS_AGAIN)
        return;
    stand_up(sitter);
    chanserv_post_finish(sitter->post, why == CS_DONE ? CS_ECANCELED : why);
}

static const struct chanserv_outlet_ops meeting_ops = {.next = meeting_next, .end = meeting_end};

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    struct rendezvous__sitter *sitter = state;

    (void)post, (void)why;
    if (!sitter->place || sitter->place->why != CS_AGAIN)
        return;
    stand_up(sitter);
    if (sitter->meeting)
        chanserv_outlet_cancel(sitter->meeting, CS_ECANCELED);
}

static void post_end(chanserv_post *post, cs_err why, void *state)
{
    struct rendezvous__sitter *sitter = state;

    (void)post, (void)why;
    stand_up(sitter);
    free(sitter->roster);
}

static const struct chanserv_post_ops post_ops = {
    .state_bytes = sizeof(struct rendezvous__sitter), .closed = post_closed, .end = post_end};

static void send_away(struct rendezvous__sitter *sitter, cs_err why, const char *words)
{
    sitter->place = NULL;
    sitter->why = why;
    sitter->words = words;
    rendezvous__sitter_end(sitter, why, words);
}

static void sit(struct rendezvous__sitter *sitter, struct rendezvous__place *place)
{
    if (place->sitter)
        send_away(place->sitter, CS_EABORTED, "another request with this key goes on");
    place->sitter = sitter;
    sitter->place = place;
    rendezvous__place_weigh(place);
    rendezvous__place_wait(place);
}

/* ---- Coming --------------------------------------------------------------------------------- */

static cs_err refuse(rendezvous *desk, chanserv_post *post, cs_err err, const char *why)
{
    if (err == CS_EINVAL)
        desk->counters.refused_bad++;
    else if (err == CS_ELIMIT)
        desk->counters.refused_bytes++;
    return chanserv_post_fail(post, err, "%s", why[0] ? why : cs_strerror(err));
}

/* A retry: it was here before.  CS_DONE: he hears how it ended; CS_AGAIN: he goes on waiting. */
static cs_err come_again(rendezvous *desk, struct rendezvous__sitter *sitter,
                         struct rendezvous__place *place, const struct rendezvous__ask *ask)
{
    if (!rendezvous__ask_same(&place->ask, ask))
        return refuse(desk, sitter->post, CS_EPRECOND,
                      "key: it was used for a request that says something else");
    place->ask.channels = ask->channels;
    place->ask.roster = ask->roster;
    desk->counters.resumed++;
    sit(sitter, place);
    if (cs_failed(place->why))
        return chanserv_post_fail(sitter->post, place->why, "%s", place->words ? place->words : "");
    return place->why;
}

static cs_err come(rendezvous *desk, struct rendezvous__sitter *sitter,
                   struct rendezvous__place *place)
{
    char why[RENDEZVOUS__WHY] = "";
    cs_err err = rendezvous__place_describe(place, why);

    if (err == CS_OK) {
        sit(sitter, place);
        err = rendezvous__enter(&desk->hall, &place->party);
        if (err == CS_ELIMIT)
            snprintf(why, sizeof why,
                     "who waits would take more than %lld bytes of memory: labels and a selector "
                     "cost more than they are long",
                     (long long)desk->options.waiting_max_bytes);
    }
    if (err != CS_OK) {
        sitter->place = NULL;
        rendezvous__place_free(place);
        return refuse(desk, sitter->post, err, why);
    }
    desk->counters.arrived++;
    rendezvous__rosters_soon(desk);
    return CS_AGAIN;
}

/* With the new one.  Places of who has met count, too: they may be kept for long, or by who does not read. */
static bool is_full(const rendezvous *desk)
{
    const size_t most = (size_t)desk->options.waiters_max;

    return desk->options.waiters_max != CS_OFF &&
           (desk->hall.len >= most || (desk->places_len - 1) / 2 >= most);
}

static cs_err take_place(rendezvous *desk, struct rendezvous__sitter *sitter,
                         struct rendezvous__ask *ask)
{
    struct rendezvous__place *place, *before;

    if (!(place = rendezvous__place_new(desk, ask)))
        return CS_ENOMEM;
    if ((before = rendezvous__place_before(desk, place))) {
        cs_err err = come_again(desk, sitter, before, &place->ask);
        rendezvous__place_free(place);
        return err;
    }
    if (is_full(desk)) {
        desk->counters.refused_limit++;
        rendezvous__place_free(place);
        return chanserv_post_fail(sitter->post, CS_ELIMIT,
                                  "%lld wait already, or twice as many places are kept",
                                  (long long)desk->options.waiters_max);
    }
    if (!rendezvous__place_keep(place)) {
        rendezvous__place_free(place);
        return CS_ENOMEM;
    }
    return come(desk, sitter, place);
}

/* Who is refused has no source that could fail, too. */
static cs_err announce_meeting(struct rendezvous__sitter *sitter, cs_err answer)
{
    cs_err err =
        chanserv_announce(sitter->post, cs_str("meeting"), &meeting_ops, sitter, &sitter->meeting);

    if (err == CS_OK)
        return answer;
    stand_up(sitter);
    return err;
}

static cs_err attend(chanserv_post *post, cs_bytes body, void *user)
{
    rendezvous *desk = user;
    const struct rendezvous__bounds bounds = {desk->options.payload_max_bytes,
                                              desk->options.text_max_bytes};
    struct rendezvous__sitter *sitter;
    struct rendezvous__ask ask;
    char why[RENDEZVOUS__WHY] = "";
    cs_err err = rendezvous__ask_parse(body, &bounds, &ask, why);

    if (err != CS_OK)
        return refuse(desk, post, err, why);
    chanserv_post_linger(post, CS_OFF);
    if ((err = chanserv_post_keep(post, &post_ops, NULL)) == CS_OK) {
        sitter = chanserv_post_state(post);
        sitter->post = post;
        err = take_place(desk, sitter, &ask);
        if (!cs_failed(err))
            err = announce_meeting(sitter, err);
    }
    rendezvous__ask_fini(&ask);
    return err;
}

/* ---- From outside --------------------------------------------------------------------------- */

static int64_t or_else(int64_t value, int64_t usual)
{
    return value == 0 ? usual : value;
}

static bool set_options(rendezvous *desk, const struct rendezvous_options *options)
{
    if (options)
        desk->options = *options;
    desk->options.waiters_max = or_else(desk->options.waiters_max, 10000);
    desk->options.waiting_max_bytes = or_else(desk->options.waiting_max_bytes, 256 << 20);
    if (desk->options.waiting_max_bytes != CS_OFF)
        desk->hall.bytes_max = (size_t)desk->options.waiting_max_bytes;
    desk->options.payload_max_bytes = or_else(desk->options.payload_max_bytes, 65536);
    desk->options.text_max_bytes = or_else(desk->options.text_max_bytes, 4096);
    desk->options.key_ms = (int)or_else(desk->options.key_ms, 10000);
    desk->service = strdup(desk->options.service ? desk->options.service : "rendezvous");
    desk->options.service = desk->service;
    return desk->service != NULL;
}

cs_err rendezvous_new(chanserv_server *server, const struct rendezvous_options *options,
                      rendezvous **ret)
{
    rendezvous *desk;
    cs_err err = CS_ENOMEM;

    for (size_t i = 0; options && i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i] != 0)
            return CS_EMISUSE;
    if (!(desk = rendezvous__alloc(sizeof *desk)))
        return CS_ENOMEM;
    *desk = (struct rendezvous){.server = server};
    cs_list_init(&desk->places);
    cs_list_init(&desk->forming);
    rendezvous__hall_init(&desk->hall, formed, desk);
    cs_loop *loop = chanserv_server_loop(server);
    if (set_options(desk, options) &&
        (err = cs_timer_new(loop, on_release, desk, &desk->release)) == CS_OK &&
        (err = cs_timer_new(loop, rendezvous__rosters, desk, &desk->rosters)) == CS_OK &&
        (err = chanserv_serve(server, desk->service, attend, desk)) == CS_OK) {
        *ret = desk;
        return CS_OK;
    }
    rendezvous_free(desk);
    return err;
}

void rendezvous_free(rendezvous *desk)
{
    struct cs_link *link;

    if (!desk)
        return;
    chanserv_unserve(desk->server, desk->service);
    while ((link = cs_list_first(&desk->places))) {
        struct rendezvous__place *place = CS_CONTAINER(link, struct rendezvous__place, link);
        if (place->sitter)
            send_away(place->sitter, CS_EUNAVAIL, "the service ends");
        rendezvous__place_free(place);
    }
    rendezvous__hall_fini(&desk->hall);
    if (desk->release)
        cs_timer_free(desk->release);
    if (desk->rosters)
        cs_timer_free(desk->rosters);
    free(desk->here);
    free(desk->service);
    free(desk);
}

void rendezvous_count(const rendezvous *desk, struct rendezvous_counters *ret)
{
    *ret = desk->counters;
    ret->waiting = desk->hall.len;
    ret->waiting_bytes = desk->hall.bytes;
    ret->greedy = desk->hall.greedy;
    ret->dissolved = desk->hall.dissolved;
}
