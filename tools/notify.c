/* notify -- see notify.h, sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). */
#include "tools/notify.h"
#include "tools/tool.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool read_number(const char *name, uint64_t max, uint64_t *ret)
{
    const char *text = getenv(name);

    return text && tool_number(cs_str(text), max, ret);
}

static bool is_for_me(const char *name)
{
    uint64_t pid;

    return read_number(name, INT_MAX, &pid) && pid == (uint64_t)getpid();
}

void notify_init(struct notify *notify)
{
    static const char *const used[] = {"LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES",
                                       "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};
    const char *path = getenv("NOTIFY_SOCKET");
    uint64_t n;

    *notify = (struct notify){.fds = 0};
    if (is_for_me("LISTEN_PID") && read_number("LISTEN_FDS", INT_MAX - NOTIFY_FIRST_FD, &n))
        notify->fds = (int)n;
    if (path && (path[0] == '/' || path[0] == '@') && path[1] && strlen(path) < sizeof notify->path)
        memcpy(notify->path, path, strlen(path) + 1);
    /* Fed twice as often as it is looked at. */
    if ((!getenv("WATCHDOG_PID") || is_for_me("WATCHDOG_PID")) &&
        read_number("WATCHDOG_USEC", (uint64_t)INT_MAX * 2000, &n) && n > 0)
        notify->every_ms = n < 2000 ? 1 : (int)(n / 2000);
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        unsetenv(used[i]);
}

void notify_fini(struct notify *notify)
{
    if (notify->watchdog)
        cs_timer_free(notify->watchdog);
    notify->watchdog = NULL;
}

void notify_say(const struct notify *notify, const char *format, ...)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(notify->path);
    char text[1024];
    va_list args;
    int fd;

    if (len == 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    memcpy(to.sun_path, notify->path, len);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

static void feed(void *user)
{
    struct notify *notify = user;

    notify_say(notify, "WATCHDOG=1");
    cs_timer_set(notify->watchdog, notify->every_ms);
}

cs_err notify_watch(struct notify *notify, cs_loop *loop)
{
    cs_err err;

    if (notify->every_ms == 0 || !notify->path[0])
        return CS_OK;
    err = cs_timer_new(loop, feed, notify, &notify->watchdog);
    if (err == CS_OK)
        cs_timer_set(notify->watchdog, notify->every_ms);
    return err;
}
