/* place -- where a party waits: made of what it asks, kept while somebody sits there or may come back. */
#include "services/rendezvous/desk.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>

void rendezvous__place_free(struct rendezvous__place *place)
{
    rendezvous *desk = place->desk;

    rendezvous__leave(&desk->hall, &place->party);
    if (place->is_keyed)
        tdelete(place, &desk->keyed, rendezvous__by_name);
    desk->places_len -= cs_linked(&place->link);
    cs_unlink(&place->link);
    rendezvous__labels_fini(&place->party.labels);
    rendezvous__selector_fini(&place->party.selector);
    rendezvous__ask_fini(&place->ask);
    if (place->timer)
        cs_timer_free(place->timer);
    rendezvous__told_drop(desk, place->match);
    desk->hall.bytes -= place->bytes;
    free(place->words);
    free(place->names);
    free(place);
}

static void sooner(int64_t *at, int64_t when)
{
    if (*at < 0 || when < *at)
        *at = when;
}

void rendezvous__place_wait(struct rendezvous__place *place)
{
    const int64_t now = rendezvous__now(place->desk), key_ms = place->desk->options.key_ms;
    int64_t at = -1;

    if (place->why == CS_AGAIN && place->ask.timeout_ms > 0)
        sooner(&at, place->since_ms + place->ask.timeout_ms);
    if (place->why == CS_AGAIN && !place->sitter)
        sooner(&at, place->away_ms + key_ms);
    if (place->why != CS_AGAIN && !place->sitter)
        sooner(&at, place->over_ms + key_ms);
    cs_timer_set(place->timer, at < 0 ? CS_OFF : at > now ? (int)(at - now) : 0);
}

void rendezvous__sitter_end(struct rendezvous__sitter *sitter, cs_err why, const char *words)
{
    if (sitter->meeting)
        chanserv_outlet_wake(sitter->meeting);
    if (cs_failed(why))
        chanserv_post_fail(sitter->post, why, "%s", words ? words : cs_strerror(why));
    chanserv_post_finish(sitter->post, why);
}

void rendezvous__place_end(struct rendezvous__place *place, cs_err why)
{
    place->why = why;
    place->over_ms = rendezvous__now(place->desk);
    rendezvous__labels_fini(&place->party.labels); /* nobody compares with him any more */
    rendezvous__selector_fini(&place->party.selector);
    rendezvous__place_weigh(place);
    rendezvous__place_wait(place);
    if (place->sitter)
        rendezvous__sitter_end(place->sitter, why, place->words);
}

static void on_timer(void *user)
{
    struct rendezvous__place *place = user;
    rendezvous *desk = place->desk;
    const int64_t now = rendezvous__now(desk);

    if (place->why == CS_AGAIN && place->ask.timeout_ms > 0 &&
        now >= place->since_ms + place->ask.timeout_ms) {
        place->words = rendezvous__tell_late(desk, place);
        rendezvous__leave(&desk->hall, &place->party);
        desk->counters.timeouts++;
        rendezvous__rosters_soon(desk);
        rendezvous__place_end(place, CS_ETIMEOUT);
    } else if (!place->sitter && place->why == CS_AGAIN &&
               now >= place->away_ms + desk->options.key_ms) {
        desk->counters.left++;
        rendezvous__rosters_soon(desk);
        rendezvous__place_free(place);
    } else if (!place->sitter && place->why != CS_AGAIN &&
               now >= place->over_ms + desk->options.key_ms) {
        rendezvous__place_free(place);
    } else {
        rendezvous__place_wait(place);
    }
}

/* "EVENT\0GENERATION" for the hall, and behind it "\0ACTOR\0KEY" for who comes again. */
static bool name_place(struct rendezvous__place *place)
{
    const struct rendezvous__ask *ask = &place->ask;
    const cs_bytes parts[] = {ask->event, ask->generation, ask->actor, ask->key};
    size_t len = 0;

    for (size_t i = 0; i < 4; i++)
        len += parts[i].len + 1;
    if (!(place->names = rendezvous__alloc(len)))
        return false;
    place->names_len = len;
    len = 0;
    for (size_t i = 0; i < 4; i++) {
        memcpy(place->names + len, parts[i].len > 0 ? parts[i].base : "", parts[i].len);
        len += parts[i].len;
        place->names[len++] = '\0';
        if (i == 1)
            place->party.event = cs_bytes_of(place->names, len);
    }
    if (ask->key.len > 0)
        place->id = cs_bytes_of(place->names, len);
    return true;
}

struct rendezvous__place *rendezvous__place_new(rendezvous *desk, struct rendezvous__ask *ask)
{
    struct rendezvous__place *place = rendezvous__alloc(sizeof *place);

    if (!place)
        return NULL;
    *place = (struct rendezvous__place){
        .desk = desk, .ask = *ask, .why = CS_AGAIN, .since_ms = rendezvous__now(desk)};
    *ask = (struct rendezvous__ask){.block = NULL};
    cs_link_init(&place->link);
    place->party.actor = place->ask.actor;
    place->party.mates = place->ask.mates;
    place->party.takes_twins = place->ask.takes_twins;
    if (name_place(place) &&
        cs_timer_new(chanserv_server_loop(desk->server), on_timer, place, &place->timer) == CS_OK) {
        cs_list_push(&desk->places, &place->link);
        desk->places_len++;
        return place;
    }
    rendezvous__place_free(place);
    return NULL;
}

cs_err rendezvous__place_describe(struct rendezvous__place *place, char why[RENDEZVOUS__WHY])
{
    struct rendezvous__party *party = &place->party;
    const struct rendezvous__ask *ask = &place->ask;
    char words[RENDEZVOUS__WHY] = "";
    cs_err err;

    err = ask->labels.len > 0 ? rendezvous__labels_parse(ask->labels, &party->labels, words)
                              : rendezvous__labels_of(ask->actor, &party->labels);
    if (err != CS_OK) {
        snprintf(why, RENDEZVOUS__WHY, "labels: %.140s", words);
        return err;
    }
    err = ask->selector.len > 0 ? rendezvous__selector_parse(ask->selector, &party->selector, words)
                                : rendezvous__selector_of(ask->actor, &party->selector);
    if (err != CS_OK)
        snprintf(why, RENDEZVOUS__WHY, "selector: %.140s", words);
    return err;
}

struct rendezvous__place *rendezvous__place_before(rendezvous *desk,
                                                   struct rendezvous__place *place)
{
    void **at = place->id.len > 0 ? tfind(place, &desk->keyed, rendezvous__by_name) : NULL;

    return at ? *at : NULL;
}

bool rendezvous__place_keep(struct rendezvous__place *place)
{
    place->is_keyed = place->id.len > 0 && tsearch(place, &place->desk->keyed, rendezvous__by_name);
    return place->is_keyed || place->id.len == 0;
}
