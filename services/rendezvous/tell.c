/* tell -- what parties and people are told, as JSON. */
#include "services/rendezvous/desk.h"

#include "services/rendezvous/read.h"

#include <stdlib.h>

static void put_labels(FILE *to, const struct rendezvous__labels *labels)
{
    fputc('{', to);
    for (size_t i = 0; i < labels->len; i++) {
        if (i > 0)
            fputc(',', to);
        rendezvous__put_string(to, labels->all[i].name);
        fputc(':', to);
        rendezvous__put_string(to, labels->all[i].value);
    }
    fputc('}', to);
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
    rendezvous__put_string(to, place->ask.actor);
    fputs(",\"payload\":", to);
    rendezvous__put_string(to, place->ask.payload);
    fputs(",\"labels\":", to);
    put_labels(to, &place->party.labels);
    fputc('}', to);
}

static void put_payload(FILE *to, const struct rendezvous__place *place)
{
    rendezvous__put_string(to, place->ask.actor);
    fputc(':', to);
    rendezvous__put_string(to, place->ask.payload);
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
    return rendezvous__put_end(to, &text);
}

/* ---- For people ----------------------------------------------------------------------------- */

static void put_selector(FILE *to, const struct rendezvous__place *place)
{
    char *usual = NULL;

    if (place->ask.selector.len > 0)
        rendezvous__put_string(to, place->ask.selector);
    else if (asprintf(&usual, "actor!=%.*s", CS_FMT(place->ask.actor)) < 0)
        usual = NULL;
    if (usual)
        rendezvous__put_string(to, cs_str(usual));
    free(usual);
}

static void put_waiter(FILE *to, struct rendezvous__place *place, int64_t now)
{
    fputs("{\"event\":", to);
    rendezvous__put_string(to, place->ask.event);
    fputs(",\"actor\":", to);
    rendezvous__put_string(to, place->ask.actor);
    if (place->ask.generation.len > 0) {
        fputs(",\"generation\":", to);
        rendezvous__put_string(to, place->ask.generation);
    }
    fputs(",\"labels\":", to);
    put_labels(to, &place->party.labels);
    fputs(",\"selector\":", to);
    put_selector(to, place);
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
    return rendezvous__put_end(to, &text);
}
