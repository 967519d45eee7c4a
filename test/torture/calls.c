/* calls -- see calls.h.  A definition in the program comes before the C library's, for shared
 * libraries too; the real one is the next. */
/* Fortified, some of these would be inline in the headers. */
#undef _FORTIFY_SOURCE
#include "test/torture/calls.h"

#include "base/mem.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum calls_kind kind;
    int way;
    atomic_size_t left;       /* calls of the kind until it fails; 0: none will */
    const char *_Atomic what; /* that failed */
    int error;
    atomic_bool last_way;
    atomic_size_t made; /* of the kind */
    atomic_size_t alive, tls_alive;
} it;

static bool fails(enum calls_kind kind, const char *what, const int *errors, int len)
{
    size_t left = atomic_load(&it.left);

    if (kind != it.kind)
        return false;
    atomic_fetch_add(&it.made, 1);
    do
        if (left == 0)
            return false;
    while (!atomic_compare_exchange_weak(&it.left, &left, left - 1));
    if (left > 1)
        return false;
    it.error = errors[it.way % len];
    atomic_store(&it.last_way, it.way + 1 >= len);
    atomic_store(&it.what, what);
    errno = it.error;
    return true;
}

void calls_arm(enum calls_kind kind, size_t nth, int way)
{
    atomic_store(&it.left, 0);
    atomic_store(&it.what, NULL);
    atomic_store(&it.last_way, true);
    atomic_store(&it.made, 0);
    it.kind = kind;
    it.way = way;
    atomic_store(&it.left, nth);
}

const char *calls_failed(bool *ret_last_way)
{
    static char text[80];
    const char *what = atomic_load(&it.what);

    *ret_last_way = atomic_load(&it.last_way);
    if (!what)
        return NULL;
    snprintf(text, sizeof text, "%s: %s", what, strerrorname_np(it.error));
    return text;
}

size_t calls_made(void)
{
    return atomic_load(&it.made);
}

/* ---- The system's ----------------------------------------------------------------------------- */

static void *real(const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);

    if (!at)
        abort();
    return at;
}

/* What glibc calls a socket's address is either of two types, by an extension of gcc.
 * NAME(parameters), called with (arguments), fails by these errors. */
#define CALL(result, name, parameters, arguments, ...)                                             \
    result name parameters                                                                         \
    {                                                                                              \
        static const int errors[] = {__VA_ARGS__};                                                 \
        static result(*next) parameters;                                                           \
        if (!next)                                                                                 \
            *(void **)&next = real(#name);                                                         \
        if (fails(CALLS_SYSTEM, #name, errors, sizeof errors / sizeof *errors))                    \
            return -1;                                                                             \
        return next arguments;                                                                     \
    }

CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, ENOBUFS)
CALL(int, bind, (int fd, __CONST_SOCKADDR_ARG addr, socklen_t len), (fd, addr, len), EADDRINUSE)
CALL(int, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE)
CALL(int, accept4, (int fd, __SOCKADDR_ARG addr, socklen_t *restrict len, int flags),
     (fd, addr, len, flags), EMFILE, EAGAIN, EINTR, ECONNABORTED)
CALL(int, connect, (int fd, __CONST_SOCKADDR_ARG addr, socklen_t len), (fd, addr, len),
     ECONNREFUSED, ENETUNREACH, EAGAIN)
CALL(ssize_t, recv, (int fd, void *to, size_t len, int flags), (fd, to, len, flags), ECONNRESET,
     EAGAIN, EINTR, ENOMEM)
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags), EPIPE,
     EAGAIN, EINTR, ENOBUFS)
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len), ENOBUFS)
CALL(int, getsockopt, (int fd, int level, int name, void *restrict value, socklen_t *restrict len),
     (fd, level, name, value, len), ENOBUFS)
CALL(int, getsockname, (int fd, __SOCKADDR_ARG addr, socklen_t *restrict len), (fd, addr, len),
     ENOBUFS)
CALL(int, getpeername, (int fd, __SOCKADDR_ARG addr, socklen_t *restrict len), (fd, addr, len),
     ENOTCONN)
CALL(int, eventfd, (unsigned count, int flags), (count, flags), EMFILE)
CALL(int, epoll_create1, (int flags), (flags), EMFILE)
CALL(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *event), (ep, op, fd, event),
     ENOMEM, ENOSPC)
CALL(int, epoll_wait, (int ep, struct epoll_event *events, int max, int ms), (ep, events, max, ms),
     EINTR)
CALL(ssize_t, read, (int fd, void *to, size_t len), (fd, to, len), EAGAIN, EINTR)
CALL(ssize_t, write, (int fd, const void *from, size_t len), (fd, from, len), EINTR)
CALL(ssize_t, getrandom, (void *to, size_t len, unsigned flags), (to, len, flags), ENOSYS, EINTR)
CALL(int, gethostname, (char *to, size_t len), (to, len), ENAMETOOLONG)

int fcntl(int fd, int command, ...)
{
    static const int errors[] = {EMFILE};
    static int (*next)(int, int, ...);
    va_list args;
    long arg;

    if (!next)
        *(void **)&next = real("fcntl");
    if (fails(CALLS_SYSTEM, "fcntl", errors, 1))
        return -1;
    va_start(args, command);
    arg = va_arg(args, long);
    va_end(args);
    return next(fd, command, arg);
}

/* OpenSSL's is the second. */
#define OPEN(name)                                                                                 \
    FILE *name(const char *restrict path, const char *restrict mode)                               \
    {                                                                                              \
        static const int errors[] = {EMFILE};                                                      \
        static FILE *(*next)(const char *, const char *);                                          \
        if (!next)                                                                                 \
            *(void **)&next = real(#name);                                                         \
        return fails(CALLS_SYSTEM, #name, errors, 1) ? NULL : next(path, mode);                    \
    }
OPEN(fopen)
OPEN(fopen64)

int pthread_create(pthread_t *restrict ret, const pthread_attr_t *restrict attr,
                   void *(*run)(void *), void *restrict arg)
{
    static const int errors[] = {EAGAIN};
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (!next)
        *(void **)&next = real("pthread_create");
    return fails(CALLS_SYSTEM, "pthread_create", errors, 1) ? EAGAIN : next(ret, attr, run, arg);
}

/* Names that end in ".test" are this machine's, so that a story need not leave it. */
int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    static const int errors[] = {EAGAIN, ENOMEM}, answers[] = {EAI_AGAIN, EAI_MEMORY};
    static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (!next)
        *(void **)&next = real("getaddrinfo");
    if (fails(CALLS_SYSTEM, "getaddrinfo", errors, 2))
        return answers[it.way % 2];
    if (host && strstr(host, ".test"))
        host = "127.0.0.1";
    return next(host, service, hints, ret);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static const int no_memory[] = {ENOMEM};

static void *take(enum calls_kind kind, const char *who, size_t size)
{
    void *p = fails(kind, who, no_memory, 1) ? NULL : malloc(size);

    atomic_fetch_add(&it.alive, p != NULL);
    return p;
}

static void *retake(enum calls_kind kind, const char *who, void *old, size_t size)
{
    void *p = fails(kind, who, no_memory, 1) ? NULL : realloc(old, size);

    atomic_fetch_add(&it.alive, p && !old);
    return p;
}

static void give_back(void *p)
{
    atomic_fetch_sub(&it.alive, p != NULL);
    free(p);
}

/* OpenSSL says where in its source it is. */
static void *tls_take(size_t size, const char *file, int line)
{
    void *p = fails(CALLS_TLS, "OpenSSL's malloc", no_memory, 1) ? NULL : malloc(size);

    (void)file, (void)line;
    atomic_fetch_add(&it.tls_alive, p != NULL);
    return p;
}

static void *tls_retake(void *old, size_t size, const char *file, int line)
{
    void *p = fails(CALLS_TLS, "OpenSSL's realloc", no_memory, 1) ? NULL : realloc(old, size);

    (void)file, (void)line;
    atomic_fetch_add(&it.tls_alive, p && !old);
    return p;
}

static void tls_give_back(void *p, const char *file, int line)
{
    (void)file, (void)line;
    atomic_fetch_sub(&it.tls_alive, p != NULL);
    free(p);
}

static void *event_take(size_t size)
{
    return take(CALLS_EVENT, "libevent's malloc", size);
}

static void *event_retake(void *old, size_t size)
{
    return retake(CALLS_EVENT, "libevent's realloc", old, size);
}

static void *our_take(size_t size, void *user)
{
    (void)user;
    return take(CALLS_OURS, "the library's malloc", size);
}

static void *our_retake(void *old, size_t size, void *user)
{
    (void)user;
    return retake(CALLS_OURS, "the library's realloc", old, size);
}

static void our_give_back(void *p, void *user)
{
    (void)user;
    give_back(p);
}

/* What a session of nghttp2 takes, it takes by our allocator (mux/h2.c), and so do messages of protobuf-c
 * (proto/services.c).  These two it makes before there is a session, by malloc alone. */
#define NEW(type)                                                                                  \
    int type##_new(type **ret)                                                                     \
    {                                                                                              \
        static int (*next)(type **);                                                               \
        if (!next)                                                                                 \
            *(void **)&next = real(#type "_new");                                                  \
        return fails(CALLS_OURS, #type "_new", no_memory, 1) ? NGHTTP2_ERR_NOMEM : next(ret);      \
    }
NEW(nghttp2_option)
NEW(nghttp2_session_callbacks)

static size_t entries(const char *path)
{
    DIR *all = opendir(path);
    size_t n = 0;

    while (all && readdir(all))
        n++;
    if (all)
        closedir(all);
    return n;
}

static size_t threads;

/* libevent says on stderr what we did to it. */
static void silence(int severity, const char *text)
{
    (void)severity, (void)text;
}

void calls_begin(void)
{
    static const struct cs_allocator ours = {our_take, our_retake, our_give_back, NULL};

    event_set_log_callback(silence);
    event_set_mem_functions(event_take, event_retake, give_back);
    cs_set_allocator(&ours);
    if (CRYPTO_set_mem_functions(tls_take, tls_retake, tls_give_back) != 1)
        abort();
    threads = entries("/proc/self/task");
}

void calls_rest(void)
{
    static const struct timespec a_moment = {0, 1000000};

    for (int i = 0; i < 60000 && entries("/proc/self/task") > threads; i++)
        nanosleep(&a_moment, NULL);
}

size_t calls_allocations(void)
{
    return atomic_load(&it.alive);
}

size_t calls_tls_allocations(void)
{
    return atomic_load(&it.tls_alive);
}

size_t calls_descriptors(void)
{
    return entries("/proc/self/fd");
}
