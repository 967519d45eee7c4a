/* describe -- see wire__describe.h.  Field numbers are those of descriptor.proto. */
#include "proto/wire__describe.h"
#include "proto/wire__field.h"

enum { SET_FILE = 1 };
enum { NAME = 1 }; /* of everything that has one */
enum {
    FILE_PACKAGE = 2,
    FILE_IMPORT = 3,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    FILE_EXTENSION = 7
};
enum {
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_EXTENSION = 6,
    MESSAGE_ONEOF = 8
};
enum { FIELD_EXTENDEE = 2, FIELD_NUMBER = 3 };
enum { ENUM_VALUE = 2, SERVICE_METHOD = 2 };

enum { DEPTH_MAX = 64 }; /* messages in messages */

bool wire__each(cs_bytes *message, uint32_t number, cs_bytes *ret)
{
    struct wire__field field;

    while (wire__field_next(message, &field) == CS_OK) {
        if (field.number == number && field.type == WIRE__BYTES) {
            *ret = field.bytes;
            return true;
        }
    }
    return false;
}

bool wire__set_next(cs_bytes *set, cs_bytes *ret_file)
{
    return wire__each(set, SET_FILE, ret_file);
}

static cs_bytes text_of(cs_bytes message, uint32_t number)
{
    cs_bytes text;

    return wire__each(&message, number, &text) ? text : cs_str("");
}

cs_bytes wire__file_name(cs_bytes file)
{
    return text_of(file, NAME);
}

bool wire__file_imports(cs_bytes *rest, cs_bytes *ret_name)
{
    return wire__each(rest, FILE_IMPORT, ret_name);
}

/* ---- Names ---------------------------------------------------------------------------------- */

/* Does `path` begin with `name`?  What is behind it and the dot is `*ret`, empty: that was all. */
static bool step(cs_bytes path, cs_bytes name, cs_bytes *ret)
{
    const char *at = path.base;

    if (name.len == 0 || path.len < name.len || memcmp(at, name.base, name.len) != 0)
        return false;
    if (path.len == name.len) {
        *ret = cs_str("");
        return true;
    }
    if (at[name.len] != '.' || path.len == name.len + 1)
        return false;
    *ret = cs_bytes_of(at + name.len + 1, path.len - name.len - 1);
    return true;
}

static bool one_is(cs_bytes message, uint32_t number, cs_bytes name)
{
    cs_bytes one;

    while (wire__each(&message, number, &one))
        if (cs_same(text_of(one, NAME), name))
            return true;
    return false;
}

/* An enum's values stand beside it, not in it. */
static bool enum_declares(cs_bytes parent, uint32_t number, cs_bytes path)
{
    cs_bytes one;

    while (wire__each(&parent, number, &one))
        if (cs_same(text_of(one, NAME), path) || one_is(one, ENUM_VALUE, path))
            return true;
    return false;
}

static bool service_declares(cs_bytes file, cs_bytes path)
{
    cs_bytes one, rest;

    while (wire__each(&file, FILE_SERVICE, &one))
        if (step(path, text_of(one, NAME), &rest) &&
            (rest.len == 0 || one_is(one, SERVICE_METHOD, rest)))
            return true;
    return false;
}

static bool message_declares(cs_bytes parent, uint32_t number, cs_bytes path)
{
    cs_bytes one, rest;

    while (wire__each(&parent, number, &one)) {
        if (!step(path, text_of(one, NAME), &rest))
            continue;
        if (rest.len == 0 || one_is(one, MESSAGE_FIELD, rest) || one_is(one, MESSAGE_ONEOF, rest) ||
            one_is(one, MESSAGE_EXTENSION, rest) || enum_declares(one, MESSAGE_ENUM, rest) ||
            message_declares(one, MESSAGE_NESTED, rest))
            return true;
    }
    return false;
}

bool wire__file_declares(cs_bytes file, cs_bytes symbol)
{
    cs_bytes package = text_of(file, FILE_PACKAGE), path = symbol;

    if (package.len > 0 && !step(symbol, package, &path))
        return false;
    return path.len > 0 &&
           (message_declares(file, FILE_MESSAGE, path) || enum_declares(file, FILE_ENUM, path) ||
            service_declares(file, path) || one_is(file, FILE_EXTENSION, path));
}

/* ---- Extensions ----------------------------------------------------------------------------- */

static uint32_t number_of(cs_bytes field)
{
    struct wire__field f;
    uint64_t number = 0;

    while (wire__field_next(&field, &f) == CS_OK)
        if (f.number == FIELD_NUMBER)
            (void)wire__take_u64(&f, &number);
    return (uint32_t)number;
}

/* The extended type is written with a dot in front. */
static bool extends(cs_bytes field, cs_bytes type)
{
    cs_bytes extendee = text_of(field, FIELD_EXTENDEE);

    return extendee.len == type.len + 1 && *(const char *)extendee.base == '.' &&
           memcmp((const char *)extendee.base + 1, type.base, type.len) == 0;
}

static uint32_t next_of(cs_bytes parent, uint32_t extension, uint32_t nested, cs_bytes type,
                        uint32_t after)
{
    uint32_t found = 0, number;
    cs_bytes rest = parent, one;

    while (wire__each(&rest, extension, &one)) {
        number = extends(one, type) ? number_of(one) : 0;
        if (number > after && (found == 0 || number < found))
            found = number;
    }
    for (rest = parent; wire__each(&rest, nested, &one);) {
        number = next_of(one, MESSAGE_EXTENSION, MESSAGE_NESTED, type, after);
        if (number > after && (found == 0 || number < found))
            found = number;
    }
    return found;
}

uint32_t wire__file_extends(cs_bytes file, cs_bytes type, uint32_t after)
{
    return next_of(file, FILE_EXTENSION, FILE_MESSAGE, type, after);
}

/* ---- Is it one ------------------------------------------------------------------------------ */

static bool well_formed(cs_bytes message)
{
    struct wire__field field;
    cs_err err;

    while ((err = wire__field_next(&message, &field)) == CS_OK)
        ;
    return err == CS_DONE;
}

static bool all_well_formed(cs_bytes message, uint32_t number)
{
    cs_bytes one;

    while (wire__each(&message, number, &one))
        if (!well_formed(one))
            return false;
    return true;
}

static bool message_ok(cs_bytes message, unsigned depth)
{
    cs_bytes rest = message, one;

    if (depth > DEPTH_MAX || !well_formed(message) || !all_well_formed(message, MESSAGE_FIELD) ||
        !all_well_formed(message, MESSAGE_EXTENSION) || !all_well_formed(message, MESSAGE_ENUM) ||
        !all_well_formed(message, MESSAGE_ONEOF))
        return false;
    while (wire__each(&rest, MESSAGE_NESTED, &one))
        if (!message_ok(one, depth + 1))
            return false;
    return true;
}

static bool file_ok(cs_bytes file)
{
    cs_bytes rest = file, one;

    if (!well_formed(file) || wire__file_name(file).len == 0 || !all_well_formed(file, FILE_ENUM) ||
        !all_well_formed(file, FILE_SERVICE) || !all_well_formed(file, FILE_EXTENSION))
        return false;
    while (wire__each(&rest, FILE_MESSAGE, &one))
        if (!message_ok(one, 0))
            return false;
    return true;
}

static bool in_set(cs_bytes set, cs_bytes name, cs_bytes *ret)
{
    while (wire__set_next(&set, ret))
        if (cs_same(wire__file_name(*ret), name))
            return true;
    return false;
}

static bool in_sets(const struct wire_spoken *spoken, cs_bytes name, cs_bytes *ret)
{
    for (size_t i = 0; i < spoken->sets_len; i++)
        if (in_set(spoken->sets[i], name, ret))
            return true;
    return false;
}

static cs_err fits(cs_bytes set, cs_bytes file, const struct wire_spoken *before)
{
    cs_bytes name, other;

    while (wire__file_imports(&file, &name))
        if (!in_set(set, name, &other) && !in_sets(before, name, &other))
            return CS_ENOENT;
    return CS_OK;
}

cs_err wire_set_check(cs_bytes set, const struct wire_spoken *before)
{
    cs_bytes rest = set, file;
    cs_err err = well_formed(set) ? CS_OK : CS_EPROTO;

    while (err == CS_OK && wire__set_next(&rest, &file))
        err = file_ok(file) ? fits(set, file, before) : CS_EPROTO;
    return err;
}
