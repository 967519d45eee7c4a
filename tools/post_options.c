/* post_options -- the command line of `chanserv post`, and the body on its standard input. */
#include "tools/post__in.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20 };

const char post_help[] =
    "Usage: chanserv post [OPTION]... [ADDR] SERVICE [BODY | -]\n"
    "Post BODY (with -: what standard input has; without: nothing) to SERVICE of the server at\n"
    "ADDR, open every source it announces, and print their frames as they come.\n"
    "\n"
    "Without --json and --raw each frame is a line \"HEADER: FRAME\"; on a terminal (and with\n"
    "--verbose) \"+ HEADER\" is an announcement and \"- HEADER\" an end.\n"
    "\n"
    "      --only GLOB           open only the sources whose header matches GLOB\n"
    "      --count N             take N frames in all, then cancel\n"
    "      --sources-max N|off   open so many sources at a time (16384); the others wait\n"
    "      --follow              of a service of the kind tail: when the server goes, post again\n"
    "                            and go on in each file where we were, until interrupted\n"
    "      --json                one JSON object a line\n"
    "      --raw                 the bytes of the frames and nothing else\n";

enum { ONLY = 256, COUNT, SOURCES_MAX, FOLLOW, JSON, RAW };
const struct option post_options[] = {{"only", required_argument, NULL, ONLY},
                                      {"count", required_argument, NULL, COUNT},
                                      {"sources-max", required_argument, NULL, SOURCES_MAX},
                                      {"follow", no_argument, NULL, FOLLOW},
                                      {"json", no_argument, NULL, JSON},
                                      {"raw", no_argument, NULL, RAW},
                                      {NULL, 0, NULL, 0}};

static int set_format(struct post *p, enum print_format format)
{
    if (p->print.format != PRINT_TEXT && p->print.format != format)
        return tool_usage("post", "--json and --raw exclude each other");
    p->print.format = format;
    return 0;
}

static int set_option(void *command, int option)
{
    struct post *p = command;

    switch (option) {
    case ONLY:
        p->only = optarg;
        return 0;
    case COUNT:
        if (tool_number(cs_str(optarg), UINT64_MAX, &p->count) && p->count > 0)
            return 0;
        return tool_usage("post", "--count wants a number of frames, 1 or more, not '%s'", optarg);
    case SOURCES_MAX:
        p->sources_max = 0;
        if (strcmp(optarg, "off") == 0 ||
            (tool_number(cs_str(optarg), UINT64_MAX, &p->sources_max) && p->sources_max > 0))
            return 0;
        return tool_usage("post", "--sources-max wants a number, 1 or more, or off, not '%s'",
                          optarg);
    case FOLLOW:
        p->follows = true;
        return 0;
    case JSON:
        return set_format(p, PRINT_JSON);
    default:
        return set_format(p, PRINT_RAW);
    }
}

static int read_stdin(struct post *p)
{
    size_t len = 0, cap = 0;
    char *body = NULL;
    ssize_t n;

    for (;;) {
        if (len == cap) {
            char *more = cap < BODY_MAX ? realloc(body, cap = cap ? 2 * cap : 65536) : NULL;
            if (!more) {
                free(body);
                tool_complain("post", "the body on standard input is too large");
                return tool_exit_of(CS_ETOOBIG);
            }
            body = more;
        }
        n = read(STDIN_FILENO, body + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    p->body_owned = body;
    p->body = cs_bytes_of(body, len);
    if (n == 0)
        return 0;
    tool_complain("post", "read standard input: %s", strerror(errno));
    return TOOL_IO;
}

int post_parse(struct post *p, int argc, char **argv)
{
    const char *body;
    int code = connect_parse_post(&p->connect, argc, argv, set_option, p, &p->service, &body);

    if (code != CONNECT_GO)
        return code;
    if (body && strcmp(body, "-") == 0)
        return (code = read_stdin(p)) == 0 ? CONNECT_GO : code;
    if (body)
        p->body = cs_str(body);
    return CONNECT_GO;
}
