/* conform -- see conform.h. */
#include "test/mux/conform.h"

#include "mux/tls.h"
#include "test/support/certs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct talk conform;
fake_peer *conform_peer;

/* ---- Frames --------------------------------------------------------------------------------- */

static uint8_t bytes[128 * 1024];
static size_t bytes_len;

static void put(const void *from, size_t len)
{
    cr_assert_leq(bytes_len + len, sizeof bytes);
    memcpy(bytes + bytes_len, from, len);
    bytes_len += len;
}

static void put_byte(unsigned long byte)
{
    put(&(uint8_t){(uint8_t)byte}, 1);
}

/* RFC 7541, 6.2.2: a literal that nobody indexes, with lengths below 127. */
static void put_text(const char *text, size_t len)
{
    cr_assert_lt(len, 127);
    put_byte(len);
    put(text, len);
}

static void put_fields(const char *text)
{
    while (*text && *text != '}') {
        size_t len = strcspn(text, "|}"), name = *text == ':' ? 1 : 0;

        name += strcspn(text + name, "=|}");
        put_byte(0);
        put_text(text, name);
        put_text(text + name + 1, len - name - 1);
        text += len + (text[len] == '|');
    }
}

/* Answers where it ends. */
static const char *put_hex(const char *text)
{
    char *end;

    for (unsigned long byte = strtoul(text, &end, 16); end != text;
         byte = strtoul(text, &end, 16)) {
        put_byte(byte);
        text = end;
    }
    return text + strspn(text, " ");
}

/* Pairs of hex digits, header fields, "*N" for that many zeros. */
static void put_payload(const char *text)
{
    text = put_hex(text);
    if (*text == '{')
        put_fields(text + 1);
    else if (*text == '*')
        for (unsigned long n = strtoul(text + 1, NULL, 10); n > 0; n--)
            put_byte(0);
    else
        cr_assert_eq(*text, 0, "%s", text);
}

static void put_frame(const char *line)
{
    static const char *const names[] = {
        "DATA", "HEADERS", "PRIORITY",      "RST_STREAM",   "SETTINGS",        "PUSH_PROMISE",
        "PING", "GOAWAY",  "WINDOW_UPDATE", "CONTINUATION", "PRIORITY_UPDATE", "UNKNOWN"};
    static const uint8_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 0x50};
    size_t name = strcspn(line, "/ "), at = bytes_len, i = 0, len;
    unsigned flags, id;
    int n;

    while (strlen(names[i]) != name || memcmp(names[i], line, name) != 0)
        cr_assert_lt(++i, sizeof names / sizeof *names, "%s", line);
    len = line[name] == '/' ? strtoul(line + name + 1, NULL, 10) : 0;
    line += strcspn(line, " ");
    cr_assert_eq(sscanf(line, " %u %u%n", &flags, &id, &n), 2, "%s", line);
    line += n;
    for (int byte = 0; byte < 9; byte++)
        put_byte(0);
    put_payload(line);
    if (len == 0)
        len = bytes_len - at - 9;
    memcpy(bytes + at,
           (uint8_t[]){(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, types[i],
                       (uint8_t)flags, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                       (uint8_t)id},
           9);
}

static void put_lines(const char *lines)
{
    char line[4096];

    bytes_len = 0;
    for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
        len = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, lines);
        if (*line == '!')
            put_payload(line + 1);
        else
            put_frame(line);
    }
}

cs_bytes conform_bytes(const char *lines)
{
    put_lines(lines);
    return cs_bytes_of(bytes, bytes_len);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void conform_server(void)
{
    talk_handlers(&conform);
    conform_peer = fake_client(conform.loop, NULL, conform.handlers);
    talk_settle(&conform);
}

void conform_client_open(void)
{
    talk_handlers(&conform);
    conform_peer = fake_server(conform.loop, NULL, &conform.conn);
    talk_settle(&conform);
    talk_open(&conform, 0);
    talk_settle(&conform);
}

void conform_client(void)
{
    conform_client_open();
    side_finish(&conform.client[0], CS_DONE);
    talk_settle(&conform);
}

void conform_end(void)
{
    mux_conn_free(conform.conn);
    mux_handlers_free(conform.handlers);
    talk_settle(&conform);
    fake_free(conform_peer);
    cs_loop_free(conform.loop);
    memset(&conform, 0, sizeof conform);
}

/* ---- Wrong things --------------------------------------------------------------------------- */

static const char *reaction(void)
{
    static char said[64];
    const char *goaway = strstr(fake_said(conform_peer), "GOAWAY");
    const char *reset = strstr(fake_said(conform_peer), "RST_STREAM");
    unsigned id, code;

    if (goaway) {
        cr_assert_eq(sscanf(goaway, "GOAWAY 0 %u %u", &id, &code), 2, "%s", goaway);
        cr_assert(fake_hung_up(conform_peer), "he stays: %s", fake_said(conform_peer));
        snprintf(said, sizeof said, "GOAWAY %u", code);
        return said;
    }
    if (fake_hung_up(conform_peer))
        return "hung up";
    fake_frame(conform_peer, FAKE_PING, 0, 0, cs_str("are you?"));
    talk_settle(&conform);
    cr_assert(strstr(fake_said(conform_peer), "PING 0 ack"), "%s", fake_said(conform_peer));
    snprintf(said, sizeof said, "%.*s", reset ? (int)strcspn(reset, "\n") : 0, reset ? reset : "");
    return said;
}

static void say(bool bytewise)
{
    size_t step = bytewise ? 1 : bytes_len;

    for (size_t at = 0; at < bytes_len; at += step) {
        fake_bytes(conform_peer, cs_bytes_of(bytes + at, step));
        talk_settle(&conform);
        if (fake_hung_up(conform_peer))
            return;
    }
}

const char *conform_say(const char *lines, bool bytewise)
{
    put_lines(lines);
    fake_forget(conform_peer);
    say(bytewise);
    return reaction();
}

static void try(void (*begin)(void), const struct conform_row *rows, size_t n, bool bytewise,
                const char *how)
{
    for (const struct conform_row *row = rows; row < rows + n; row++) {
        const char *gets;

        begin();
        put_lines(row->before ? row->before : "");
        say(false);
        gets = conform_say(row->wrong, bytewise);
        cr_expect_str_eq(gets, row->gets, "%s, %s: %s instead of %s: %s", row->what, how, gets,
                         row->gets, fake_said(conform_peer));
        conform_end();
    }
}

/* Certificates are this process's own. */
static void speak_tls(void)
{
    static bool made;

    if (!made) {
        certs_begin();
        atexit(certs_end);
    }
    made = true;
    fake_tls(&(struct mux_tls){.cert_file = certs_path("server.pem"),
                               .key_file = certs_path("server.key")},
             &(struct mux_tls){.ca_file = certs_path("ca.pem")});
}

void conform_rows(void (*begin)(void), const struct conform_row *rows, size_t n)
{
    try(begin, rows, n, false, "whole");
    try(begin, rows, n, true, "byte by byte");
    speak_tls();
    try(begin, rows, n, false, "over TLS");
    fake_tls(NULL, NULL);
}
