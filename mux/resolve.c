#include "mux/sock__in.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* getaddrinfo() cannot be stopped, so who gives up just leaves: the object is counted, and goes
 * with the last of its owner, the thread, and the call that carries the answer to the loop. */
struct mux__resolve {
    atomic_int holders;
    pthread_mutex_t lock; /* held around cs_loop_call(), so that the loop is there meanwhile */
    cs_loop *loop;        /* NULL: nobody waits for the answer any more */
    void (*done)(const struct mux__addrs *addrs, void *user);
    void *user;
    struct mux__addr addr;
    struct mux__addrs addrs;
};

static void take(struct mux__addrs *ret, const struct addrinfo *info)
{
    for (; info && ret->len < MUX__ADDRS_MAX; info = info->ai_next) {
        if (info->ai_addrlen > sizeof ret->at[0].u)
            continue;
        memcpy(&ret->at[ret->len].u, info->ai_addr, info->ai_addrlen);
        ret->at[ret->len].len = info->ai_addrlen;
        ret->len++;
    }
}

void mux__resolve_now(const struct mux__addr *addr, bool passive, struct mux__addrs *ret)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    char port[8];
    int err;

    ret->len = 0;
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
    snprintf(port, sizeof port, "%u", (unsigned)addr->port);
    err = getaddrinfo(addr->host, port, &hints, &info);
    if (err == EAI_SYSTEM) {
        mux__sock_words(errno, ret->words, sizeof ret->words);
        return;
    }
    if (err != 0) {
        snprintf(ret->words, sizeof ret->words, "%s", gai_strerror(err));
        if (ret->words[0] >= 'A' && ret->words[0] <= 'Z')
            ret->words[0] = (char)(ret->words[0] - 'A' + 'a');
        return;
    }
    take(ret, info);
    freeaddrinfo(info);
    if (ret->len == 0)
        snprintf(ret->words, sizeof ret->words, "the name has no address");
}

static void let_go(struct mux__resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->holders, 1) != 1)
        return;
    pthread_mutex_destroy(&resolve->lock);
    cs_free(resolve);
}

static void on_answer(void *user)
{
    struct mux__resolve *resolve = user;

    if (resolve->loop)
        resolve->done(&resolve->addrs, resolve->user);
    let_go(resolve);
}

static cs_err hand_over(struct mux__resolve *resolve)
{
    cs_err err = CS_DONE;

    pthread_mutex_lock(&resolve->lock);
    if (resolve->loop) {
        atomic_fetch_add(&resolve->holders, 1);
        err = cs_loop_call(resolve->loop, on_answer, resolve);
        if (err != CS_OK)
            atomic_fetch_sub(&resolve->holders, 1);
    }
    pthread_mutex_unlock(&resolve->lock);
    return err;
}

static void *help(void *user)
{
    static const struct timespec a_moment = {.tv_nsec = 10 * 1000 * 1000};
    struct mux__resolve *resolve = user;

    mux__resolve_now(&resolve->addr, false, &resolve->addrs);
    while (cs_failed(hand_over(resolve)))
        nanosleep(&a_moment, NULL); /* no memory: now, or never when the dial has timed out */
    let_go(resolve);
    return NULL;
}

static int start(struct mux__resolve *resolve)
{
    enum { STACK = 512 * 1024 }; /* resolver modules are not shy */
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    int err = pthread_attr_init(&attr);

    if (err != 0)
        return err;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all); /* the application's signals are its own threads' business */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, &attr, help, resolve);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

cs_err mux__resolve_new(cs_loop *loop, const struct mux__addr *addr,
                        void (*done)(const struct mux__addrs *addrs, void *user), void *user,
                        mux__resolve **ret)
{
    struct mux__resolve *resolve = cs_zalloc(sizeof *resolve);

    if (!resolve)
        return CS_ENOMEM;
    atomic_init(&resolve->holders, 2);
    pthread_mutex_init(&resolve->lock, NULL);
    resolve->loop = loop;
    resolve->done = done;
    resolve->user = user;
    resolve->addr = *addr;
    if (start(resolve) != 0) {
        let_go(resolve);
        let_go(resolve);
        return CS_ESYS;
    }
    *ret = resolve;
    return CS_OK;
}

void mux__resolve_free(mux__resolve *resolve)
{
    if (!resolve)
        return;
    pthread_mutex_lock(&resolve->lock);
    resolve->loop = NULL;
    pthread_mutex_unlock(&resolve->lock);
    let_go(resolve);
}
