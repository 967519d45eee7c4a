/* fuzz -- see fuzz.h. */
#include "test/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PIECES = 32 }; /* of one size, about */

static size_t alive, alive_before;

void fuzz_must(bool held)
{
    if (!held)
        abort();
}

/* ---- A run ------------------------------------------------------------------------------------ */

/* In place of libc's: the library asks nobody else. */
ssize_t getrandom(void *to, size_t len, unsigned flags)
{
    (void)flags;
    memset(to, FUZZ_RANDOM, len);
    return (ssize_t)len;
}

static void *take(size_t size, void *user)
{
    void *p = malloc(size);

    (void)user;
    alive += p != NULL;
    return p;
}

static void *retake(void *old, size_t size, void *user)
{
    void *p = realloc(old, size);

    (void)user;
    alive += p && !old;
    return p;
}

static void give_back(void *p, void *user)
{
    (void)user;
    alive -= p != NULL;
    free(p);
}

void fuzz_begin(void)
{
    static const struct cs_allocator counted = {take, retake, give_back, NULL};
    static bool is_set;

    if (!is_set)
        cs_set_allocator(&counted);
    is_set = true;
    alive_before = alive;
}

void fuzz_end(void)
{
    fuzz_must(alive == alive_before);
}

/* ---- The input -------------------------------------------------------------------------------- */

uint8_t fuzz_byte(struct fuzz_in *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

cs_bytes fuzz_take(struct fuzz_in *in, size_t most)
{
    cs_bytes bytes = cs_bytes_of(in->at, most < in->left ? most : in->left);

    in->at += bytes.len;
    in->left -= bytes.len;
    return bytes;
}

cs_bytes fuzz_piece(struct fuzz_in *in, size_t piece)
{
    if (piece == 1 && in->left >= FUZZ_FRAME_HEAD)
        piece = FUZZ_FRAME_HEAD + ((size_t)in->at[0] << 16 | (size_t)in->at[1] << 8 | in->at[2]);
    else if (piece < 2)
        piece = in->left;
    else if (piece < in->left / PIECES)
        piece = in->left / PIECES;
    return fuzz_take(in, piece);
}

/* ---- The far end ------------------------------------------------------------------------------ */

static void ready(int can, void *user)
{
    struct fuzz_far *far = user;
    uint8_t bytes[4096];
    cs_err err;
    size_t n;

    (void)can;
    do
        err = mux__link_read(far->link, bytes, sizeof bytes, &n);
    while (err == CS_OK);
    if (err == CS_AGAIN)
        return;
    far->hung_up = true;
    mux__link_want(far->link, false, false);
}

void fuzz_far_begin(struct fuzz_far *far, mux__link *link, bool deaf)
{
    *far = (struct fuzz_far){.link = link, .deaf = deaf};
    mux__link_listen(link, ready, far);
    mux__link_want(link, !deaf, false);
}

/* It has room for more than any input has. */
void fuzz_far_say(struct fuzz_far *far, cs_bytes bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.base, bytes.len};
    size_t n;

    if (far->link && bytes.len > 0)
        (void)mux__link_write(far->link, &iov, 1, &n);
}

void fuzz_far_end(struct fuzz_far *far)
{
    if (far->link)
        mux__link_free(far->link);
    far->link = NULL;
}
