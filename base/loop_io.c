/* loop_io -- descriptors on the loop.
 *
 * Reading and writing are two events of libevent, so that wanting to write now and then, on
 * a descriptor that is always read, costs one system call each time and not two.
 */
#include "base/loop__in.h"
#include "base/mem.h"

#include <event2/event.h>

struct cs_io {
    cs_loop *loop;
    void (*fn)(int can, void *user);
    void *user;
    int wanted;
    struct event *event[2]; /* read, write; behind the object */
};

static void fire(cs_io *io, int can)
{
    cs_loop *loop = io->loop; /* io may be gone after fn */

    cs__callback_begin(loop);
    io->fn(can, io->user);
    cs__callback_end(loop);
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    fire(user, CS_IO_READ);
}

static void on_writable(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    fire(user, CS_IO_WRITE);
}

cs_err cs_io_new(cs_loop *loop, int fd, void (*fn)(int can, void *user), void *user, cs_io **ret)
{
    size_t room = cs_round_up(event_get_struct_event_size());
    cs_io *io;

    if (loop->is_virtual || fd < 0 || (loop->is_shared && !cs_loop_in_turn(loop)))
        return CS_EMISUSE;
    if (!(io = cs_zalloc_with(sizeof *io, 2 * room)))
        return CS_ENOMEM;
    io->loop = loop;
    io->fn = fn;
    io->user = user;
    io->event[0] = cs_extra(io, sizeof *io);
    io->event[1] = (struct event *)(void *)((char *)cs_extra(io, sizeof *io) + room);
    event_assign(io->event[0], loop->base, fd, EV_READ | EV_PERSIST, on_readable, io);
    event_assign(io->event[1], loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, io);
    *ret = io;
    return CS_OK;
}

static void want(cs_io *io, int direction, struct event *event, int what)
{
    if ((io->wanted & direction) == (what & direction))
        return;
    if (!(what & direction)) {
        event_del(event);
        io->wanted &= ~direction;
    } else if (event_add(event, NULL) == 0) {
        io->wanted |= direction;
    } else {
        cs_log(CS_ERROR, "loop", "descriptor %d cannot be watched", (int)event_get_fd(event));
    }
}

void cs_io_want(cs_io *io, int what)
{
    want(io, CS_IO_READ, io->event[0], what);
    want(io, CS_IO_WRITE, io->event[1], what);
}

void cs_io_free(cs_io *io)
{
    if (!io)
        return;
    cs_io_want(io, 0);
    cs_free(io);
}
