/* loop_io -- descriptors on the loop.
 *
 * Reading and writing are two events of libevent, so that wanting to write now and then, on
 * a descriptor that is always read, costs one system call each time and not two.
 */
#include "base/loop__in.h"
#include "base/mem.h"

#include <event2/event.h>
#include <poll.h>

struct cs_io {
    cs_loop *loop;
    void (*fn)(int can, void *user);
    void *user;
    int fd;
    int asked;
    bool writes;  /* the second event is watched; */
    short kind;   /* of the first one, while it is */
    bool is_deaf; /* libevent did not take what was asked */
    cs_task again;
    struct event *event[2]; /* read or gone, write; behind the object */
};

static void fire(cs_io *io, int can)
{
    cs_loop *loop = io->loop; /* io may be gone after fn */

    cs__callback_begin(loop);
    io->fn(can, io->user);
    cs__callback_end(loop);
}

static bool has_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0;
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
    cs_io *io = user;

    (void)what;
    if (io->asked & CS_IO_READ)
        fire(io, CS_IO_READ);
    else if (has_gone((int)fd))
        fire(io, CS_IO_GONE);
}

static void on_writable(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    fire(user, CS_IO_WRITE);
}

/* Of a broken connection libevent tells those alone who read or write, and who takes no bytes must not be
 * told of them turn by turn; but edges it allows only where all events of a descriptor have them. */
static short kind_of(int what)
{
    if (what & CS_IO_READ)
        return EV_READ;
    if (what & CS_IO_GONE)
        return what & CS_IO_WRITE ? EV_CLOSED : EV_READ | EV_CLOSED | EV_ET;
    return 0;
}

static void stop(cs_io *io)
{
    if (io->kind)
        event_del(io->event[0]);
    io->kind = 0;
}

static bool start(cs_io *io, short kind)
{
    event_assign(io->event[0], io->loop->base, io->fd, (short)(kind | EV_PERSIST), on_readable, io);
    if (event_add(io->event[0], NULL) != 0)
        return kind & EV_CLOSED; /* it is not to be had everywhere */
    io->kind = kind;
    return true;
}

static bool want_write(cs_io *io, bool on)
{
    if (io->writes == on)
        return true;
    if ((on ? event_add(io->event[1], NULL) : event_del(io->event[1])) != 0)
        return false;
    io->writes = on;
    return true;
}

/* Without memory, libevent's or the kernel's, it is tried again in each turn: better a busy loop than a
 * deaf one.  Who asked is not told that he can, because nobody knows. */
static void watch(cs_io *io)
{
    const short kind = kind_of(io->asked);
    const bool was_deaf = io->is_deaf;

    if (kind != io->kind)
        stop(io);
    io->is_deaf = !want_write(io, io->asked & CS_IO_WRITE);
    if (kind != io->kind && !start(io, kind))
        io->is_deaf = true;
    if (!io->is_deaf)
        return;
    if (!was_deaf)
        cs_log(CS_ERROR, "loop", "descriptor %d cannot be watched", io->fd);
    cs_task_post(io->loop, CS_IO, &io->again);
}

static void watch_again(cs_task *task)
{
    watch(CS_CONTAINER(task, cs_io, again));
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
    io->fd = fd;
    cs_task_init(&io->again, watch_again);
    event_assign(io->event[1], loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, io);
    *ret = io;
    return CS_OK;
}

void cs_io_want(cs_io *io, int what)
{
    if (io->asked == what)
        return;
    io->asked = what;
    watch(io);
}

void cs_io_free(cs_io *io)
{
    if (!io)
        return;
    cs_io_want(io, 0);
    cs_task_drop(&io->again);
    cs_free(io);
}
