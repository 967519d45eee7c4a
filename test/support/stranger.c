/* stranger -- see stranger.h. */
#include "test/support/stranger.h"

#include "mux/mux__in.h"

#include <criterion/criterion.h>

void stranger_says(cs_loop *loop, mux_handlers *handlers, cs_bytes bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.base, bytes.len};
    mux__link *ends[2];
    size_t n;

    cr_assert_eq(mux__link_pair(loop, ends), CS_OK);
    cr_assert_eq(mux__conn_accept(loop, ends[1], NULL, handlers, &handlers->local_conns, NULL),
                 CS_OK);
    cr_assert_eq(mux__link_write(ends[0], &iov, 1, &n), CS_OK);
    cr_assert_eq(n, bytes.len);
    cs_loop_settle(loop);
    mux__link_free(ends[0]);
    cs_loop_settle(loop);
}
