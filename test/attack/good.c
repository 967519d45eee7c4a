/* good -- see good.h. */
#include "test/attack/good.h"

#include "test/attack/peer.h"
#include "test/attack/secure.h"
#include "tools/gen.h"

#include <stdio.h>
#include <string.h>

enum { SIZE = 64, PAUSE_MS = 20, STAYS_FROM = 2, COMES_FROM = 3 };

/* The announcement has the frame in it, and nothing else is as long. */
static void look(struct peer *peer, uint32_t id, const uint8_t *bytes, size_t len)
{
    uint8_t frame[SIZE];
    bool *right = peer->user;
    (void)id;
    gen_fill(frame, SIZE, 0, 0);
    *right = *right || memmem(bytes, len, frame, SIZE);
}

/* NULL: served. */
static const char *ask(struct peer *peer, uint32_t id, int64_t until, enum fate fate)
{
    uint64_t good = peer->statuses[0], ends = peer->ends;
    bool right = false;
    peer->on_data = look;
    peer->user = &right;
    peer_post(peer, id, "gen", "sources=1&frames=1&size=64&eager=1");
    if (!peer_flush(peer))
        return "cannot send";
    if (!peer_until(peer, &peer->ends, ends + 1, (int)(until - now_ms())))
        return peer->ended ? "hung up on" : "not answered in time";
    if (fate == REFUSED && peer->status == 8)
        return NULL;
    if (peer->statuses[0] != good + 1)
        return peer->status < 0 ? "reset" : "refused";
    return right ? NULL : "answered wrong";
}

static void note(struct good *good, const char *what, const char *why, int64_t began, int status)
{
    int took = (int)(now_ms() - began);
    atomic_fetch_add(&good->rounds, 1);
    if (took > atomic_load(&good->slowest_ms))
        atomic_store(&good->slowest_ms, took);
    if (why && !good->why[0])
        snprintf(good->why, sizeof good->why, "%s: %s after %d ms (status %d)", what, why, took,
                 status);
}

static bool open_one(const struct good *good, struct peer *peer, int from, struct work *work)
{
    return peer_dial(peer, good->port, from, work) && (!good->secure || peer_secure(peer)) &&
           peer_greet(peer);
}

static void come_anew(struct good *good, struct work *work)
{
    struct peer peer;
    int64_t began = now_ms();
    const char *why = open_one(good, &peer, COMES_FROM, work)
                          ? ask(&peer, 1, began + GOOD_LIMIT_MS, good->fate)
                          : "cannot connect";
    note(good, "a new connection", why, began, peer.status);
    peer_free(&peer);
}

static void *run(void *user)
{
    struct good *good = user;
    struct work work = {0};
    struct peer stays;
    uint32_t id = 1;
    bool opened = open_one(good, &stays, STAYS_FROM, &work);
    while (opened && !atomic_load(&good->over)) {
        int64_t began = now_ms();
        note(good, "a connection that stays", ask(&stays, id, began + GOOD_LIMIT_MS, good->fate),
             began, stays.status);
        id += 2;
        if (good->fate != CROWDED)
            come_anew(good, &work);
        if (good->why[0])
            break;
        do {
            atomic_store(&good->resting, atomic_load(&good->rests));
            peer_hear(&stays, PAUSE_MS);
        } while (atomic_load(&good->rests) && !atomic_load(&good->over));
    }
    if (!opened)
        snprintf(good->why, sizeof good->why, "cannot connect");
    atomic_store(&good->failed, good->why[0] != '\0');
    peer_free(&stays);
    return NULL;
}

bool good_start(struct good *good, int port, const struct scenario *scenario)
{
    memset(good, 0, sizeof *good);
    good->port = port;
    good->fate = scenario->fate;
    good->secure = scenario->secure;
    return pthread_create(&good->thread, NULL, run, good) == 0;
}

void good_rest(struct good *good)
{
    atomic_store(&good->rests, true);
    for (int64_t until = now_ms() + 3 * GOOD_LIMIT_MS;
         !atomic_load(&good->resting) && !atomic_load(&good->failed) && now_ms() < until;)
        nap_ms(5);
}

void good_go(struct good *good)
{
    atomic_store(&good->rests, false);
    while (atomic_load(&good->resting) && !atomic_load(&good->failed))
        nap_ms(5);
}

void good_stop(struct good *good)
{
    atomic_store(&good->over, true);
    pthread_join(good->thread, NULL);
}
