/* Any text as a selector and labels, as what a party asks, and as what those who met are told.
 *
 * The first byte chooses which.  What a selector takes is what each of its demands, asked one by one in the
 * plainest way, takes; what is refused is told with its column; an ask that was read is the same when it is
 * read again. */
#include "services/rendezvous/ask.h"
#include "services/rendezvous/meet.h"
#include "test/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT = 4096 };

static bool is_met(const struct rendezvous__demand *demand, const cs_bytes *value)
{
    int64_t number;
    bool is_among = false;

    for (size_t i = 0; value && i < demand->values_len; i++)
        is_among = is_among || cs_same(demand->values[i], *value);
    switch (demand->op) {
    case RENDEZVOUS__HAS:
        return value;
    case RENDEZVOUS__LACKS:
        return !value;
    case RENDEZVOUS__IN:
        return is_among;
    case RENDEZVOUS__OUT:
        return !is_among;
    case RENDEZVOUS__ABOVE:
        return value && rendezvous__integer(*value, &number) && number > demand->bound;
    case RENDEZVOUS__BELOW:
        return value && rendezvous__integer(*value, &number) && number < demand->bound;
    }
    return false;
}

static void judge(const struct rendezvous__selector *selector,
                  const struct rendezvous__labels *labels)
{
    bool takes = true;

    for (size_t i = 0; i < selector->len; i++) {
        const cs_bytes *value = NULL;
        for (size_t l = 0; l < labels->len; l++)
            if (cs_same(labels->all[l].name, selector->all[i].key))
                value = &labels->all[l].value;
        takes = takes && is_met(&selector->all[i], value);
    }
    fuzz_must(rendezvous__selector_takes(selector, labels) == takes);
}

/* "column N: ...", within the text or just behind it. */
static void points_into(const char *why, cs_bytes text)
{
    size_t column;

    fuzz_must(memchr(why, '\0', RENDEZVOUS__WHY) && sscanf(why, "column %zu: ", &column) == 1 &&
              column >= 1 && column <= text.len + 1);
}

/* A line of labels, then the selector. */
static void select_by(cs_bytes all)
{
    const char *newline = all.len > 0 ? memchr(all.base, '\n', all.len) : NULL;
    const size_t first = newline ? (size_t)(newline - (const char *)all.base) : 0;
    const cs_bytes said = cs_bytes_of(all.base, first);
    const cs_bytes asked = newline ? cs_bytes_of(newline + 1, all.len - first - 1) : all;
    struct rendezvous__selector selector;
    struct rendezvous__labels labels = {.block = NULL};
    char why[RENDEZVOUS__WHY];
    cs_err err = CS_OK;

    if (first > 0 && (err = rendezvous__labels_parse(said, &labels, why)) != CS_OK)
        points_into(why, said);
    fuzz_must(err == CS_OK || err == CS_EINVAL);
    err = rendezvous__selector_parse(asked, &selector, why);
    fuzz_must(err == CS_OK || err == CS_EINVAL);
    if (err == CS_OK) {
        judge(&selector, &labels);
        rendezvous__selector_fini(&selector);
    } else {
        points_into(why, asked);
    }
    rendezvous__labels_fini(&labels);
}

static void ask(cs_bytes json)
{
    const struct rendezvous__bounds bounds = {1000, 100};
    struct rendezvous__ask one, again;
    char why[RENDEZVOUS__WHY] = "";
    cs_err err = rendezvous__ask_parse(json, &bounds, &one, why);

    fuzz_must(err == CS_OK || err == CS_EINVAL);
    fuzz_must(memchr(why, '\0', sizeof why) && (err == CS_OK) == (why[0] == '\0'));
    if (err != CS_OK)
        return;
    fuzz_must(one.event.len > 0 && one.actor.len > 0 && one.payload.len <= 1000 && one.mates >= 0);
    fuzz_must(rendezvous__ask_parse(json, &bounds, &again, why) == CS_OK);
    fuzz_must(rendezvous__ask_same(&one, &again));
    rendezvous__ask_fini(&one);
    rendezvous__ask_fini(&again);
}

static void match(cs_bytes json)
{
    struct rendezvous__match match;
    cs_err err = rendezvous__match_read(json, &match);
    size_t len = 0;

    fuzz_must(err == CS_OK || err == CS_EPROTO);
    for (size_t i = 0; i < match.len; i++)
        len += match.parties[i].actor.len + match.parties[i].payload.len;
    fuzz_must(len <= json.len);
    rendezvous__match_fini(&match);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct fuzz_in in = {bytes, len};
    const uint8_t which = fuzz_byte(&in);
    const cs_bytes text = fuzz_take(&in, TEXT);
    /* Of its own size, so that a byte too many is seen. */
    char *copy = malloc(text.len + !text.len);

    fuzz_must(copy != NULL);
    if (text.len > 0)
        memcpy(copy, text.base, text.len);
    if (which % 3 == 0)
        select_by(cs_bytes_of(copy, text.len));
    else if (which % 3 == 1)
        ask(cs_bytes_of(copy, text.len));
    else
        match(cs_bytes_of(copy, text.len));
    free(copy);
    return 0;
}
