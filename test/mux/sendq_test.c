#include "mux/sendq__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* A queue beside a naive model of it: the bytes, one behind the other. */
static struct mux__sendq q;
static struct mux__out out;
static uint8_t model[1 << 20];
static size_t model_len;
static uint8_t counter;

static void remember(const uint8_t *bytes, size_t len)
{
    memcpy(model + model_len, bytes, len);
    model_len += len;
}

static const uint8_t *fresh_bytes(size_t len)
{
    static uint8_t bytes[20000];
    for (size_t i = 0; i < len; i++)
        bytes[i] = counter++;
    return bytes;
}

static void add(size_t a, size_t b)
{
    const uint8_t *bytes = fresh_bytes(a + b);
    const cs_bytes parts[] = {cs_bytes_of(bytes, a), cs_bytes_of(bytes + a, b)};
    if (mux__sendq_add(&q, parts, 2) == CS_OK)
        remember(bytes, a + b);
    else
        cr_assert(failing_failed());
}

static void add_ref(size_t head, size_t tail)
{
    const uint8_t *bytes = fresh_bytes(head + tail);
    const cs_bytes part = cs_bytes_of(bytes, head);
    cs_ref ref;
    if (cs_ref_copy(cs_bytes_of(bytes + head, tail), &ref) != CS_OK)
        return;
    if (mux__sendq_add_ref(&q, &part, 1, &ref) == CS_OK) {
        cr_assert(!ref.block, "it was moved");
        remember(bytes, head + tail);
    } else
        cr_assert(ref.block, "it was not taken");
    cs_ref_drop(&ref);
}

/* Writes what the output holds in bites, comparing each byte. */
static void write_all(size_t bite)
{
    size_t at = 0;
    while (out.at < out.len) {
        struct iovec v = out.iov[out.at];
        size_t n = v.iov_len < bite ? v.iov_len : bite;
        cr_assert(memcmp(v.iov_base, model + at, n) == 0, "bytes out of order");
        mux__out_written(&out, n);
        at += n;
    }
    cr_assert_eq(out.bytes, 0);
    memmove(model, model + at, model_len - at);
    model_len -= at;
    mux__out_reset(&out);
}

static void emit(size_t len, size_t bite)
{
    if (len > q.bytes)
        len = q.bytes;
    if (len == 0 || !mux__out_ready(&out))
        return;
    if (mux__out_fits(&out, len, mux__sendq_pieces(&q, len)))
        mux__sendq_emit(&q, len, &out);
    if (bite)
        write_all(bite);
}

static void expect_empty(void)
{
    while (q.bytes > 0) {
        emit(5000, 700);
        cr_assert(out.copies == NULL);
    }
    cr_assert_eq(model_len, 0);
    cr_assert_null(q.first, "an idle queue keeps nothing");
}

Test(sendq, bytes_go_out_in_order_whatever_the_parts)
{
    failing_count();
    srand(7);
    for (int i = 0; i < 20000; i++) {
        size_t a = (size_t)rand() % 100, b = (size_t)rand() % (rand() % 10 ? 300 : 9000);
        if (q.bytes < 100000 && rand() % 2)
            rand() % 3 ? add(a, b) : add_ref(a, b + 1);
        else
            emit((size_t)rand() % 16384 + 1, (size_t)rand() % 5000 + 1);
        cr_assert_eq(q.bytes, model_len);
    }
    expect_empty();
    cr_assert_eq(failing_live(), 0);
}

Test(sendq, a_cut_keeps_the_next_bytes_and_no_more)
{
    failing_count();
    srand(8);
    for (int i = 0; i < 3000; i++) {
        for (int n = rand() % 20; n > 0; n--)
            rand() % 2 ? add((size_t)rand() % 900, (size_t)rand() % 900)
                       : add_ref((size_t)rand() % 10, (size_t)rand() % 3000 + 1);
        emit((size_t)rand() % 3000, 1000);
        size_t keep = rand() % 4 ? (size_t)rand() % 5000 : 0;
        mux__sendq_cut(&q, keep);
        if (keep < model_len)
            model_len = keep;
        cr_assert_eq(q.bytes, model_len);
        if (rand() % 2) /* what comes behind a cut does not write over what is on its way */
            add(10, 700);
        cr_assert_eq(q.bytes, model_len);
    }
    expect_empty();
    cr_assert_eq(failing_live(), 0);
}

Test(sendq, what_the_output_holds_outlives_the_queue)
{
    failing_count();
    add(0, 5000);
    add_ref(5, 9000);
    emit(14005, 0);
    mux__sendq_fini(&q);
    cr_assert_eq(q.bytes, 0);
    write_all(4096);
    cr_assert_eq(failing_live(), 0);
}

Test(sendq, pieces_are_counted_as_they_lie)
{
    add_ref(5, 2000);
    add_ref(5, 2000);
    cr_assert_eq(mux__sendq_pieces(&q, 0), 0);
    cr_assert_eq(mux__sendq_pieces(&q, 5), 1);
    cr_assert_eq(mux__sendq_pieces(&q, 6), 2);
    cr_assert_eq(mux__sendq_pieces(&q, 4010), 4);
    emit(1000, 5000);
    cr_assert_eq(mux__sendq_pieces(&q, 1005), 1);
    cr_assert_eq(mux__sendq_pieces(&q, 1006), 2);
    mux__sendq_fini(&q);
}

static void starving_story(void)
{
    model_len = 0;
    for (int i = 0; i < 10; i++) {
        add(5, 3000);
        add_ref(5, 2000);
        emit(4000, 1000);
    }
    while (q.bytes > 0) {
        size_t before = q.bytes;
        emit(5000, 5000);
        if (before == q.bytes)
            break; /* no memory for the output */
    }
    mux__sendq_fini(&q);
    mux__out_fini(&out);
}

Test(sendq, survives_every_failed_allocation)
{
    failing_story(starving_story);
}
