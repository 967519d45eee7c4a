/* A source that works for its frames: some two microseconds each, hashing what is known to both sides. */
#include "bench/kit.h"

enum { WORDS = 1024 };

static uint64_t sums[KIT_PATTERNS];

/* A multiplication a word, each of which waits for the last: time that no other core's can hide. */
static uint64_t hash(uint64_t number)
{
    const uint8_t *at = kit_noise + number % KIT_PATTERNS * KIT_STEP;
    uint64_t h = 0xcbf29ce484222325u, word;
    for (int i = 0; i < WORDS; i++, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        h = (h ^ word) * 0x100000001b3u;
    }
    return h;
}

void kit_hash_init(void)
{
    kit_make_noise(KIT_PATTERNS * KIT_STEP + WORDS * sizeof *sums);
    for (uint64_t i = 0; i < KIT_PATTERNS; i++)
        sums[i] = hash(i);
}

bool kit_is_hash(cs_bytes frame, uint64_t number)
{
    const uint64_t *sum = &sums[number % KIT_PATTERNS];
    return cs_same(frame, cs_bytes_of(sum, sizeof *sum));
}

struct hashes {
    uint64_t at, sum;
};

static cs_err hashes_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out;
    struct hashes *h = state;
    h->sum = hash(h->at) ^ (h->at == 0 && kit_corrupts());
    h->at++;
    *frame = cs_bytes_of(&h->sum, sizeof h->sum);
    return CS_OK;
}

cs_err kit_hashes(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct hashes),
                                                   .next = hashes_next};
    (void)body, (void)user;
    cs_err err = chanserv_announce(post, kit_frame(0, HDR), &ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}
