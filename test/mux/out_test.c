#include "base/mem.h"
#include "mux/out__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

static struct mux__out out;
static uint8_t bytes[20000];

static mux__chunk *chunk_of(const void *base, size_t len)
{
    mux__chunk *chunk = cs_zalloc(sizeof *chunk);
    cr_assert(chunk);
    chunk->refs = 1;
    chunk->base = base;
    chunk->len = (uint32_t)len;
    return chunk;
}

Test(out, short_things_lie_behind_each_other_and_long_ones_are_pointed_at)
{
    mux__chunk *chunk = chunk_of(bytes, sizeof bytes);
    cr_assert(mux__out_ready(&out));
    mux__out_copy(&out, "head", 4);
    mux__out_piece(&out, bytes, MUX__OUT_SHORT - 1, chunk);
    cr_assert_eq(out.len, 1);
    cr_assert_eq(chunk->refs, 1);
    mux__out_piece(&out, bytes, MUX__OUT_SHORT, chunk);
    cr_assert_eq(out.len, 2);
    cr_assert_eq(out.iov[1].iov_base, bytes);
    cr_assert_eq(chunk->refs, 2);
    mux__out_copy(&out, "tail", 4);
    cr_assert_eq(out.len, 3);
    cr_assert_eq(out.bytes, 4 + MUX__OUT_SHORT - 1 + MUX__OUT_SHORT + 4);
    mux__out_written(&out, 4 + MUX__OUT_SHORT - 1 + MUX__OUT_SHORT - 1);
    cr_assert_eq(chunk->refs, 2);
    cr_assert_eq(out.iov[1].iov_base, bytes + MUX__OUT_SHORT - 1);
    mux__out_written(&out, 1);
    cr_assert_eq(chunk->refs, 1);
    cr_assert_eq(out.at, 2);
    mux__out_fini(&out);
    mux__chunk_drop(chunk);
}

Test(out, a_batch_that_is_given_up_lets_go_of_its_chunks)
{
    failing_count();
    mux__chunk *chunk = chunk_of(bytes, sizeof bytes);
    cr_assert(mux__out_ready(&out));
    for (int i = 0; i < 10; i++)
        mux__out_piece(&out, bytes, 2000, chunk);
    mux__chunk_drop(chunk);
    mux__out_written(&out, 3000);
    mux__out_fini(&out);
    cr_assert_eq(failing_live(), 0);
}

Test(out, what_fits_is_known_before)
{
    mux__chunk *chunk = chunk_of(bytes, sizeof bytes);
    cr_assert(mux__out_ready(&out));
    cr_assert(mux__out_fits(&out, 16384, MUX__OUT_IOV - 1));
    cr_assert(!mux__out_fits(&out, 16384, MUX__OUT_IOV));
    int frames = 0;
    while (mux__out_fits(&out, 1500, 2)) { /* the worst: a short piece, then a long one */
        mux__out_copy(&out, bytes, 9);
        mux__out_piece(&out, bytes, 476, chunk);
        mux__out_piece(&out, bytes, 1024, chunk);
        frames++;
    }
    cr_assert_leq(out.len, MUX__OUT_IOV);
    cr_assert_gt(frames, 50);
    mux__out_reset(&out);
    cr_assert(mux__out_ready(&out));
    while (mux__out_fits(&out, 1000, 1)) {
        mux__out_copy(&out, bytes, 9);
        mux__out_piece(&out, bytes, 1000, chunk);
    }
    cr_assert_leq(out.copied, MUX__OUT_COPIES);
    cr_assert_eq(out.len, 1);
    mux__out_reset(&out);
    cr_assert(!mux__out_full(&out));
    cr_assert_null(out.copies, "an idle connection keeps no buffer");
    mux__chunk_drop(chunk);
}
