/* owner -- whose sessions and posts they are: of an identity, where there is one, else of an address.
 *
 * Certificates and addresses change in good faith; who they are of does not.  Who shows
 * more than one identity is somebody else than who shows one of them. */
#include "chanserv/session__in.h"

enum { NOBODY = -2 }; /* as a uid; -1 is none */

struct who {
    int64_t uid;
    cs_bytes subject, token;
};

static inline struct who who_is(const mux_stream *stream)
{
    const struct mux_peer *peer = mux_stream_peer(stream);
    struct who who = {.uid = peer->uid, .subject = peer->tls_subject};

    (void)mux_stream_header(stream, "authorization", &who.token);
    if (who.uid < 0 && who.subject.len == 0 && who.token.len == 0)
        who.uid = NOBODY;
    return who;
}

/* Without the port, that is new each time. */
static cs_bytes host_of(const mux_stream *stream)
{
    cs_bytes addr = mux_stream_peer(stream)->addr;
    const char *at = addr.base;
    size_t n = addr.len;

    while (n > 0 && at[n - 1] != ':')
        n--;
    return cs_bytes_of(at, n > 0 ? n : addr.len);
}

static cs_bytes name_of(const struct chanserv__owner *owner)
{
    return cs_bytes_of(&owner->uid, owner->name_len);
}

static struct chanserv__owner *owner_new(const struct who *who)
{
    size_t len = who->subject.len + who->token.len;
    struct chanserv__owner *owner = cs_zalloc(sizeof *owner + len);

    if (!owner)
        return NULL;
    cs_list_init(&owner->lingering);
    owner->name_len = sizeof owner->uid + sizeof owner->subject_len + len;
    owner->uid = who->uid;
    owner->subject_len = who->subject.len;
    if (who->subject.len > 0)
        memcpy(owner->words, who->subject.base, who->subject.len);
    if (who->token.len > 0)
        memcpy(owner->words + who->subject.len, who->token.base, who->token.len);
    return owner;
}

struct chanserv__owner *chanserv__owner_of(chanserv_server *server, const mux_stream *stream)
{
    struct who who = who_is(stream);
    struct chanserv__owner *owner, *known;

    if (who.uid == NOBODY)
        who.subject = host_of(stream);
    if (!(owner = owner_new(&who)))
        return NULL;
    known = cs_names_get(&server->owners, name_of(owner));
    if (known || cs_names_put(&server->owners, name_of(owner), owner) != CS_OK) {
        cs_free(owner);
        owner = known;
    }
    if (owner)
        owner->holds++;
    return owner;
}

struct chanserv__owner *chanserv__owner_hold(struct chanserv__owner *owner)
{
    owner->holds++;
    return owner;
}

/* A token is never told. */
static void complain(const struct chanserv__owner *owner, const char *limit)
{
    if (owner->uid >= 0)
        cs_log(CS_WARN, "chanserv", "uid %lld is beyond %s", (long long)owner->uid, limit);
    else
        cs_log(CS_WARN, "chanserv", "%.*s is beyond %s",
               owner->subject_len > 0 ? (int)owner->subject_len : 16,
               owner->subject_len > 0 ? owner->words : "who bears a token", limit);
}

bool chanserv__owner_is_full(struct chanserv__owner *owner, int64_t has, int64_t max,
                             const char *limit, uint64_t *counter)
{
    if (has < max)
        return false;
    ++*counter;
    if (!owner->has_complained)
        complain(owner, limit);
    owner->has_complained = true;
    return true;
}

void chanserv__owner_drop(chanserv_server *server, struct chanserv__owner *owner)
{
    if (--owner->holds > 0)
        return;
    (void)cs_names_remove(&server->owners, name_of(owner));
    cs_free(owner);
}

bool chanserv__owner_is(const struct chanserv__owner *owner, const mux_stream *stream)
{
    const struct who who = who_is(stream);
    const size_t len =
        sizeof owner->uid + sizeof owner->subject_len + who.subject.len + who.token.len;

    if (who.uid != owner->uid)
        return false;
    return who.uid == NOBODY ||
           (who.subject.len == owner->subject_len && len == owner->name_len &&
            cs_same_secret(who.subject.base, owner->words, who.subject.len) &&
            cs_same_secret(who.token.base, owner->words + who.subject.len, who.token.len));
}
