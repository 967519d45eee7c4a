/* log -- see log.h. */
#include "tools/log.h"
#include "tools/json.h"
#include "tools/print.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const levels[] = {
    [CS_ERROR] = "error", [CS_WARN] = "warn", [CS_INFO] = "info", [CS_DEBUG] = "debug"};
static const char *const rooms[LOG_ROOMS_LEN] = {
#define X(room) #room,
    LOG_ROOMS(X)
#undef X
};

/* ---- What is asked for ---------------------------------------------------------------------- */

static size_t find(const char *const *names, size_t len, cs_bytes name)
{
    size_t i = 0;

    while (i < len && !cs_same(name, cs_str(names[i])))
        i++;
    return i;
}

static bool parse_level(cs_bytes text, cs_level *ret)
{
    const size_t level = find(levels, CS_DEBUG + 1, text);

    *ret = (cs_level)level;
    return level <= CS_DEBUG;
}

static bool parse_one(struct log_rules *rules, cs_bytes text)
{
    const char *equals = text.len > 0 ? memchr(text.base, '=', text.len) : NULL;
    size_t len, room;

    if (!equals)
        return parse_level(text, &rules->level);
    len = (size_t)(equals - (const char *)text.base);
    room = find(rooms, LOG_ROOMS_LEN, cs_bytes_of(text.base, len));
    if (room == LOG_ROOMS_LEN)
        return false;
    rules->said[room] = true;
    return parse_level(cs_bytes_of(equals + 1, text.len - len - 1), &rules->rooms[room]);
}

bool log_parse_levels(struct log_rules *rules, const char *text)
{
    for (;; text++) {
        const size_t len = strcspn(text, ",");

        if (!parse_one(rules, cs_bytes_of(text, len)))
            return false;
        text += len;
        if (!*text)
            return true;
    }
}

bool log_parse_format(struct log_rules *rules, const char *text)
{
    static const char *const formats[] = {"text", "logfmt", "json"};
    const size_t format = find(formats, sizeof formats / sizeof *formats, cs_str(text));

    rules->format = (enum log_format)format;
    return format < sizeof formats / sizeof *formats;
}

/* ---- A line --------------------------------------------------------------------------------- */

/* A ticket is 32 bytes: 43 letters of base64, 64 of hexadecimal. */
enum { SECRET_MIN = 40, LINE_MAX_BYTES = 1024 };
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool is_behind(const char *to, size_t n, const char *words)
{
    const size_t len = strlen(words);

    return n >= len && memcmp(to + n - len, words, len) == 0;
}

/* What looks like a secret, and whatever a bearer bears, becomes "***". */
static void mask(char to[LINE_MAX_BYTES], const char *line)
{
    static const char stars[] = "***";
    size_t n = 0, len;

    for (; *line && n + sizeof stars < LINE_MAX_BYTES; line += len) {
        const bool bears = is_behind(to, n, "Bearer ") && *line != ' ';

        len = bears ? strcspn(line, " ") : strspn(line, letters);
        if (bears || len >= SECRET_MIN) {
            memcpy(to + n, stars, sizeof stars - 1);
            n += sizeof stars - 1;
            continue;
        }
        len = len > 0 ? len : 1;
        len = len < LINE_MAX_BYTES - 1 - n ? len : LINE_MAX_BYTES - 1 - n;
        memcpy(to + n, line, len);
        n += len;
    }
    to[n] = '\0';
}

static void put_time(FILE *to, const struct timespec *at)
{
    struct tm tm;
    char text[32];

    if (!gmtime_r(&at->tv_sec, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        text[0] = '\0';
    fprintf(to, "%s.%03ldZ", text, at->tv_nsec / 1000000);
}

void log_put(const struct log_rules *rules, FILE *to, cs_level level, const char *room,
             const char *line, const struct timespec *at)
{
    static const int priorities[] = {[CS_ERROR] = 3, [CS_WARN] = 4, [CS_INFO] = 6, [CS_DEBUG] = 7};
    const size_t of = find(rooms, LOG_ROOMS_LEN, cs_str(room));
    char text[LINE_MAX_BYTES];

    if (level > (of < LOG_ROOMS_LEN && rules->said[of] ? rules->rooms[of] : rules->level))
        return;
    mask(text, line);
    if (rules->journal)
        fprintf(to, "<%d>", priorities[level]);
    if (rules->format == LOG_TEXT) {
        fprintf(to, "chanserv: %s: ", room);
        print_line(to, cs_str(text));
    } else {
        const bool json = rules->format == LOG_JSON;

        fputs(json ? "{\"ts\":\"" : "ts=", to);
        put_time(to, at);
        fprintf(to,
                json ? "\",\"level\":\"%s\",\"room\":\"%s\",\"msg\":" : " level=%s room=%s msg=",
                levels[level], room);
        gateway_json_string(json_put, to, cs_str(text));
        fputs(json ? "}" : "", to);
    }
    putc('\n', to);
}

/* ---- Standard error ------------------------------------------------------------------------- */

static struct log_rules current;

static void to_stderr(cs_level level, const char *room, const char *line, void *user)
{
    const struct log_rules *rules = user;
    struct timespec now = {0, 0};
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    clock_gettime(CLOCK_REALTIME, &now);
    log_put(rules, to ? to : stderr, level, room, line, &now);
    if (to && fclose(to) == 0)
        fwrite(text, 1, len, stderr);
    free(text);
}

bool log_to_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    char mine[64];
    struct stat st;

    if (!text || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(text, mine) == 0;
}

void log_begin(const struct log_rules *rules)
{
    cs_level most = rules->level;

    for (size_t i = 0; i < LOG_ROOMS_LEN; i++)
        most = rules->said[i] && rules->rooms[i] > most ? rules->rooms[i] : most;
    current = *rules;
    cs_set_log(to_stderr, &current, most);
}

int tool_log_level(const char *command, bool verbose, cs_level *level)
{
    const char *asked = getenv("CHANSERV_LOG");

    if (verbose)
        *level = CS_DEBUG;
    else if (asked && asked[0] && !parse_level(cs_str(asked), level))
        return tool_usage(command, "CHANSERV_LOG is error, warn, info or debug, not '%s'", asked);
    return 0;
}

int tool_log(const char *command, bool verbose, cs_level otherwise)
{
    struct log_rules rules = {.level = otherwise};
    int code = tool_log_level(command, verbose, &rules.level);

    if (code == 0)
        log_begin(&rules);
    return code;
}
