/* print -- see print.h. */
#include "tools/print.h"
#include "tools/json.h"
#include "tools/tool.h"

#include <inttypes.h>

size_t print_line_cut(FILE *to, cs_bytes text, size_t columns)
{
    const uint8_t *p = text.base, *end = p + text.len;
    size_t used = 0;

    while (p < end) {
        size_t n = gateway_utf8_len(cs_bytes_of(p, (size_t)(end - p)));
        bool control = (*p < 0x20 && *p != '\t') || *p == 0x7f ||
                       (n == 2 && p[0] == 0xc2 && p[1] < 0xa0); /* U+0080 to U+009F */
        size_t wide = n == 0 || control ? 4 : n < 3 ? 1 : 2;
        if (wide > columns - used)
            break;
        if (n == 0 || control) {
            fprintf(to, "\\x%02x", *p);
            n = 1;
        } else {
            fwrite(p, 1, n, to);
        }
        used += wide;
        p += n;
    }
    return used;
}

void print_line(FILE *to, cs_bytes text)
{
    print_line_cut(to, text, SIZE_MAX);
}

static void text_line(const struct print *print, const char *mark, const chanserv_source *source)
{
    fputs(mark, print->to);
    print_line(print->to, chanserv_source_header(source));
}

static int64_t index_of(const chanserv_source *source)
{
    return (int64_t)chanserv_source_index(source);
}

void print_announce(const struct print *print, const chanserv_source *source)
{
    if (print->format == PRINT_JSON) {
        gateway_json_announce(json_put, print->to, index_of(source), chanserv_source_header(source),
                              NULL);
        putc('\n', print->to);
    } else if (print->format == PRINT_TEXT && print->chatty) {
        text_line(print, "+ ", source);
        putc('\n', print->to);
    }
}

static void text_frame(const struct print *print, const chanserv_source *source, cs_bytes frame)
{
    if (frame.len > 0 && ((const char *)frame.base)[frame.len - 1] == '\n')
        frame.len--;
    text_line(print, "", source);
    fputs(": ", print->to);
    print_line(print->to, frame);
    putc('\n', print->to);
}

void print_frame(const struct print *print, const chanserv_source *source, cs_bytes frame)
{
    switch (print->format) {
    case PRINT_RAW:
        fwrite(frame.base, 1, frame.len, print->to);
        break;
    case PRINT_TEXT:
        text_frame(print, source, frame);
        break;
    case PRINT_JSON:
        gateway_json_frame(json_put, print->to, index_of(source), chanserv_source_seq(source),
                           frame);
        putc('\n', print->to);
        break;
    }
}

void print_gap(const struct print *print, const chanserv_source *source)
{
    uint64_t count = chanserv_source_gap(source);

    if (count == 0)
        return;
    if (print->format == PRINT_JSON) {
        gateway_json_gap(json_put, print->to, index_of(source), count);
        putc('\n', print->to);
    } else if (print->format == PRINT_TEXT) {
        text_line(print, "~ ", source);
        fprintf(print->to, " (%" PRIu64 " frames left out)\n", count);
    }
}

void print_source_end(const struct print *print, const chanserv_source *source, cs_err why)
{
    if (print->format == PRINT_JSON) {
        gateway_json_end(json_put, print->to, index_of(source), why,
                         chanserv_source_errmsg(source));
        putc('\n', print->to);
    } else if (print->format == PRINT_TEXT && print->chatty) {
        text_line(print, "- ", source);
        fprintf(print->to, cs_failed(why) ? " (%s)\n" : "\n", tool_code_name(why));
    }
}

void print_end(const struct print *print, cs_err why, const char *errmsg)
{
    if (print->format != PRINT_JSON)
        return;
    gateway_json_end(json_put, print->to, CS_OFF, why, errmsg);
    putc('\n', print->to);
}
