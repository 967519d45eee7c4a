/* fuzz -- what the fuzzers of connections share.
 *
 * A run is one input: everything is made, used and freed between fuzz_begin() and fuzz_end(), on a
 * virtual loop, with links in memory.  What is random in the library is always the same byte, so
 * that an input does the same each time, and can name the tickets that it will be given.
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include "mux/link__in.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FUZZ_RANDOM = 'R' }; /* each byte of a ticket's instance and secret, of a session's name */

void fuzz_must(bool held); /* or it is a finding */

void fuzz_begin(void);
void fuzz_end(void); /* nothing of the library's that was made in it may be alive */

/* ---- What an input says, byte by byte; zeroes behind its end -------------------------------- */

struct fuzz_in {
    const uint8_t *at;
    size_t left;
};
uint8_t fuzz_byte(struct fuzz_in *in);
cs_bytes fuzz_take(struct fuzz_in *in, size_t most); /* a view */
/* What arrives at once: 0 all of it, 1 a frame of HTTP/2, else so many bytes; more of a long input. */
enum { FUZZ_FRAME_HEAD = 9 };
cs_bytes fuzz_piece(struct fuzz_in *in, size_t piece);

/* ---- The far end of a link: takes all that comes, and says what the input says --------------- */

struct fuzz_far {
    mux__link *link; /* NULL: none, or gone */
    bool deaf;       /* takes nothing */
    bool hung_up;    /* the other side has */
};
void fuzz_far_begin(struct fuzz_far *far, mux__link *link, bool deaf);
void fuzz_far_say(struct fuzz_far *far, cs_bytes bytes);
void fuzz_far_end(struct fuzz_far *far);

/* ---- Frames of HTTP/2 ------------------------------------------------------------------------
 * Input = `head` bytes that choose, then frames.  Changes one frame, or their order, and keeps the
 * lengths in frame heads and in front of messages true, most of the time.  Crossing takes the first
 * frames of one input and the last of the other. */
size_t fuzz_frames_mutate(uint8_t *bytes, size_t len, size_t most, unsigned seed, size_t head);
size_t fuzz_frames_cross(cs_bytes a, cs_bytes b, uint8_t *to, size_t most, unsigned seed,
                         size_t head);

/* Of one head's length, for a fuzzer of frames. */
#define FUZZ_FRAMES(head)                                                                          \
    size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t most, unsigned seed);        \
    size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t most, unsigned seed)         \
    {                                                                                              \
        return fuzz_frames_mutate(bytes, len, most, seed, head);                                   \
    }                                                                                              \
    size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b,             \
                                     size_t b_len, uint8_t *to, size_t most, unsigned seed);       \
    size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b,             \
                                     size_t b_len, uint8_t *to, size_t most, unsigned seed)        \
    {                                                                                              \
        return fuzz_frames_cross(cs_bytes_of(a, a_len), cs_bytes_of(b, b_len), to, most, seed,     \
                                 head);                                                            \
    }                                                                                              \
    _Static_assert((head) > 0, "what is chosen comes first")

#endif
