/* serve_file -- the file of --config: lines "name = value".
 *
 * Blanks around both mean nothing.  Empty lines, and lines whose first letter is #, mean nothing; a
 * # further on is part of the value, since commands and paths have such.  All that is wrong is
 * told, each with its line. */
#include "tools/serve_config__in.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>

enum { FILE_LIMIT = 1 << 20 };

static char *read_all(const char *file, size_t *ret_len)
{
    FILE *in = fopen(file, "re");
    char *text = in ? malloc(FILE_LIMIT + 1) : NULL;
    size_t len;

    if (!text) {
        tool_complain("serve", "%s: %s", file, strerror(errno));
        if (in)
            fclose(in);
        return NULL;
    }
    len = fread(text, 1, FILE_LIMIT + 1, in);
    if (ferror(in) || len > FILE_LIMIT || memchr(text, '\0', len)) {
        tool_complain("serve", "%s: %s", file,
                      ferror(in)         ? strerror(errno)
                      : len > FILE_LIMIT ? "larger than 1 MiB"
                                         : "there is a NUL in it, so it is no text");
        free(text);
        text = NULL;
    } else {
        text[len] = '\0';
        *ret_len = len;
    }
    fclose(in);
    return text;
}

static const char blanks[] = " \t\r";

/* Without the blanks at both ends. */
static char *trimmed(char *from, char *end)
{
    from += strspn(from, blanks);
    while (end > from && strchr(blanks, end[-1]))
        end--;
    *end = '\0';
    return from;
}

static int read_line(struct serve_config *config, char *line, unsigned number)
{
    char *end = line + strlen(line), *equals = strchr(line, '='), *name;
    const struct config_option *option;
    size_t i;

    name = line + strspn(line, blanks);
    if (*name == '\0' || *name == '#')
        return 0;
    if (!equals)
        return config_wrong(config, number, "a line is NAME = VALUE, not '%s'", trimmed(line, end));
    name = trimmed(line, equals);
    option = config__find(cs_str(name), &i);
    if (!option)
        return config_wrong(config, number,
                            "there is no option '%s': see chanserv.conf(5), or chanserv help serve",
                            name);
    if (option->unit != CONFIG_LIST && config->line_of[i])
        return config_wrong(config, number, "%s stands in line %u already", name,
                            config->line_of[i]);
    config->line_of[i] = number;
    return config__set(config, option, trimmed(equals + 1, end), number);
}

int config__read_file(struct serve_config *config)
{
    unsigned number = 0;
    int code = 0;
    size_t len;
    char *line, *rest;

    config->content = read_all(config->file, &len);
    if (!config->content)
        return TOOL_USAGE;
    for (line = config->content; line; line = rest) {
        rest = strchr(line, '\n');
        if (rest)
            *rest++ = '\0';
        number++;
        if (read_line(config, line, number) != 0)
            code = TOOL_USAGE;
    }
    return code;
}
