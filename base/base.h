/* base -- the alphabet every room shares: answers, bytes, counted bytes.
 *
 * Pure values: no socket, no clock, no lock.  Everything here may be used from
 * any thread; a cs_ref is counted atomically.
 */
#ifndef CS_BASE_H
#define CS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define CS_API __attribute__((visibility("default")))
#define CS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CS_MUST_USE __attribute__((warn_unused_result))
#else
#define CS_API
#define CS_PRINTF(fmt, args)
#define CS_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Answers ------------------------------------------------------------------------------ */

/* What a call can answer.
 *
 *   0..2     answers.  Whatever yields items gives one of them each time it is asked.
 *   17..32   failures with a gRPC status: 16 + its code.  They travel as they are.
 *   48..     failures that say more than a gRPC status can.  They travel as the status
 *            named beside them, plus the trailer `chanserv-reason`, so that two
 *            chanservs lose nothing and everybody else still understands.
 *
 * A failure is final for the object that answered it.  A wait that ran out of patience
 * is CS_AGAIN, because nothing ended; a deadline that passed is CS_ETIMEOUT. */
typedef enum cs_err {
    CS_OK = 0,    /* here is one; or: done as asked */
    CS_AGAIN = 1, /* not now; nothing was taken, nothing has changed */
    CS_DONE = 2,  /* never again: the other side ended in good order */

    CS_ECANCELED = 17, /* one of the two sides gave up on purpose */
    CS_EUNKNOWN,       /* the producer failed and did not say how */
    CS_EINVAL,         /* the request makes no sense */
    CS_ETIMEOUT,       /* the deadline passed */
    CS_ENOENT,         /* no such service, source or key */
    CS_EEXIST,         /* there is one already */
    CS_EPERM,          /* known, but not allowed */
    CS_ELIMIT,         /* a limit or quota is reached; see the server's counters */
    CS_EPRECOND,       /* not in this state */
    CS_EABORTED,       /* lost a race; worth trying again from the start */
    CS_ERANGE,         /* past the end, or older than what is kept */
    CS_ENOTSUP,        /* not implemented */
    CS_EINTERNAL,      /* a bug on the side that says so */
    CS_EUNAVAIL,       /* the peer says: not now, try again */
    CS_EDATALOSS,      /* the data are damaged for good */
    CS_EAUTH,          /* who are you? */

    CS_EMISUSE = 48, /* INTERNAL            the caller broke a rule written in a header */
    CS_ENOMEM,       /* RESOURCE_EXHAUSTED  */
    CS_ETOOBIG,      /* RESOURCE_EXHAUSTED  a frame or message is over its limit */
    CS_ESYS,         /* INTERNAL            the system said no; _errmsg() has its words */
    CS_EPROTO,       /* INTERNAL            the peer broke the wire format */
    CS_EREFUSED,     /* UNAVAILABLE         nobody answered there: the request never ran */
    CS_EPEER,        /* UNAVAILABLE         the peer vanished in the middle */
    CS_EDRAIN,       /* UNAVAILABLE         the server is going away; resume elsewhere */
    CS_ELOST,        /* DATA_LOSS           cut, and too late to resume without a hole */
    CS_ECLAIMED,     /* ALREADY_EXISTS      the ticket was used already */
    CS_EEXPIRED,     /* NOT_FOUND           the ticket was not used in time */
    CS_ESTALLED      /* RESOURCE_EXHAUSTED  the reader took nothing, and memory ran short */
} cs_err;

static inline bool cs_failed(cs_err err)
{
    return err > CS_DONE;
}

/* "deadline passed"; never NULL, static. */
CS_API const char *cs_strerror(cs_err err);

/* ---- Bytes -------------------------------------------------------------------------------- */

/* Bytes that belong to somebody else.  Passed by value, never freed. */
typedef struct cs_bytes {
    const void *base;
    size_t len;
} cs_bytes;

static inline cs_bytes cs_bytes_of(const void *base, size_t len)
{
    cs_bytes b = {base, len};
    return b;
}
static inline cs_bytes cs_str(const char *s)
{
    return cs_bytes_of(s, strlen(s));
}

static inline bool cs_same(cs_bytes a, cs_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* As memcmp(): by bytes; of two that begin alike the shorter one comes first. */
static inline int cs_order(cs_bytes a, cs_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.base, b.base, len) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* True if `b` matches the shell pattern (* ? [a-z]), byte by byte. */
CS_API bool cs_glob(cs_bytes pattern, cs_bytes b);

/* printf("%.*s", CS_FMT(bytes)): text only, stops at a NUL; names `b` twice. */
#define CS_FMT(b) (int)(b).len, (const char *)(b).base

/* A name and a value: metadata, tags, labels. */
typedef struct cs_pair {
    cs_bytes name;
    cs_bytes value;
} cs_pair;

/* ---- Counted bytes ------------------------------------------------------------------------ */

/* A reference to immutable bytes that stay where they are for as long as anybody holds
 * one: how frames cross threads, fan out and are relayed without a copy.  A value: pass
 * it, store it, and drop each one you own exactly once.  {0} is the empty reference. */
typedef struct cs_block cs_block;
typedef struct cs_ref {
    cs_bytes bytes;
    cs_block *block; /* NULL: nothing is owned */
} cs_ref;

CS_API cs_err cs_ref_copy(cs_bytes bytes, cs_ref *ret);

/* Room for `len` bytes: fill `*to` before you hand the reference on. */
CS_API cs_err cs_ref_alloc(size_t len, void **to, cs_ref *ret);

/* Memory of yours; `release` runs when the last reference goes, on that thread. */
CS_API cs_err cs_ref_wrap(cs_bytes bytes, void (*release)(void *user), void *user, cs_ref *ret);
CS_API cs_ref cs_ref_dup(cs_ref ref);
/* clipped; a reference of its own */
CS_API cs_ref cs_ref_slice(cs_ref ref, size_t from, size_t len);
CS_API void cs_ref_drop(cs_ref *ref); /* leaves {0} */

/* ---- Numbers with a meaning ------------------------------------------------------
 *
 * Every number in an options struct is signed.  0 is the default that its comment
 * states, CS_OFF switches the thing off (no timeout, no limit, none of it).  `reserved` is
 * zero, which designated initialisers see to; anything else is CS_EMISUSE, so a struct that
 * was never initialised is found out, and a later version may give it a meaning. */
#define CS_OFF (-1)
#define CS_FOREVER (-1) /* timeout_ms: wait as long as it takes */
#define CS_NOW 0        /* timeout_ms: do not wait */

/* ---- The process -------------------------------------------------------------------------- */

/* The version that is linked, "1.4.2", and the one compiled against. */
CS_API const char *cs_version(void);
#define CS_VERSION_MAJOR 0
#define CS_VERSION_MINOR 1

/* The allocator of everything in the library.  Set before anything else, or never. */
struct cs_allocator {
    void *(*alloc)(size_t size, void *user);
    void *(*realloc)(void *old, size_t size, void *user);
    void (*free)(void *p, void *user);
    void *user;
};
CS_API void cs_set_allocator(const struct cs_allocator *allocator);

/* One line an event, without newline; from any thread; must not call back in. */
typedef enum cs_level { CS_ERROR, CS_WARN, CS_INFO, CS_DEBUG } cs_level;
typedef void cs_log_fn(cs_level level, const char *room, const char *line, void *user);
CS_API void cs_set_log(cs_log_fn *log, void *user, cs_level up_to);

#ifdef __cplusplus
}
#endif
#endif
