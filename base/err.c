/* err -- answers as text, the version, and shell patterns over bytes. */
#include "base/base.h"

static const char *const texts[] = {
    [CS_OK] = "ok",
    [CS_AGAIN] = "not now",
    [CS_DONE] = "ended in good order",
    [CS_ECANCELED] = "canceled",
    [CS_EUNKNOWN] = "unknown failure of the producer",
    [CS_EINVAL] = "the request makes no sense",
    [CS_ETIMEOUT] = "deadline passed",
    [CS_ENOENT] = "no such thing",
    [CS_EEXIST] = "there is one already",
    [CS_EPERM] = "not allowed",
    [CS_ELIMIT] = "a limit is reached",
    [CS_EPRECOND] = "not in this state",
    [CS_EABORTED] = "lost a race",
    [CS_ERANGE] = "out of range",
    [CS_ENOTSUP] = "not implemented",
    [CS_EINTERNAL] = "internal error",
    [CS_EUNAVAIL] = "unavailable for now",
    [CS_EDATALOSS] = "the data are damaged",
    [CS_EAUTH] = "not authenticated",
    [CS_EMISUSE] = "the caller broke a rule of this call",
    [CS_ENOMEM] = "out of memory",
    [CS_ETOOBIG] = "too big",
    [CS_ESYS] = "the system refused",
    [CS_EPROTO] = "the peer broke the wire format",
    [CS_EREFUSED] = "nobody answered there",
    [CS_EPEER] = "the peer vanished",
    [CS_EDRAIN] = "the server is going away",
    [CS_ELOST] = "cut, and too late to resume",
    [CS_ECLAIMED] = "the ticket was used already",
    [CS_EEXPIRED] = "the ticket was not used in time",
    [CS_ESTALLED] = "the reader took nothing and memory ran short",
};

const char *cs_strerror(cs_err err)
{
    size_t i = (size_t)err;

    return i < sizeof(texts) / sizeof(*texts) && texts[i] ? texts[i] : "no such answer";
}

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

const char *cs_version(void)
{
    return NUMBER(CS_VERSION_MAJOR) "." NUMBER(CS_VERSION_MINOR) ".0";
}

/* ---- Patterns ------------------------------------------------------------------------------ */

/* Matches `c` against the class that begins behind the '[' at `from`.  Answers the place behind
 * the ']', or 0 when the class is never closed: then the '[' is an ordinary byte. */
static size_t class_match(cs_bytes pattern, size_t from, uint8_t c, bool *matched)
{
    const uint8_t *p = pattern.base;
    size_t i = from;
    bool negated = i < pattern.len && (p[i] == '!' || p[i] == '^');
    bool found = false;

    i += negated;
    /* A ']' in the first place is a member: there is no other way to write it. */
    for (size_t first = i; i < pattern.len && (p[i] != ']' || i == first); i++) {
        uint8_t low = p[i], high = low;
        if (i + 2 < pattern.len && p[i + 1] == '-' && p[i + 2] != ']') {
            high = p[i + 2];
            i += 2;
        }
        found = found || (low <= c && c <= high);
    }
    if (i >= pattern.len)
        return 0;
    *matched = found != negated;
    return i + 1;
}

/* One pattern element against one byte: the place of the next element, or 0 for no match. */
static size_t element_match(cs_bytes pattern, size_t at, uint8_t c)
{
    uint8_t p = ((const uint8_t *)pattern.base)[at];
    bool matched = false;

    if (p == '?')
        return at + 1;
    if (p == '[') {
        size_t next = class_match(pattern, at + 1, c, &matched);
        if (next > 0)
            return matched ? next : 0;
    }
    return p == c ? at + 1 : 0;
}

/* Only the last '*' is ever taken back: an earlier one could not match more than it must, so the
 * time is at most the product of the lengths, whatever the pattern. */
bool cs_glob(cs_bytes pattern, cs_bytes b)
{
    const uint8_t *p = pattern.base, *s = b.base;
    size_t at = 0, i = 0, behind_star = 0, star_end = 0;
    bool star = false;

    while (i < b.len) {
        size_t next = 0;
        if (at < pattern.len && p[at] == '*') {
            star = true;
            behind_star = ++at;
            star_end = i;
            continue;
        }
        if (at < pattern.len)
            next = element_match(pattern, at, s[i]);
        if (next > 0) {
            at = next;
            i++;
        } else if (star) {
            at = behind_star;
            i = ++star_end;
        } else {
            return false;
        }
    }
    while (at < pattern.len && p[at] == '*')
        at++;
    return at == pattern.len;
}
