/* reflect -- see reflect.h. */
#include "base/mem.h"
#include "proto/wire__describe.h"
#include "proto/wire__field.h"

/* ---- The question --------------------------------------------------------------------------- */

enum what { NOTHING, FILE_NAMED = 3, SYMBOL, EXTENSION, EXTENSIONS, SERVICES };

struct question {
    enum what what;
    cs_bytes host, text; /* text: the name, or of EXTENSION the type */
    uint32_t number;
};

static cs_err parse_extension(cs_bytes msg, struct question *q)
{
    struct wire__field field;
    uint32_t number = 0;
    cs_err err;

    q->text = cs_str("");
    while ((err = wire__field_next(&msg, &field)) == CS_OK) {
        if (field.number == 1)
            err = wire__take_text(&field, &q->text);
        else if (field.number == 2)
            err = wire__take_u32(&field, &number);
        if (err != CS_OK)
            return err;
    }
    q->number = number;
    return err == CS_DONE ? CS_OK : err;
}

/* Of a oneof the last one counts. */
static cs_err parse(cs_bytes msg, struct question *q)
{
    struct wire__field field;
    cs_err err;

    *q = (struct question){.host = cs_str(""), .text = cs_str("")};
    while ((err = wire__field_next(&msg, &field)) == CS_OK) {
        if (field.number == 1) {
            err = wire__take_text(&field, &q->host);
        } else if (field.number == EXTENSION && field.type == WIRE__BYTES) {
            q->what = EXTENSION;
            err = parse_extension(field.bytes, q);
        } else if (field.number >= FILE_NAMED && field.number <= SERVICES) {
            q->what = (enum what)field.number;
            err = wire__take_text(&field, &q->text);
        }
        if (err != CS_OK)
            return err;
    }
    return err == CS_DONE ? CS_OK : err;
}

/* ---- Writing -------------------------------------------------------------------------------- */

struct writer {
    struct cs_buf buf;
    cs_err err; /* the first thing that went wrong */
};

static void put_head(struct writer *w, uint32_t number, size_t len)
{
    uint8_t head[1 + WIRE_VARINT_MAX];

    if (w->err == CS_OK)
        w->err = cs_buf_add(&w->buf, cs_bytes_of(head, wire__put_head(head, number, len)));
}

static void put(struct writer *w, uint32_t number, cs_bytes bytes)
{
    put_head(w, number, bytes.len);
    if (w->err == CS_OK)
        w->err = cs_buf_add(&w->buf, bytes);
}

static void put_number(struct writer *w, uint32_t number, uint64_t value)
{
    uint8_t field[1 + WIRE_VARINT_MAX];

    if (w->err == CS_OK)
        w->err = cs_buf_add(&w->buf, cs_bytes_of(field, wire__put_u64(field, number, value)));
}

/* ---- Answers: the oneof's message, and which it is ------------------------------------------ */

enum { FILES = 4, NUMBERS = 5, NAMES = 6, ERROR = 7 };
enum { NOT_FOUND = 5, UNIMPLEMENTED = 12 };

static uint32_t say_error(struct writer *w, unsigned code, const char *words)
{
    put_number(w, 1, code);
    put(w, 2, cs_str(words));
    return ERROR;
}

static uint32_t say_services(struct writer *w, const struct wire_spoken *spoken)
{
    for (size_t i = 0; i < spoken->services_len; i++) {
        put_head(w, 1, wire__len_bytes(spoken->services[i].len)); /* a message of a name */
        put(w, 1, spoken->services[i]);
    }
    return NAMES;
}

typedef bool match_fn(cs_bytes file, const struct question *q);

static bool is_named(cs_bytes file, const struct question *q)
{
    return cs_same(wire__file_name(file), q->text);
}

static bool declares(cs_bytes file, const struct question *q)
{
    return wire__file_declares(file, q->text);
}

static bool extends(cs_bytes file, const struct question *q)
{
    return q->number > 0 && wire__file_extends(file, q->text, q->number - 1) == q->number;
}

static bool find(const struct wire_spoken *spoken, match_fn *match, const struct question *q,
                 cs_bytes *ret)
{
    for (size_t i = 0; i < spoken->sets_len; i++)
        for (cs_bytes set = spoken->sets[i]; wire__set_next(&set, ret);)
            if (match(*ret, q))
                return true;
    return false;
}

static size_t count_files(const struct wire_spoken *spoken)
{
    size_t n = 0;
    cs_bytes file;

    for (size_t i = 0; i < spoken->sets_len; i++)
        for (cs_bytes set = spoken->sets[i]; wire__set_next(&set, &file);)
            n++;
    return n;
}

static bool is_among(const cs_bytes *files, size_t n, cs_bytes name)
{
    for (size_t i = 0; i < n; i++)
        if (cs_same(wire__file_name(files[i]), name))
            return true;
    return false;
}

/* A file, and behind it all that it imports, each once. */
static void put_files(struct writer *w, const struct wire_spoken *spoken, cs_bytes first)
{
    cs_bytes *files = cs_alloc(count_files(spoken) * sizeof *files), rest, file;
    struct question import = {.what = FILE_NAMED};
    size_t n = 0;

    if (!files) {
        w->err = CS_ENOMEM;
        return;
    }
    files[n++] = first;
    for (size_t i = 0; i < n; i++) {
        put(w, 1, files[i]);
        for (rest = files[i]; wire__file_imports(&rest, &import.text);)
            if (!is_among(files, n, import.text) && find(spoken, is_named, &import, &file))
                files[n++] = file;
    }
    cs_free(files);
}

static uint32_t say_files(struct writer *w, const struct wire_spoken *spoken, match_fn *match,
                          const struct question *q)
{
    cs_bytes first;

    if (!find(spoken, match, q, &first))
        return say_error(w, NOT_FOUND,
                         match == is_named   ? "no such file"
                         : match == declares ? "no such symbol"
                                             : "no such extension");
    put_files(w, spoken, first);
    return FILES;
}

/* Of those of one name the first counts. */
static bool counts(const struct wire_spoken *spoken, cs_bytes file)
{
    const struct question q = {.what = FILE_NAMED, .text = wire__file_name(file)};
    cs_bytes first;

    return find(spoken, is_named, &q, &first) && first.base == file.base;
}

/* In the order of files, of each in the order of numbers. */
static uint32_t say_numbers(struct writer *w, const struct wire_spoken *spoken,
                            const struct question *q)
{
    cs_bytes file;

    if (!find(spoken, declares, q, &file))
        return say_error(w, NOT_FOUND, "no such type");
    put(w, 1, q->text);
    for (size_t i = 0; i < spoken->sets_len; i++)
        for (cs_bytes set = spoken->sets[i]; wire__set_next(&set, &file);)
            for (uint32_t n = 0;
                 counts(spoken, file) && (n = wire__file_extends(file, q->text, n)) > 0;)
                put_number(w, 2, n);
    return NUMBERS;
}

static uint32_t say(struct writer *w, const struct wire_spoken *spoken, const struct question *q)
{
    switch (q->what) {
    case FILE_NAMED:
        return say_files(w, spoken, is_named, q);
    case SYMBOL:
        return say_files(w, spoken, declares, q);
    case EXTENSION:
        return say_files(w, spoken, extends, q);
    case EXTENSIONS:
        return say_numbers(w, spoken, q);
    case SERVICES:
        return say_services(w, spoken);
    default:
        return say_error(w, UNIMPLEMENTED, "no question that is known here");
    }
}

cs_err wire_reflect(cs_bytes request, const struct wire_spoken *spoken, uint8_t **ret,
                    size_t *ret_len)
{
    struct writer answer = {.err = CS_OK}, w = {.err = CS_OK};
    struct question q;
    uint32_t which;
    cs_err err = parse(request, &q);

    if (err != CS_OK)
        return err;
    which = say(&answer, spoken, &q);
    if (q.host.len > 0)
        put(&w, 1, q.host);
    put(&w, 2, request);
    put(&w, which, cs_bytes_of(answer.buf.base, answer.buf.len));
    err = answer.err != CS_OK ? answer.err : w.err;
    cs_buf_fini(&answer.buf);
    if (err != CS_OK) {
        cs_buf_fini(&w.buf);
        return err;
    }
    *ret = w.buf.base;
    *ret_len = w.buf.len;
    return CS_OK;
}
