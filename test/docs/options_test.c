/* options -- the table of docs/OPTIONS: it has every option of the original, says what became of
 * each, and names tests that are there. */
#include "test/docs/doc.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES = 256 };
static char *sources[FILES];
static size_t sources_len;

static void read_sources(void)
{
    static const char *const dirs[] = {"base", "mux", "chanserv", "story", "docs", "tools"};
    const char *top = getenv("CHANSERV_SOURCE");
    char pattern[4096];
    glob_t found;

    for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++) {
        snprintf(pattern, sizeof pattern, "%s/test/%s/*_test.c", top ? top : ".", dirs[d]);
        cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
        for (size_t i = 0; i < found.gl_pathc; i++) {
            cr_assert_lt(sources_len, FILES);
            sources[sources_len++] = doc_read(found.gl_pathv[i] + strlen(top ? top : ".") + 1);
        }
        globfree(&found);
    }
}

/* "suite/name", "suite/" for all of one, or the path of a script. */
static bool is_test(cs_bytes name)
{
    char text[256], *slash;
    const char *after;

    snprintf(text, sizeof text, "%.*s", CS_FMT(name));
    if (strncmp(text, "test/", 5) == 0) {
        free(doc_read(text)); /* fails the test without it */
        return true;
    }
    slash = strchr(text, '/');
    if (!slash)
        return false;
    after = slash[1] ? ")" : "";
    *slash = '\0';
    for (size_t i = 0; i < sources_len; i++) {
        char wanted[300];

        snprintf(wanted, sizeof wanted, "\nTest(%s, %s%s", text, slash + 1, after);
        if (strstr(sources[i], wanted))
            return true;
    }
    return false;
}

static bool begins(cs_bytes text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.base, with, strlen(with)) == 0;
}

static void look_at_row(const cs_bytes *cells, size_t n)
{
    bool refused = begins(cells[2], "refused: ");

    cr_assert_eq(n, 4, "%.*s has %zu cells", CS_FMT(cells[0]), n);
    cr_assert(refused || begins(cells[2], "kept: ") || begins(cells[2], "renamed: "),
              "%.*s: kept, renamed or refused, and how", CS_FMT(cells[0]));
    cr_assert(refused || cells[3].len > 0, "%.*s has no test", CS_FMT(cells[0]));
    cr_assert(cells[3].len == 0 || is_test(cells[3]), "%.*s: there is no test %.*s",
              CS_FMT(cells[0]), CS_FMT(cells[3]));
}

/* The options are these, in this order. */
static void table_has(const char *page, const char *heading, const char *const *options)
{
    cs_bytes text = doc_section(page, heading), line, cells[DOC_CELLS];
    size_t seen = 0, n;

    while (doc_line(&text, &line)) {
        if ((n = doc_row(line, cells)) == 0 || seen++ < 2)
            continue;
        cr_assert(*options && cs_same(cells[0], cs_str(*options)), "%s: %.*s is not %s", heading,
                  CS_FMT(cells[0]), *options ? *options : "expected");
        look_at_row(cells, n);
        options++;
    }
    cr_assert_null(*options, "%s lacks %s", heading, *options);
}

Test(original, every_option_is_kept_renamed_or_refused_and_has_its_test)
{
    static const char *const server[] = {
        "OnError",           "OnChanError",       "MaxErrorMass",
        "OnMaxErrorMass",    "ServingTimeout",    "SourcingTimeout",
        "ChanAcceptTimeout", "MasterReadTimeout", "MasterWriteTimeout",
        "FrameWriteTimeout", "UseCompression",    NULL};
    static const char *const client[] = {"OnError",           "SourceBufferSize",
                                         "FrameBufferSize",   "DialTimeout",
                                         "MasterReadTimeout", "MasterWriteTimeout",
                                         "FrameReadTimeout",  "TagMeta",
                                         "TagBucket",         NULL};
    static const char *const mpx[] = {"Bind",
                                      "DialTimeout",
                                      "registry://key",
                                      "vport2registry",
                                      "WithEnv",
                                      "WithLoopBack",
                                      "Attach",
                                      "Join",
                                      "Server, Client, Router, New",
                                      "relay",
                                      "Services, ServiceMap",
                                      "Routes, RoutesMap",
                                      "HttpDial",
                                      "keepalive",
                                      "FREEZE",
                                      "MPXROUTER",
                                      "SKYNET_BIND",
                                      "MPXDEBUG",
                                      "port 1",
                                      "reverse proxy, publisher",
                                      NULL};
    char *page = doc_read("docs/OPTIONS");

    read_sources();
    table_has(page, "## Server", server);
    table_has(page, "## Client", client);
    table_has(page, "## Multiplexer", mpx);
    free(page);
    while (sources_len > 0)
        free(sources[--sources_len]);
}
