/* http1_sources -- readers of GET /v1/source/ that are cut, and come back or do not. */
#include "test/attack/http1.h"

#include <stdio.h>
#include <string.h>

enum { SOURCES = 100, URL = 128 };

static char urls[SOURCES][URL];

/* The next address behind *at, of what has come whole. */
static bool next_url(const struct peer *peer, size_t *at, char url[URL])
{
    static const char before[] = "\"url\":\"";
    const char *begin = memmem(peer->in + *at, peer->in_len - *at, before, sizeof before - 1), *end;
    size_t left;
    if (!begin)
        return false;
    begin += sizeof before - 1;
    left = (size_t)((const char *)peer->in + peer->in_len - begin);
    if (!(end = memchr(begin, '"', left)) || end - begin >= URL)
        return false;
    memcpy(url, begin, (size_t)(end - begin));
    url[end - begin] = '\0';
    *at = (size_t)(end - (const char *)peer->in);
    return true;
}

/* A post of so many sources, that stays; their addresses are in `urls`. */
static void announce(struct attack *attack, const char *body)
{
    char words[256];
    struct peer *peer;
    size_t at = 0;
    int n = 0;
    snprintf(words, sizeof words,
             "POST /v1/post/gen?mode=announce HTTP/1.1\r\n" HTTP1_HOST
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    peer = http1_dial(attack, words);
    for (int64_t until = now_ms() + PEER_PATIENCE_MS; n < SOURCES && now_ms() < until;) {
        peer_hear(peer, 10);
        while (n < SOURCES && peer->in && next_url(peer, &at, urls[n]))
            n++;
    }
    EXPECT(attack, n == SOURCES, "%d sources of %d", n, SOURCES);
}

static struct peer *ask(struct attack *attack, int source, const char *query, const char *fields)
{
    char words[512];
    snprintf(words, sizeof words, "GET %s%s HTTP/1.1\r\n" HTTP1_HOST "%s\r\n", urls[source], query,
             fields);
    return http1_dial(attack, words);
}

/* Opened, and left: the server has them wait. */
static void abandoned(struct attack *attack)
{
    announce(attack, "sources=100&frames=1000000&size=1000&delay_ms=100");
    for (int i = 0; i < SOURCES && !attack->why[0]; i++) {
        struct peer *peer = ask(attack, i, "", "");
        for (int64_t until = now_ms() + PEER_PATIENCE_MS; peer->in_len == 0 && now_ms() < until;)
            peer_hear(peer, 10);
        EXPECT(attack, http1_begins(peer, "HTTP/1.1 200"), "source %d does not open", i);
        attack_drop(attack, peer);
    }
    http1_is_served(attack);
}

/* Read to the end, and wanted again from the beginning. */
static void back_for_more(struct attack *attack)
{
    static const char close[] = "Connection: close\r\n";
    announce(attack, "sources=100&frames=10&size=1000");
    for (int i = 0; i < SOURCES && !attack->why[0]; i++) {
        http1_is_answered(attack, ask(attack, i, "", close), "200", PEER_PATIENCE_MS);
        http1_is_answered(attack, ask(attack, i, "?from=0", close), "400", PEER_PATIENCE_MS);
    }
    http1_is_served(attack);
}

const struct scenario attack_http1_sources[] = {{.name = "abandoned-sources",
                                                 .limit = "linger_ms",
                                                 .counter = "http_lingered",
                                                 .moves = 100,
                                                 .least = 100,
                                                 .options = "--http-linger 300ms",
                                                 .run = abandoned},
                                                {.name = "too-many-abandoned-sources",
                                                 .limit = "lingering_bytes",
                                                 .counter = "http_lingering_lost",
                                                 .moves = 75,
                                                 .least = 100,
                                                 .options = "--http-lingering 50KiB",
                                                 .run = abandoned},
                                                {.name = "back-for-what-is-gone",
                                                 .limit = "keep_bytes",
                                                 .counter = "http_not_kept",
                                                 .moves = 100,
                                                 .least = 200,
                                                 .options = "--http-keep 4KiB",
                                                 .run = back_for_more},
                                                {.name = NULL}};
