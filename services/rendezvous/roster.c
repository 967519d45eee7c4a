/* roster -- who is there, as those who wait are told it: some time after one came or went, to all of his event;
 * and to who was too late. */
#include "services/rendezvous/desk.h"
#include "services/rendezvous/read.h"

#include <stdlib.h>

enum { NAMES = 100 /* that a roster has at most */, ROSTERS_MS = 100, WAITERS_A_MS = 10 };

void rendezvous__rosters_soon(rendezvous *desk)
{
    if (!desk->rosters_due)
        cs_timer_set(desk->rosters, ROSTERS_MS + (int)(desk->hall.len / WAITERS_A_MS));
    desk->rosters_due = true;
}

void rendezvous__rosters(void *user)
{
    rendezvous *desk = user;

    desk->rosters_due = false;
    for (struct cs_link *link = cs_list_first(&desk->hall.all); link;
         link = cs_list_next(&desk->hall.all, link)) {
        struct rendezvous__place *place =
            rendezvous__place_of(CS_CONTAINER(link, struct rendezvous__party, link_all));
        struct rendezvous__sitter *sitter = place->sitter;
        if (sitter && sitter->meeting && place->ask.roster &&
            sitter->told != rendezvous__version(&place->party))
            chanserv_outlet_wake(sitter->meeting);
    }
}

/* Sorted names of those at the same event, by age the first NAMES. */
static size_t names_of(const rendezvous *desk, const struct rendezvous__place *place,
                       cs_bytes names[NAMES], size_t *all)
{
    size_t n = 0;

    *all = 0;
    for (struct cs_link *link = cs_list_first(&desk->hall.all); link;
         link = cs_list_next(&desk->hall.all, link)) {
        struct rendezvous__party *party = CS_CONTAINER(link, struct rendezvous__party, link_all);
        if (party->at != place->party.at)
            continue;
        ++*all;
        if (n < NAMES)
            names[n++] = party->actor;
    }
    qsort(names, n, sizeof *names, rendezvous__by_name);
    return n;
}

/* Of the same event and version it is the same text, for as many as wait. */
static const char *here_of(rendezvous *desk, const struct rendezvous__place *place)
{
    cs_bytes names[NAMES];
    size_t all, n, len;
    FILE *to;

    if (desk->here && desk->here_at == place->party.at &&
        desk->here_version == rendezvous__version(&place->party))
        return desk->here;
    free(desk->here);
    desk->here = NULL;
    if (!(to = open_memstream(&desk->here, &len)))
        return NULL;
    n = names_of(desk, place, names, &all);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fputc(',', to);
        rendezvous__put_string(to, names[i]);
    }
    fputc(']', to);
    if (all > n)
        fprintf(to, ",\"more\":%zu", all - n);
    desk->here_at = place->party.at;
    desk->here_version = rendezvous__version(&place->party);
    return desk->here = rendezvous__put_end(to, &desk->here);
}

char *rendezvous__tell_roster(rendezvous *desk, struct rendezvous__place *place)
{
    const char *here = here_of(desk, place);
    char *text = NULL;

    if (!here || asprintf(&text, "{\"waiting\":{\"here\":[%s,\"missing\":%lld}}", here,
                          (long long)rendezvous__missing(&desk->hall, &place->party)) < 0)
        return NULL;
    return text;
}

char *rendezvous__tell_late(const rendezvous *desk, struct rendezvous__place *place)
{
    cs_bytes names[NAMES];
    size_t all, n = names_of(desk, place, names, &all), len;
    char *text = NULL;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        return NULL;
    fprintf(to, "nobody met %.*s in %lld ms; missing: %lld; here:", CS_FMT(place->ask.actor),
            (long long)place->ask.timeout_ms,
            (long long)rendezvous__missing(&place->desk->hall, &place->party));
    for (size_t i = 0; i < n && i < 20; i++)
        fprintf(to, "%s %.*s", i > 0 ? "," : "", CS_FMT(names[i]));
    if (all > 20)
        fprintf(to, " and %zu more", all - 20);
    return rendezvous__put_end(to, &text);
}
