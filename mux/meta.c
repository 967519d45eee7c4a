/* meta -- metadata of a stream: a list of pairs, each one allocation. */
#include "mux/mux__in.h"

static bool is_binary(cs_bytes name)
{
    return name.len > 4 && memcmp((const char *)name.base + name.len - 4, "-bin", 4) == 0;
}

cs_err mux__meta_add(struct mux__meta *meta, cs_bytes name, cs_bytes value)
{
    if (meta->len == meta->cap) {
        size_t cap = meta->cap ? 2 * meta->cap : 4;
        cs_pair *pairs = cs_realloc(meta->pairs, cap * sizeof *pairs);
        if (!pairs)
            return CS_ENOMEM;
        meta->pairs = pairs;
        meta->cap = cap;
    }
    char *bytes = cs_alloc(name.len + value.len + 2);
    if (!bytes)
        return CS_ENOMEM;
    memcpy(bytes, name.base, name.len);
    bytes[name.len] = 0;
    if (value.len > 0)
        memcpy(bytes + name.len + 1, value.base, value.len);
    bytes[name.len + 1 + value.len] = 0;
    meta->pairs[meta->len++] =
        (cs_pair){cs_bytes_of(bytes, name.len), cs_bytes_of(bytes + name.len + 1, value.len)};
    return CS_OK;
}

cs_err mux__meta_add_wire(struct mux__meta *meta, cs_bytes name, cs_bytes text)
{
    if (!is_binary(name))
        return mux__meta_add(meta, name, text);
    uint8_t *bytes = cs_alloc(text.len + 1);
    size_t len;
    if (!bytes)
        return CS_ENOMEM;
    /* What is not base64 stays as it came: nothing is lost by a careless peer. */
    cs_err err = wire_base64_decode(bytes, text, &len) == CS_OK
                     ? mux__meta_add(meta, name, cs_bytes_of(bytes, len))
                     : mux__meta_add(meta, name, text);
    cs_free(bytes);
    return err;
}

cs_err mux__meta_decode(struct mux__meta *meta)
{
    for (size_t i = 0; meta && i < meta->len; i++) {
        cs_bytes *value = &meta->pairs[i].value;
        uint8_t *bytes, *to = (uint8_t *)(uintptr_t)value->base;
        if (!is_binary(meta->pairs[i].name))
            continue;
        if (!(bytes = cs_alloc(value->len + 1)))
            return CS_ENOMEM;
        if (wire_base64_decode(bytes, *value, &value->len) == CS_OK) {
            memcpy(to, bytes, value->len);
            to[value->len] = 0;
        }
        cs_free(bytes);
    }
    return CS_OK;
}

cs_err mux__meta_get(const struct mux__meta *meta, const char *name, cs_bytes *ret)
{
    for (size_t i = 0; meta && i < meta->len; i++)
        if (cs_same(meta->pairs[i].name, cs_str(name))) {
            *ret = meta->pairs[i].value;
            return CS_OK;
        }
    return CS_ENOENT;
}

void mux__meta_remove(struct mux__meta *meta, cs_bytes name)
{
    for (size_t i = 0; i < meta->len; i++)
        if (cs_same(meta->pairs[i].name, name)) {
            cs_free((void *)(uintptr_t)meta->pairs[i].name.base);
            memmove(meta->pairs + i, meta->pairs + i + 1, (--meta->len - i) * sizeof *meta->pairs);
            return;
        }
}

void mux__meta_free(struct mux__meta *meta)
{
    if (!meta)
        return;
    for (size_t i = 0; i < meta->len; i++)
        cs_free((void *)(uintptr_t)meta->pairs[i].name.base);
    cs_free(meta->pairs);
    cs_free(meta);
}

cs_err mux__meta_make(struct mux__meta **meta)
{
    if (!*meta)
        *meta = cs_zalloc(sizeof **meta);
    return *meta ? CS_OK : CS_ENOMEM;
}

/* Fields that HTTP/2 refuses (RFC 9113, 8.2.2), and those that say something else already. */
#define NAME(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
static bool is_taken(cs_bytes name)
{
    static const cs_bytes names[] = {NAME("connection"),
                                     NAME("keep-alive"),
                                     NAME("proxy-connection"),
                                     NAME("transfer-encoding"),
                                     NAME("upgrade"),
                                     NAME("host"),
                                     NAME("te"),
                                     NAME("trailer"),
                                     NAME("content-length"),
                                     NAME("content-type"),
                                     NAME("user-agent")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (cs_same(name, names[i]))
            return true;
    return name.len >= 5 && memcmp(name.base, "grpc-", 5) == 0;
}
#undef NAME

bool mux_metadata_ok(cs_bytes name, cs_bytes value)
{
    const unsigned char *n = name.base, *v = value.base;
    if (name.len == 0 || is_taken(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!((n[i] >= 'a' && n[i] <= 'z') || (n[i] >= '0' && n[i] <= '9') || n[i] == '-' ||
              n[i] == '_' || n[i] == '.'))
            return false;
    if (is_binary(name))
        return true;
    for (size_t i = 0; i < value.len; i++)
        if (v[i] < 0x20 || v[i] > 0x7e) /* doc/PROTOCOL-HTTP2.md, ASCII-Value */
            return false;
    return value.len == 0 || (v[0] != ' ' && v[value.len - 1] != ' ');
}

/* ---- Fields on their way out ---------------------------------------------------------------- */

static cs_err grow(struct mux__fields *fields)
{
    if (fields->len < fields->cap)
        return CS_OK;
    size_t cap = 2 * fields->cap;
    struct mux__field *all = cs_alloc(cap * sizeof *all);
    if (!all)
        return CS_ENOMEM;
    memcpy(all, fields->all, fields->len * sizeof *all);
    if (fields->all != fields->few)
        cs_free(fields->all);
    fields->all = all;
    fields->cap = cap;
    return CS_OK;
}

void mux__fields_init(struct mux__fields *fields)
{
    fields->all = fields->few;
    fields->len = 0;
    fields->cap = sizeof fields->few / sizeof fields->few[0];
    fields->texts = NULL;
    fields->err = CS_OK;
}

void mux__fields_fini(struct mux__fields *fields)
{
    if (fields->all != fields->few)
        cs_free(fields->all);
    while (fields->texts) {
        void *next = *(void **)fields->texts;
        cs_free(fields->texts);
        fields->texts = next;
    }
}

void mux__fields_add(struct mux__fields *fields, cs_bytes name, cs_bytes value, bool lasting)
{
    if (fields->err == CS_OK && (fields->err = grow(fields)) == CS_OK)
        fields->all[fields->len++] = (struct mux__field){name, value, lasting};
}

char *mux__fields_text(struct mux__fields *fields, size_t len)
{
    void **text = cs_alloc(sizeof(void *) + len);
    if (!text) {
        fields->err = CS_ENOMEM;
        return NULL;
    }
    *text = fields->texts;
    fields->texts = text;
    return (char *)(text + 1);
}

void mux__fields_add_meta(struct mux__fields *fields, const struct mux__meta *meta)
{
    for (size_t i = 0; meta && i < meta->len; i++) {
        cs_bytes value = meta->pairs[i].value;
        if (is_binary(meta->pairs[i].name)) {
            char *text = mux__fields_text(fields, wire_base64_len(value.len) + 1);
            if (!text)
                return;
            value = cs_bytes_of(text, wire_base64_encode(text, value));
        }
        mux__fields_add(fields, meta->pairs[i].name, value, false);
    }
}
