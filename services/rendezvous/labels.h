/* labels -- what a party says of itself, and whom it accepts.
 *
 * Private to rendezvous/.  Labels are a set of names with a value each.  A selector is a list of demands on
 * the labels of another, all of which must hold: the grammar of Kubernetes (apimachinery, pkg/labels), by
 * our own parser.
 *
 *     selector    = [ demand *( "," demand ) ]         the empty one accepts everybody
 *     demand      = key | "!" key | key ( "=" | "==" | "!=" ) [ value ]
 *                 | key ( "in" | "notin" ) "(" [ value ] *( "," [ value ] ) ")"
 *                 | key ( ">" | "<" ) integer
 *
 * Blanks (space, tab, CR, LF) may stand anywhere between words.  "!=" and "notin" hold as well where the key
 * is absent; ">" and "<" only where the label is an integer.  A key is [prefix "/"] name: the prefix a domain
 * name of up to 253 lower case letters, digits, "-" and "."; the name up to 63 letters, digits, "-_.", at its
 * ends a letter or a digit; a value the same as a name, or empty.  Labels are not held to that.
 */
#ifndef RENDEZVOUS_LABELS_H
#define RENDEZVOUS_LABELS_H

#include "base/base.h"

enum {
    RENDEZVOUS__WHY = 160,                      /* bytes for the words of an error */
    RENDEZVOUS__NODE = 4 * (int)sizeof(void *), /* what a node of a tree takes */
};

struct rendezvous__labels {
    const cs_pair *all; /* by name, each once */
    size_t len;
    void *block;
    size_t bytes; /* what the block takes */
};

enum rendezvous__op {
    RENDEZVOUS__HAS,   /* the key is there */
    RENDEZVOUS__LACKS, /* it is not */
    RENDEZVOUS__IN,    /* it is there, and its value is one of these: "=", "==", "in" */
    RENDEZVOUS__OUT,   /* it is not there, or has another value: "!=", "notin" */
    RENDEZVOUS__ABOVE, /* its value is an integer above `bound` */
    RENDEZVOUS__BELOW
};

struct rendezvous__demand {
    enum rendezvous__op op;
    cs_bytes key;
    const cs_bytes *values; /* sorted, each once; of IN and OUT at least one */
    size_t values_len;
    int64_t bound;
};

struct rendezvous__selector {
    const struct rendezvous__demand *all; /* by key, as they came for the same one */
    size_t len;
    cs_bytes text; /* those of the same text are the same */
    void *block;
    size_t bytes; /* what the block takes */
};

/* "k=v,k2=v2": each item has exactly one "="; a later one of the same name wins.  The text is copied.
 * CS_EINVAL with the column in `why`, CS_ENOMEM. */
cs_err rendezvous__labels_parse(cs_bytes text, struct rendezvous__labels *ret,
                                char why[RENDEZVOUS__WHY]);
/* The one label that a party has which says nothing: actor=ACTOR. */
cs_err rendezvous__labels_of(cs_bytes actor, struct rendezvous__labels *ret);
void rendezvous__labels_fini(struct rendezvous__labels *labels);
const cs_bytes *rendezvous__label(const struct rendezvous__labels *labels,
                                  cs_bytes key); /* or NULL */

/* The text is copied.  CS_EINVAL with the column in `why`, CS_ENOMEM. */
cs_err rendezvous__selector_parse(cs_bytes text, struct rendezvous__selector *ret,
                                  char why[RENDEZVOUS__WHY]);
/* Whom a party accepts which says nothing: actor!=ACTOR, whatever bytes an actor is. */
cs_err rendezvous__selector_of(cs_bytes actor, struct rendezvous__selector *ret);
void rendezvous__selector_fini(struct rendezvous__selector *selector);
bool rendezvous__selector_takes(const struct rendezvous__selector *selector,
                                const struct rendezvous__labels *labels);

/* As the grammar has it: optional sign, digits, 64 bits.  Of a label as of a bound. */
bool rendezvous__integer(cs_bytes text, int64_t *ret);

/* For qsort(), bsearch() and trees: of what begins with a cs_bytes. */
int rendezvous__by_name(const void *a, const void *b);

/* Every allocation of the room; a test has its own. */
extern void *(*rendezvous__alloc)(size_t size);
/* What one of this size takes of memory: 8 bytes more, in steps of 16. */
static inline size_t rendezvous__cost(size_t size)
{
    return (size + 8 + 15) / 16 * 16;
}

#endif
