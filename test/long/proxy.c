/* proxy -- test/support/proxy.h as a program, for clients in other languages.
 *
 *   proxy [--proxy bytes|http2] [--seed S] [--cuts N] [--bytes N] [--acts LIST] [--delay MS] [--stall MS]
 *         [--no-error] TARGET
 *
 * Says "listening ADDR", and on SIGTERM or SIGINT what it did: "N cuts".  LIST is of reset, end, half,
 * swallow, stall; reset,end when it is left out.
 */
#include "test/support/proxy.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int usage(void)
{
    fputs("usage: proxy [--proxy bytes|http2] [--seed S] [--cuts N] [--bytes N] [--acts LIST]\n"
          "             [--delay MS] [--stall MS] [--no-error] TARGET\n",
          stderr);
    return 64;
}

/* 0: nonsense. */
static unsigned acts_of(char *list)
{
    static const char *const names[] = {"reset", "end", "half", "swallow", "stall"};
    unsigned acts = 0;

    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        unsigned i = 0;

        while (i < 5 && strcmp(word, names[i]) != 0)
            i++;
        if (i == 5)
            return 0;
        acts |= 1u << i;
    }
    return acts;
}

static bool parse(int argc, char **argv, struct proxy_options *o)
{
    static const struct option options[] = {
        {"proxy", 1, NULL, 'p'}, {"seed", 1, NULL, 's'},     {"cuts", 1, NULL, 'c'},
        {"bytes", 1, NULL, 'b'}, {"acts", 1, NULL, 'a'},     {"delay", 1, NULL, 'd'},
        {"stall", 1, NULL, 't'}, {"no-error", 0, NULL, 'n'}, {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (c == 'p')
            o->kind = strcmp(optarg, "http2") == 0 ? PROXY_HTTP2 : PROXY_BYTES;
        else if (c == 's')
            o->seed = (unsigned)atoi(optarg);
        else if (c == 'c')
            o->most = atoi(optarg);
        else if (c == 'b')
            o->bytes = atoll(optarg);
        else if (c == 'a')
            o->acts = acts_of(optarg);
        else if (c == 'd')
            o->delay_ms = atoi(optarg);
        else if (c == 't')
            o->stall_ms = atoi(optarg);
        else if (c == 'n')
            o->no_error = true;
        else
            return false;
    }
    if (optind + 1 != argc || o->acts == 0 || o->bytes <= 0)
        return false;
    o->target = argv[optind];
    return true;
}

int main(int argc, char **argv)
{
    struct proxy_options options = {
        .acts = PROXY_RESET | PROXY_END, .bytes = 300000, .stall_ms = 20};
    struct proxy_counts counts;
    sigset_t ends;
    proxy *p;
    int sig;

    if (!parse(argc, argv, &options))
        return usage();
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* its thread too */
    if (!(p = proxy_start(&options)))
        return 71;
    printf("listening %s\n", proxy_addr(p));
    fflush(stdout);
    sigwait(&ends, &sig);
    proxy_count(p, &counts);
    printf("%d cuts\n", counts.cuts);
    proxy_stop(p);
    return 0;
}
