/* Health and reflection as bytes: what is asked and what is answered. */
#include "base/mem.h"
#include "proto/health.h"
#include "proto/wire__describe.h"
#include "proto/wire__field.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>

#define BYTES(literal) cs_bytes_of(literal, sizeof(literal) - 1)

/* ---- Health --------------------------------------------------------------------------------- */

Test(health, a_request_names_a_service_or_the_whole_server)
{
    cs_bytes name;

    cr_assert_eq(wire_health_parse(BYTES(""), &name), CS_OK);
    cr_assert_eq(name.len, 0);
    cr_assert_eq(wire_health_parse(BYTES("\x10\x07\x0a\x03"
                                         "abc"),
                                   &name),
                 CS_OK);
    cr_assert(cs_same(name, cs_str("abc")));
    cr_assert_eq(wire_health_parse(BYTES("\x0a\x03"
                                         "ab"),
                                   &name),
                 CS_EPROTO);
    cr_assert_eq(wire_health_parse(BYTES("\x0a\x02\xff\xff"), &name), CS_EPROTO, "not UTF-8");
    cr_assert_eq(wire_health_parse(BYTES("\x08\x01"), &name), CS_EPROTO, "a number");
}

Test(health, a_response_is_two_bytes_or_none)
{
    uint8_t to[WIRE_HEALTH_MAX];

    cr_assert_eq(wire_health_put(to, WIRE_HEALTH_UNKNOWN), 0);
    cr_assert_eq(wire_health_put(to, WIRE_SERVICE_UNKNOWN), 2);
    cr_assert(memcmp(to, "\x08\x03", 2) == 0);
}

/* ---- Sets ----------------------------------------------------------------------------------- */

/* Messages of text are built inside out: field(out, 1, "a") appends. */
struct text {
    uint8_t bytes[1024];
    size_t len;
};

static cs_bytes of(const struct text *t)
{
    return cs_bytes_of(t->bytes, t->len);
}

static void field(struct text *to, uint32_t number, cs_bytes value)
{
    to->len += wire__put_head(to->bytes + to->len, number, value.len);
    memcpy(to->bytes + to->len, value.base, value.len);
    to->len += value.len;
}

static struct text named(const char *name)
{
    struct text t = {.len = 0};

    field(&t, 1, cs_str(name));
    return t;
}

static void inside(struct text *to, uint32_t number, const struct text *what)
{
    field(to, number, of(what));
}

static struct text extension(const char *name, const char *of_type, uint64_t number)
{
    struct text t = named(name);

    field(&t, 2, cs_str(of_type));
    t.len += wire__put_u64(t.bytes + t.len, 3, number);
    return t;
}

/* a.proto imports b.proto, which imports c.proto; both import it.
 *     a.b:  message M { field f; oneof o; message N { enum E { V } ; extension 7 of q.T } }
 *           service S { rpc Do }   extension x = 9 of q.T
 *     c.proto, package q:  message T */
static struct text set_of(bool with_c)
{
    struct text value = named("V"), e = named("E"), n = named("N"), m = named("M"), o = named("o");
    struct text f = named("f"), does = named("Do"), s = named("S"), a = named("a.proto"),
                set = {.len = 0};
    struct text b = named("b.proto"), c = named("c.proto"), t = named("T"), x;

    inside(&e, 2, &value);
    inside(&n, 4, &e);
    x = extension("inner", ".q.T", 7);
    inside(&n, 6, &x);
    inside(&m, 3, &n);
    inside(&m, 2, &f);
    inside(&m, 8, &o);
    inside(&s, 2, &does);
    field(&a, 2, cs_str("a.b"));
    field(&a, 3, cs_str("b.proto"));
    field(&a, 3, cs_str("c.proto"));
    inside(&a, 4, &m);
    inside(&a, 6, &s);
    x = extension("x", ".q.T", 9);
    inside(&a, 7, &x);
    field(&b, 3, cs_str("c.proto"));
    field(&c, 2, cs_str("q"));
    inside(&c, 4, &t);
    inside(&set, 1, &a);
    inside(&set, 1, &b);
    if (with_c)
        inside(&set, 1, &c);
    return set;
}

static struct text set, again;
static cs_bytes sets[2], services[] = {{"a.b.S", 5}, {"q.R", 3}};
static struct wire_spoken spoken = {.sets = sets, .services = services, .services_len = 2};

static void know(bool twice)
{
    set = again = set_of(true);
    sets[0] = of(&set);
    sets[1] = of(&again);
    spoken.sets_len = twice ? 2 : 1;
}

/* ---- Answers as text: "files a.proto b.proto;", "numbers a.b.M 7;", "error 5;" ---------------- */

static char heard[512];

static void hear(const char *format, ...) CS_PRINTF(1, 2);
static void hear(const char *format, ...)
{
    size_t at = strlen(heard);
    va_list args;

    va_start(args, format);
    vsnprintf(heard + at, sizeof heard - at, format, args);
    va_end(args);
}

static void hear_answer(uint32_t which, cs_bytes answer)
{
    static const char *const names[] = {[4] = "files", "numbers", "services", "error"};
    struct wire__field f;
    cs_bytes name;

    hear("%s", names[which]);
    while (wire__field_next(&answer, &f) == CS_OK) {
        name = f.type == WIRE__BYTES ? f.bytes : cs_str("");
        if (which == 4)
            name = wire__file_name(f.bytes);
        else if (which == 6)
            cr_assert(wire__each(&f.bytes, 1, &name));
        if (f.type == WIRE__BYTES)
            hear(" %.*s", CS_FMT(name));
        else
            hear(" %u", (unsigned)wire__varint(f.raw.base, f.raw.len));
    }
    hear(";");
}

static const char *ask(cs_bytes request)
{
    struct wire__field f;
    uint8_t *reply;
    size_t len;
    cs_bytes rest;

    heard[0] = '\0';
    cr_assert_eq(wire_reflect(request, &spoken, &reply, &len), CS_OK);
    for (rest = cs_bytes_of(reply, len); wire__field_next(&rest, &f) == CS_OK;) {
        if (f.number == 1)
            hear("host %.*s;", CS_FMT(f.bytes));
        else if (f.number == 2)
            cr_assert(cs_same(f.bytes, request), "the question comes back");
        else
            hear_answer(f.number, f.bytes);
    }
    cs_free(reply);
    return heard;
}

static const char *ask_for(uint32_t number, const char *text)
{
    struct text request = {.len = 0};

    field(&request, number, cs_str(text));
    return ask(of(&request));
}

static const char *ask_for_extension(const char *type, uint64_t number)
{
    struct text request = {.len = 0}, extension_of = named(type);

    extension_of.len += wire__put_u64(extension_of.bytes + extension_of.len, 2, number);
    inside(&request, 5, &extension_of);
    return ask(of(&request));
}

Test(reflect, a_file_comes_with_all_it_imports_each_once)
{
    know(false);
    cr_assert_str_eq(ask_for(3, "a.proto"), "files a.proto b.proto c.proto;");
    cr_assert_str_eq(ask_for(3, "b.proto"), "files b.proto c.proto;");
    cr_assert_str_eq(ask_for(3, "d.proto"), "error 5 no such file;");
    know(true);
    cr_assert_str_eq(ask_for(3, "a.proto"), "files a.proto b.proto c.proto;");
}

Test(reflect, whatever_has_a_name_is_found)
{
    static const char *const there[] = {"a.b.M",     "a.b.M.f",       "a.b.M.o", "a.b.M.N",
                                        "a.b.M.N.E", "a.b.M.N.V",     "a.b.S",   "a.b.S.Do",
                                        "a.b.x",     "a.b.M.N.inner", "q.T"};
    static const char *const not_there[] = {"",      "a",   "a.b",         "a.b.",       "a.b.M.",
                                            "a.b.f", "b.M", "a.b.M.N.E.V", "a.b.S.Do.f", "a.b.Mf",
                                            "a.bM",  "M",   "a.b.T",       "a.b.M.f.f"};

    know(false);
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        cr_assert_str_eq(ask_for(4, there[i]),
                         i < 10 ? "files a.proto b.proto c.proto;" : "files c.proto;", "%s",
                         there[i]);
    for (size_t i = 0; i < sizeof not_there / sizeof *not_there; i++)
        cr_assert_str_eq(ask_for(4, not_there[i]), "error 5 no such symbol;", "%s", not_there[i]);
}

Test(reflect, extensions_are_found_by_number)
{
    know(true);
    cr_assert_str_eq(ask_for(6, "q.T"), "numbers q.T 7 9;");
    cr_assert_str_eq(ask_for(6, "a.b.M"), "numbers a.b.M;");
    cr_assert_str_eq(ask_for(6, "q.U"), "error 5 no such type;");
    cr_assert_str_eq(ask_for_extension("q.T", 9), "files a.proto b.proto c.proto;");
    cr_assert_str_eq(ask_for_extension("q.T", 8), "error 5 no such extension;");
    cr_assert_str_eq(ask_for_extension("q.T", 0), "error 5 no such extension;");
    cr_assert_str_eq(ask_for_extension("a.b.M", 9), "error 5 no such extension;");
}

Test(reflect, services_are_listed_and_the_host_comes_back)
{
    know(false);
    cr_assert_str_eq(ask_for(7, "*"), "services a.b.S q.R;");
    cr_assert_str_eq(ask(BYTES("\x0a\x01h\x3a\x00")), "host h;services a.b.S q.R;");
    cr_assert_str_eq(ask(BYTES("\x3a\x00\x1a\x07"
                               "b.proto")),
                     "files b.proto c.proto;", "of a oneof the last counts");
    cr_assert_str_eq(ask(BYTES("")), "error 12 no question that is known here;");
    cr_assert_str_eq(ask(BYTES("\x42\x00")), "error 12 no question that is known here;");
}

Test(reflect, what_is_no_request_has_no_answer)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x1a\x05"
                "ab",
                4},
               {"\x1a\x01\xff", 3},
               {"\x18\x01", 2},
               {"\x2a\x02\x0a\x05", 4},
               {"\x2a\x03\x0a\x01\x80", 5},
               {"\x2a\x02\x12\x00", 4},
               {"\x28\x01", 2},
               {"\x08\x01", 2}};
    uint8_t *reply;
    size_t len;

    know(false);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(wire_reflect(cs_bytes_of(bad[i].bytes, bad[i].len), &spoken, &reply, &len),
                     CS_EPROTO, "%zu", i);
}

Test(reflect, a_set_is_looked_at_before_it_is_used)
{
    const struct wire_spoken nothing = {.sets_len = 0};
    struct text whole = set_of(true), part = set_of(false), c = named("c.proto"), more = {.len = 0};
    struct wire_spoken before = {.sets = sets, .sets_len = 1};

    cr_assert_eq(wire_set_check(of(&whole), &nothing), CS_OK);
    cr_assert_eq(wire_set_check(of(&part), &nothing), CS_ENOENT, "c.proto is not there");
    inside(&more, 1, &c);
    sets[0] = of(&more);
    cr_assert_eq(wire_set_check(of(&part), &before), CS_OK, "now it is");
    for (size_t len = 1; len < whole.len; len++)
        cr_assert_neq(wire_set_check(cs_bytes_of(whole.bytes, len), &nothing), CS_OK, "cut at %zu",
                      len);
    cr_assert_eq(wire_set_check(BYTES("\x0a\x00"), &nothing), CS_EPROTO, "no name");
    cr_assert_eq(wire_set_check(BYTES("\x0a\x05\x0a\x01n\x22\x03\x1a\x01"), &nothing), CS_EPROTO);
    cr_assert_eq(wire_set_check(wire_descriptors, &nothing), CS_OK);
}

Test(reflect, messages_in_messages_have_a_bound)
{
    const struct wire_spoken nothing = {.sets_len = 0};
    struct text message = named("m"), file, all;

    for (int depth = 0; depth < 80; depth++) {
        struct text outer = named("m");

        inside(&outer, 3, &message);
        message = outer;
        file = named("f");
        inside(&file, 4, &message);
        all = (struct text){.len = 0};
        inside(&all, 1, &file);
        cr_assert_eq(wire_set_check(of(&all), &nothing), depth < 64 ? CS_OK : CS_EPROTO, "%d",
                     depth);
    }
}

static void story(void)
{
    uint8_t *reply = NULL;
    size_t len;
    cs_err err;

    know(false);
    err = wire_reflect(BYTES("\x0a\x01h\x1a\x07"
                             "a.proto"),
                       &spoken, &reply, &len);
    cr_assert(err == CS_OK || (err == CS_ENOMEM && failing_failed()));
    if (err == CS_OK)
        cs_free(reply);
    err = wire_reflect(BYTES("\x3a\x00"), &spoken, &reply, &len);
    cr_assert(err == CS_OK || (err == CS_ENOMEM && failing_failed()));
    if (err == CS_OK)
        cs_free(reply);
}

Test(reflect, survives_every_failed_allocation)
{
    cr_assert_geq(failing_story(story), 4);
}
