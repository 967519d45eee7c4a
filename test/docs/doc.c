/* doc -- see doc.h. */
#include "test/docs/doc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

char *doc_read(const char *path)
{
    const char *source = getenv("CHANSERV_SOURCE");
    char full[4096];
    size_t len, room = 1 << 20;
    char *page = malloc(room);
    FILE *file;

    snprintf(full, sizeof full, "%s/%s", source ? source : ".", path);
    file = fopen(full, "r");
    cr_assert(page && file, "%s cannot be read", full);
    len = fread(page, 1, room - 1, file);
    cr_assert(len > 0 && len < room - 1, "%s has %zu bytes", full, len);
    page[len] = 0;
    fclose(file);
    return page;
}

bool doc_line(cs_bytes *text, cs_bytes *ret)
{
    const char *from = text->base, *newline;

    if (text->len == 0)
        return false;
    newline = memchr(from, '\n', text->len);
    *ret = cs_bytes_of(from, newline ? (size_t)(newline - from) : text->len);
    *text = newline ? cs_bytes_of(newline + 1, text->len - ret->len - 1) : cs_bytes_of("", 0);
    return true;
}

bool doc_next(const char **at, const char *word, struct doc_block *ret)
{
    char open[64];
    const char *from, *end;

    snprintf(open, sizeof open, "\n```%s ", word);
    if (!(from = strstr(*at, open)))
        return false;
    from += strlen(open);
    end = strchr(from, '\n');
    cr_assert(end && (size_t)(end - from) < sizeof ret->name);
    memcpy(ret->name, from, (size_t)(end - from));
    ret->name[end - from] = 0;
    from = end;
    end = strstr(from, "\n```");
    cr_assert(end, "block %s has no end", ret->name);
    if (end > from)
        from++;
    ret->text = cs_bytes_of(from, (size_t)(end - from));
    *at = end;
    return true;
}

cs_bytes doc_section(const char *page, const char *heading)
{
    size_t level = strspn(heading, "#");
    char line[128];
    const char *from, *end;

    snprintf(line, sizeof line, "\n%s\n", heading);
    from = strstr(page, line);
    cr_assert(from, "there is no \"%s\"", heading);
    from += strlen(line);
    for (end = from; (end = strstr(end, "\n#")); end++) {
        size_t here = strspn(end + 1, "#");
        if (here <= level && end[1 + here] == ' ')
            break;
    }
    return cs_bytes_of(from, end ? (size_t)(end - from) : strlen(from));
}

bool doc_has(cs_bytes text, const char *words)
{
    return memmem(text.base, text.len, words, strlen(words));
}

size_t doc_row(cs_bytes line, cs_bytes cells[DOC_CELLS])
{
    const char *at = line.base, *end = at + line.len, *bar;
    size_t n = 0;

    if (line.len == 0 || *at++ != '|')
        return 0;
    while (n < DOC_CELLS && (bar = memchr(at, '|', (size_t)(end - at)))) {
        const char *last = bar;
        while (at < last && *at == ' ')
            at++;
        while (at < last && last[-1] == ' ')
            last--;
        cells[n++] = cs_bytes_of(at, (size_t)(last - at));
        at = bar + 1;
    }
    return n;
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

void doc_hex(struct doc_bytes *to, cs_bytes line)
{
    const char *at = line.base, *end = at + line.len;

    while (at < end && *at == ' ')
        at++;
    for (; end - at >= 2; at += 3) {
        bool any = at[0] == '.' && at[1] == '.';
        if (!any && (digit(at[0]) < 0 || digit(at[1]) < 0))
            break;
        cr_assert(to->len < sizeof to->bytes);
        to->any[to->len] = any;
        to->bytes[to->len++] = any ? 0 : (uint8_t)(digit(at[0]) * 16 + digit(at[1]));
        if (end - at == 2)
            return;
        cr_assert_eq(at[2], ' ', "not bytes: %.*s", CS_FMT(line));
        if (end - at > 3 && at[3] == ' ')
            return; /* a comment */
    }
    cr_assert(at >= end, "not bytes: %.*s", CS_FMT(line));
}

bool doc_same(const struct doc_bytes *said, cs_bytes is)
{
    const uint8_t *bytes = is.base;

    if (said->len != is.len)
        return false;
    for (size_t i = 0; i < is.len; i++)
        if (!said->any[i] && said->bytes[i] != bytes[i])
            return false;
    return true;
}

char *doc_dump(cs_bytes bytes)
{
    char *text = malloc(3 * bytes.len + 1);

    cr_assert(text);
    text[0] = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sprintf(text + 3 * i, "%02x ", ((const uint8_t *)bytes.base)[i]);
    return text;
}
