/* tell -- what parties and people are told, as JSON. */
#include "services/rendezvous/desk.h"

#include "gateway/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 100 }; /* that a roster has at most */

static void put(void *to, const void *bytes, size_t len)
{
    fwrite(bytes, 1, len, to);
}

static void put_string(FILE *to, cs_bytes text)
{
    gateway_json_string(put, to, text);
}

/* Text that is complete, or NULL. */
static char *finish(FILE *to, char **text)
{
    bool is_whole = to && !ferror(to);

    if (to && fclose(to) != 0)
        is_whole = false;
    if (is_whole)
        return *text;
    free(*text);
    return NULL;
}

static void put_labels(FILE *to, const struct rendezvous__labels *labels)
{
    fputc('{', to);
    for (size_t i = 0; i < labels->len; i++) {
        if (i > 0)
            fputc(',', to);
        put_string(to, labels->all[i].name);
        fputc(':', to);
        put_string(to, labels->all[i].value);
    }
    fputc('}', to);
}

/* ---- Who is there --------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return cs_order(*(const cs_bytes *)a, *(const cs_bytes *)b);
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
    qsort(names, n, sizeof *names, by_bytes);
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
        put_string(to, names[i]);
    }
    fputc(']', to);
    if (all > n)
        fprintf(to, ",\"more\":%zu", all - n);
    desk->here_at = place->party.at;
    desk->here_version = rendezvous__version(&place->party);
    return desk->here = finish(to, &desk->here);
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
    return finish(to, &text);
}

/* ---- The match ------------------------------------------------------------------------------ */

static int by_actor(const void *a, const void *b)
{
    const struct rendezvous__place *x = *(struct rendezvous__place *const *)a;
    const struct rendezvous__place *y = *(struct rendezvous__place *const *)b;
    int order = cs_order(x->ask.actor, y->ask.actor);

    return order ? order
                 : (x->party.number > y->party.number) - (x->party.number < y->party.number);
}

static void put_party(FILE *to, const struct rendezvous__place *place)
{
    fputs("{\"actor\":", to);
    put_string(to, place->ask.actor);
    fputs(",\"payload\":", to);
    put_string(to, place->ask.payload);
    fputs(",\"labels\":", to);
    put_labels(to, &place->party.labels);
    fputc('}', to);
}

static void put_payload(FILE *to, const struct rendezvous__place *place)
{
    put_string(to, place->ask.actor);
    fputc(':', to);
    put_string(to, place->ask.payload);
}

char *rendezvous__tell_match(const struct rendezvous__group *group, bool is_list)
{
    struct rendezvous__place **all = rendezvous__alloc(group->len * sizeof *all);
    size_t n = 0, len;
    char *text = NULL;
    FILE *to = all ? open_memstream(&text, &len) : NULL;

    for (struct cs_link *link = cs_list_first(&group->members); to && link;
         link = cs_list_next(&group->members, link))
        all[n++] = rendezvous__place_of(CS_CONTAINER(link, struct rendezvous__party, link_group));
    if (!to) {
        free(all);
        return NULL;
    }
    if (!is_list)
        qsort(all, n, sizeof(struct rendezvous__place *), by_actor);
    fputs(is_list ? "{\"parties\":[" : "{\"payloads\":{", to);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fputc(',', to);
        if (is_list)
            put_party(to, all[i]);
        else
            put_payload(to, all[i]);
    }
    fputs(is_list ? "]}" : "}}", to);
    free(all);
    return finish(to, &text);
}

/* ---- For people ----------------------------------------------------------------------------- */

static void put_waiter(FILE *to, struct rendezvous__place *place, int64_t now)
{
    fputs("{\"event\":", to);
    put_string(to, place->ask.event);
    fputs(",\"actor\":", to);
    put_string(to, place->ask.actor);
    if (place->ask.generation.len > 0) {
        fputs(",\"generation\":", to);
        put_string(to, place->ask.generation);
    }
    fputs(",\"labels\":", to);
    put_labels(to, &place->party.labels);
    fputs(",\"selector\":", to);
    if (place->ask.has_selector) {
        put_string(to, place->ask.selector);
    } else {
        fputs("\"actor!=", to);
        char *text = NULL;
        size_t len;
        FILE *quoted = open_memstream(&text, &len);
        if (quoted) {
            put_string(quoted, place->ask.actor);
            fclose(quoted);
            fwrite(text + 1, 1, len - 1, to); /* it goes on in our quotes */
            free(text);
        } else {
            fputc('"', to);
        }
    }
    fprintf(to, ",\"mates\":%lld,\"payload_bytes\":%zu,\"age_ms\":%lld,\"missing\":%lld}",
            (long long)place->ask.mates, place->ask.payload.len, (long long)(now - place->since_ms),
            (long long)rendezvous__missing(&place->desk->hall, &place->party));
}

char *rendezvous__tell_stats(const rendezvous *desk, size_t most)
{
    const int64_t now = cs_loop_now_ms(chanserv_server_loop(desk->server));
    struct rendezvous_counters counters;
    const char *between = "";
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        return NULL;
    rendezvous_count(desk, &counters);
    fputs("{\"waiting\":[", to);
    for (struct cs_link *link = cs_list_first(&desk->hall.all); link && most > 0;
         link = cs_list_next(&desk->hall.all, link), most--) {
        fputs(between, to);
        put_waiter(to, rendezvous__place_of(CS_CONTAINER(link, struct rendezvous__party, link_all)),
                   now);
        between = ",";
    }
    fputs("],\"counters\":{", to);
    between = "";
#define X(name, help)                                                                              \
    fprintf(to, "%s\"" #name "\":%llu", between, (unsigned long long)counters.name);               \
    between = ",";
    RENDEZVOUS_COUNTERS(X)
#undef X
    fputs("}}\n", to);
    return finish(to, &text);
}
